"""What the people of a run do, as a locust user: each thing as a browser with this site's scripts would ask for it.

Importing this module has gevent replace parts of the standard library; it is for ``crowd.py``'s own process alone.
"""

import html
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locust import FastHttpUser, task

from tests.faults.person import BOUNDARY, PASSWORD, another, multipart
from tests.load.plan import FILLING, NARROW, Participant, Role

ROOM = "There is room"  # of every refusal for a quota: when, or what has to go first
LOCKED = "database is busy"  # of 503_locked.html
MORE = 2  # analyses that somebody asks for beyond their share while the queue drains, or it would never end
PICTURES_AT_ONCE = 6  # of a result, before somebody scrolls on
RANGE_BYTES = 64 * 1024
WATCH_S = (5.0, 25.0)  # how long somebody looks at a bar that does not reach its end
PAUSE_S = (1.0, 5.0)  # between two things that one person does
FILLING_PAUSE_S = (0.3, 1.5)  # the same in the rush in which everybody sends
STOP_POLLING = 286

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_EVERY = re.compile(r'hx-trigger="every (\d+(?:\.\d+)?)s"')
_ANALYSIS = re.compile(r'href="/analyses/([0-9a-f-]{36})/"')
_PICTURE = re.compile(r'src="(/analyses/[^"]+\.jpg)"')
_STATIC = re.compile(r'(?:src|href)="(/static/[^"]+)"')
_NOTICE = re.compile(r"<(?:p|div|li)[^>]*>([^<]*There is room[^<]*)<")


class Ledger:
    """What the crowd was told, for whoever counts afterwards."""

    def __init__(self, accepted: Path, folder: Path, clips: dict[str, bytes], waiting: Iterator[Participant]) -> None:
        self.folder, self.clips, self.waiting = folder, clips, waiting
        self.refusals: Counter[str] = Counter()
        self.sentences: dict[str, str] = {}  # an example for each kind of refusal
        self.without_room: list[str] = []  # refusals that do not say when there is room
        self.locked = 0
        self._accepted = accepted.open("a", encoding="ascii", buffering=1)

    def accepted(self, pk: str, who: Participant) -> None:
        self._accepted.write(f"{pk} {who.number}\n")

    def refused(self, kind: str, sentence: str) -> None:
        self.refusals[kind] += 1
        self.sentences.setdefault(kind, sentence)
        if ROOM not in sentence:
            self.without_room.append(sentence)

    @property
    def is_filling(self) -> bool:
        return (self.folder / FILLING).exists()


