"""A person with a plain HTTP client: registers, sends videos, and can stop in the middle of one."""

import http.client
import http.cookiejar
import json
import os
import re
import struct
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSWORD = "a-long-enough-passphrase-7"
TIMEOUT_S = 300.0
BOUNDARY = "----part-of-an-upload"


@dataclass(frozen=True)
class Answer:
    """What the site said to an upload; ``pk`` is the analysis's key, empty unless it was acknowledged."""

    status: int
    pk: str = ""
    sentences: tuple[str, ...] = ()
    body: str = ""


def another(clip: bytes, more_bytes: int = 32) -> bytes:
    """The same MP4 with another content: a box that every reader skips is put behind it."""
    return clip + struct.pack(">I4s", 8 + more_bytes, b"free") + os.urandom(more_bytes)


@dataclass
class Person:
    """An account at the site at ``url``; what was acknowledged to them stands in ``acknowledged``."""

    url: str
    acknowledged: set[str] = field(default_factory=set)
    cookies: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar)

    def register(self, address: str) -> None:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        with opener.open(f"{self.url}/accounts/signup/", timeout=TIMEOUT_S) as page:
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
        assert found is not None, "The registration page has no token."
        fields = {
            "csrfmiddlewaretoken": found[1],
            "email": address,
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        with opener.open(
            f"{self.url}/accounts/signup/", urllib.parse.urlencode(fields).encode(), timeout=TIMEOUT_S
        ) as page:
            assert page.url.endswith("/analyses/"), f"Registering ended at {page.url}."

    def upload(self, content: bytes, *, script: bool = True) -> Answer:
        """Send a video as the page's script does, or as the plain form; OSError or HTTPException when it broke off."""
        sending = self.begin(content, script=script)
        return sending.finish()

    def begin(self, content: bytes, *, script: bool = True) -> "Sending":
        """Open the connection and send the head and nothing of the body yet."""
        return Sending(self, content, "application/json" if script else "text/html")

    def cookie(self, name: str) -> str:
        return next((cookie.value or "" for cookie in self.cookies if cookie.name == name), "")


class Sending:
    """An upload under way."""

    def __init__(self, person: Person, content: bytes, accept: str) -> None:
        self._person = person
        self._body = multipart({"csrfmiddlewaretoken": person.cookie("csrftoken"), "frames": "10"}, content)
        self._sent = 0
        address = urllib.parse.urlsplit(person.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
        self._connection.putrequest("POST", "/analyses/new/")
        self._connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        self._connection.putheader("Content-Length", str(len(self._body)))
        self._connection.putheader("Accept", accept)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
        self._connection.putheader("Cookie", cookies)
        self._connection.endheaders()

    def send(self, share: float) -> None:
        """Send the body up to this share of it."""
        end = int(share * len(self._body))
        self._connection.send(self._body[self._sent : end])
        self._sent = end

    def finish(self) -> Answer:
        """Send what is left and hear the answer; OSError or HTTPException when the connection broke off."""
        try:
            self.send(1.0)
            response = self._connection.getresponse()
            body = response.read().decode(errors="replace")
        finally:
            self._connection.close()
        return self._noted(response.status, str(response.getheader("Location") or ""), body)

    def _noted(self, status: int, location: str, body: str) -> Answer:
        reply: dict[str, Any] = {}
        if body.startswith("{"):
            reply = json.loads(body)
        found = re.search(r"/analyses/([0-9a-f-]{36})/", str(reply.get("location", location)))
        pk = found[1].replace("-", "") if found and status in {201, 302} else ""
        if pk:
            self._person.acknowledged.add(pk)
        sentences = [sentence for of_field in reply.get("errors", {}).values() for sentence in of_field]
        return Answer(status, pk, tuple(map(str, sentences)), body)


def multipart(fields: dict[str, str], content: bytes | None = None) -> bytes:
    """A form's body, its parts divided by BOUNDARY; with ``content``, the upload form's."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if content is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n'
        parts += [head.encode(), b"Content-Type: video/mp4\r\n\r\n", content, b"\r\n"]
    parts.append(f"--{BOUNDARY}--\r\n".encode())
    return b"".join(parts)


def small_clip(folder: Path) -> bytes:
    """Half a second of the sample photograph, as MP4: enough to be accepted."""
    from detector.sample_clip import make_clip

    path = folder / "small.mp4"
    make_clip(path, seconds=0.5, width=128, height=128, frame_rate=10)
    content = path.read_bytes()
    path.unlink()
    return content