class Somebody(FastHttpUser):
    """One participant with a browser. Only one thing at a time, with a pause after each."""

    ledger: Ledger
    network_timeout = connection_timeout = 120.0

    def on_start(self) -> None:
        self.who = next(self.ledger.waiting)
        self.chance = random.Random(f"{self.who.number}")
        self.sent, self.more = 0, 0
        self.watched = ""
        front = self._page("/", "front page")
        for address in dict.fromkeys(_STATIC.findall(front)):
            self._ask("GET", html.unescape(address), "style, script or picture of the site")
        token = self._token(self._page("/accounts/login/", "log-in page"))
        fields = {"csrfmiddlewaretoken": token, "login": self.who.address, "password": PASSWORD}
        self._form("/accounts/login/", "log in", fields)

    def wait_time(self) -> float:
        if self.who.role == Role.FLOOD and self.ledger.is_filling:
            return 0.1
        return self.chance.uniform(*(FILLING_PAUSE_S if self.ledger.is_filling else PAUSE_S))

    @task
    def live(self) -> None:
        """One thing, after one's own nature and the hour: while the queue is being filled, mostly sending."""
        if self.ledger.is_filling:
            self._while_filling()
        elif self.who.role == Role.LATE:
            self._send_one_and_wait()
        else:
            self._pick(
                (self.read_result, 6),
                (self.look_through_history, 4),
                (self.watch, 4),
                (self.send_one_too_many if self.who.role in NARROW and self.wants_more else self.look_at_account, 1),
                (self.examine_again if self.wants_more else self.read_result, 1),
                (self.cancel, 1),
                (self.delete, 1),
                (self.look_after_the_site if self.who.role == Role.STAFF else self.read_result, 2),
            )

    def _while_filling(self) -> None:
        if self.sent < self.who.to_send and self.chance.random() < (1.0 if self.who.role == Role.FLOOD else 0.7):
            self.send()
        elif self.who.role in NARROW and self.sent:
            self._pick((self.send_one_too_many, 1), (self.look_through_history, 4), (self.read_result, 2))
        else:
            self._pick((self.read_result, 2), (self.look_through_history, 2), (self.watch, 2))

    def _pick(self, *things: tuple[Any, int]) -> None:
        deeds, weights = zip(*things, strict=True)
        self.chance.choices(deeds, weights)[0]()

    @property
    def wants_more(self) -> bool:
        return self.more < MORE

    # Sending

    def send(self) -> str:
        """Opens the form, sends a video that nobody has sent before, and looks at its page; the key, or nothing."""
        token = self._token(self._page("/analyses/new/", "upload form"))
        long = self.who.role == Role.FEW_MINUTES
        size = self.chance.randrange(64, 512 * 1024) if self.who.role != Role.FEW_BYTES else 64
        content = another(self.ledger.clips["long" if long else "usual"], size)
        frames = self.chance.choices(["10", "20", "60"], [6, 3, 1])[0]
        body = multipart({"csrfmiddlewaretoken": token, "frames": frames}, content)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Accept": "application/json"}
        answer = self._ask(
            "POST", "/analyses/new/", "upload", expect=(201, 422), refused=422, data=body, headers=headers
        )
        if answer.status_code == 422:
            self.ledger.refused(self.who.role, " ".join(json.loads(answer.text)["errors"].get("video", ["nothing"])))
        if answer.status_code != 201:
            return ""
        pk = str(json.loads(answer.text)["location"]).split("/")[2]
        self.ledger.accepted(pk, self.who)
        self.sent += 1
        self.watched = pk
        self._page(f"/analyses/{pk}/", "page of an analysis under way")
        return pk

    def send_one_too_many(self) -> None:
        self.more += bool(self.send()) and not self.ledger.is_filling

    def _send_one_and_wait(self) -> None:
        """Who comes late has nothing else here, and watches until it is done."""
        pk = self.send()
        while pk and not self._poll(pk, 60.0):
            if self.ledger.is_filling:
                return

    # Watching

    def watch(self) -> None:
        """Opens the page of something that waits or runs and looks at its bar for a while."""
        pk = self.watched or self._one_of("queued")
        if not pk:
            return self.look_through_history()
        if self._poll(pk, self.chance.uniform(*WATCH_S)):
            self.watched = ""
        return None

    def _poll(self, pk: str, for_s: float) -> bool:
        """Asks as htmx does, as often as the page says; whether the analysis came to an end."""
        page = self._page(f"/analyses/{pk}/", "page of an analysis under way")
        every = _EVERY.search(page)
        end = time.monotonic() + for_s
        while every and time.monotonic() < end:
            time.sleep(float(every[1]))
            asked = {"HX-Request": "true", "HX-Current-URL": f"{self.host}/analyses/{pk}/"}
            answer = self._ask(
                "GET", f"/analyses/{pk}/progress/", "progress, polled", expect=(200, STOP_POLLING), headers=asked
            )
            if answer.status_code == STOP_POLLING:
                break
            every = _EVERY.search(answer.text or "")  # the part comes with its own interval
        else:
            return not every
        self._page(f"/analyses/{pk}/", "result")
        return True

    # Reading

    def look_through_history(self) -> None:
        name = self.chance.choice(["", "?page=2", "?q=earlier", "?state=done", "?verdict=FAKE"])
        self._page(f"/analyses/{name}", "history" if not name else "history, paged or searched")

    def read_result(self) -> None:
        """A result with its pictures, its video and its report."""
        pk = self._one_of("done")
        if not pk:
            return
        page = self._page(f"/analyses/{pk}/", "result")
        for address in list(dict.fromkeys(_PICTURE.findall(page)))[:PICTURES_AT_ONCE]:
            self._ask("GET", html.unescape(address), "picture of a result", expect=(200, 304))
        for first in (0, RANGE_BYTES):
            part = {"Range": f"bytes={first}-{first + RANGE_BYTES - 1}"}
            self._ask("GET", f"/analyses/{pk}/video", "video, by Range", expect=(206, 416), headers=part)
        if self.chance.random() < 0.3:
            self._ask("GET", f"/analyses/{pk}/report.json", "report as JSON")

    def look_at_account(self) -> None:
        self._page("/accounts/profile/", "account")

    def look_after_the_site(self) -> None:
        self._page("/staff/", "staff's numbers")
        self._page("/admin/analysis/analysis/", "administration")

    # Doing something with what is there

    def examine_again(self) -> None:
        pk = self._one_of("done")
        if not pk:
            return
        page = self._page(f"/analyses/{pk}/again/", "form to examine again")
        fields = {"csrfmiddlewaretoken": self._token(page), "frames": self.chance.choice(["11", "12"]), "model": ""}
        answer = self._form(f"/analyses/{pk}/again/", "examine again", fields, expect=(302, 200), refused=200)
        if answer.status_code == 302:
            self.more += 1
            self.watched = str(answer.headers["Location"]).split("/")[2]
            self.ledger.accepted(self.watched, self.who)
        elif answer.status_code == 200:
            found = _NOTICE.search(answer.text or "")
            self.ledger.refused(f"{self.who.role}, again", html.unescape(found[1]) if found else "nothing")

    def cancel(self) -> None:
        pk = self._one_of("queued")
        if pk:
            page = self._page(f"/analyses/{pk}/", "page of an analysis under way")
            self._form(f"/analyses/{pk}/cancel/", "cancel", {"csrfmiddlewaretoken": self._token(page)})

    def delete(self) -> None:
        pk = self._one_of("done")
        if pk:
            page = self._page(f"/analyses/{pk}/delete/", "question before deleting")
            fields = {"csrfmiddlewaretoken": self._token(page), "confirmed": "on", "analyses": pk}
            self._form(f"/analyses/{pk}/delete/", "delete", fields)
            self.watched = "" if self.watched == pk else self.watched

    def _one_of(self, state: str) -> str:
        """The key of one of their analyses in that state, found in the history as a person finds it."""
        found = _ANALYSIS.findall(self._page(f"/analyses/?state={state}", "history, paged or searched"))
        return str(self.chance.choice(found)) if found else ""

    # Asking

    def _page(self, path: str, name: str) -> str:
        return self._ask("GET", path, name).text or ""

    def _token(self, page: str) -> str:
        found = _TOKEN.search(page)
        return found[1] if found else ""

    def _form(
        self, path: str, name: str, fields: dict[str, str], expect: tuple[int, ...] = (302,), refused: int = 0
    ) -> Any:
        body = multipart(fields)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self._ask("POST", path, name, expect=expect, refused=refused, data=body, headers=headers)

    def _ask(
        self,
        method: str,
        path: str,
        name: str,
        *,
        expect: tuple[int, ...] = (200,),
        refused: int = 0,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """One request; an answer that is none of ``expect`` counts as failed, one with ``refused`` is counted apart."""
        sent = {"X-Forwarded-For": self.who.network_address, **(headers or {})}
        body: Any = data  # its type says text, and it sends bytes as they are
        with self.client.request(
            method, path, name=name, data=body, headers=sent, allow_redirects=False, catch_response=True
        ) as answer:
            status = answer.status_code
            if status in expect:
                if refused and status == refused:
                    answer.request_meta["name"] = f"{name}, refused"
                answer.success()
            else:
                text = answer.text or ""
                self.ledger.locked += LOCKED in text
                answer.failure(f"{status or answer.error!r} instead of {' or '.join(map(str, expect))}")
        return answer
