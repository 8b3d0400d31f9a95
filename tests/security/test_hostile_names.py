"""Names that people give to files and to themselves: shown as words on every page, never as markup, never as a path."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from analysis import inspection, tasks
from analysis.models import Analysis, State, Video
from audit.models import Entry
from tests.analysis.builders import PASSWORD, make_analysis, make_results, make_user

pytestmark = pytest.mark.django_db

MARK = "unlikely"
NAMES = {
    "html": f"<img src=x onerror=alert(1)>{MARK}\"'><svg onload=alert(1)><script>alert(1).mp4",
    "template": f"{{{{ settings.SECRET_KEY }}}}{{% debug %}}{MARK}.mp4",
    "newlines": f"{MARK}\r\nSet-Cookie: evil=1\r\n\r\n2026-01-01 CRITICAL forged.mp4",
    "controls": f"{MARK}\x00\x07\x1b[2J\x7f\x85.mp4",
    "right-to-left": f"{MARK}\u202egpj.4pm\u2066\u200f\ufeff",
    "separators": f"{MARK}\u2028forged\u2029.mp4",
    "long": MARK + "x" * 500 + ".mp4",
    "path": f"../../../../etc/{MARK}.passwd",
    "windows": f"C:\\Windows\\..\\{MARK}.ini",
    "half a pair": f"{MARK}\ud83d.mp4",
    "spreadsheet": f"=cmd|' /C calc'!A0{MARK}.mp4",
    "nothing": "\u202e\x00",
}


class Page(HTMLParser):
    """What a browser would run or be led to, in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.classes: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._in_script = tag == "script" and found.get("type", "") not in {"application/json"}
        if tag == "script" and self._in_script and "src" not in found:
            self.bad.append("<script>")
        if tag == "style":
            self.bad.append("<style>")
        for name, value in found.items():
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.bad.append(f"<{tag} {name}>")
            if name in {"href", "src", "action", "formaction", "data"}:
                if re.match(r"\s*(javascript|data|vbscript):", value, re.IGNORECASE):
                    self.bad.append(f"<{tag} {name}={value[:20]}>")
                if name != "href" and re.match(r"(https?:)?//", value):
                    self.bad.append(f"<{tag} {name}={value}>")


def hidden(words: str) -> list[str]:
    """Characters that a browser would not show, or that turn the writing round."""
    return re.findall(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]", words
    )


@pytest.fixture(autouse=True)
def any_file_is_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    found = inspection.Inspection("mov,mp4", "h264", 640, 360, 10.0, 25.0)
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: found)
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)


def upload(client: Client, name: str) -> Analysis:
    """Sends a file under that very name, in the bytes that a browser or a script may send."""
    quoted = name.replace("\\", "\\\\").replace('"', "%22").encode("utf-8", "surrogatepass")
    head = b'--x\r\nContent-Disposition: form-data; name="frames"\r\n\r\n20\r\n--x\r\nContent-Disposition: form-data; '
    body = head + b'name="video"; filename="' + quoted + b'"\r\n\r\nbytes\r\n--x--\r\n'
    client.generic("POST", reverse("analysis:new"), body, "multipart/form-data; boundary=x")
    stored = Video.objects.first()
    if stored is None:  # a line break ends the header of a part: send it as a client that encodes it does
        client.post(reverse("analysis:new"), {"video": SimpleUploadedFile("x", b"bytes"), "frames": "20"})
        stored = Video.objects.get()
    if MARK in name and MARK not in stored.name:
        from analysis.uploads import clean_name

        Video.objects.filter(pk=stored.pk).update(name=clean_name(name))
    return stored.analyses.get()


PAGES = ["detail", "again", "delete"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_name_is_shown_as_words_everywhere(client: Client, name: str) -> None:
    owner, browser = make_user(display_name="Ann"), Client()
    client.force_login(owner)
    browser.force_login(make_user(staff=True))
    analysis = upload(client, name)
    pages = [(client, reverse(f"analysis:{page}", args=[analysis.pk])) for page in PAGES]
    pages += [(client, reverse("analysis:list"))]
    for model, pk in (("analysis", analysis.pk), ("video", analysis.video_id)):
        for page in ("change", "delete", "history"):
            pages.append((browser, reverse(f"admin:analysis_{model}_{page}", args=[pk])))
        pages.append((browser, reverse(f"admin:analysis_{model}_changelist")))
    pages.append((browser, reverse("admin:audit_entry_changelist")))

    for state in (State.QUEUED, State.FAILED, State.DONE):
        bring_to(analysis, state)
        for one, path in pages:
            html = one.get(path).content.decode()
            assert Page(html).bad == [], path
            assert hidden(html) == [], path
    assert len(Video.objects.get().name) <= 200
    shown = client.get(reverse("analysis:detail", args=[analysis.pk])).content.decode()
    assert MARK in shown or MARK not in name


class Writing(HTMLParser):
    """Where a page has words with ``MARK`` that no <bdi> keeps from turning the writing beside them round."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.mixed: list[str] = []
        self.isolated, self._apart, self._title = 0, False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._apart, self._title = self._apart or tag == "bdi", self._title or tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._apart, self._title = self._apart and tag != "bdi", self._title and tag != "title"

    def handle_data(self, data: str) -> None:
        if MARK in data and not self._title:
            self.isolated += self._apart
            if not self._apart:
                self.mixed.append(data)


def test_a_name_in_hebrew_leaves_the_words_beside_it_where_they_are(client: Client) -> None:
    browser = Client()
    client.force_login(make_user(display_name=f"\u05d3\u05e0\u05d4 {MARK}"))
    browser.force_login(make_user(staff=True))
    analysis = upload(client, f"\u05d5\u05d9\u05d3\u05d0\u05d5 {MARK} (1).mp4")
    for state in (State.QUEUED, State.FAILED, State.DONE):
        bring_to(analysis, state)
        paths = [reverse(f"analysis:{page}", args=[analysis.pk]) for page in (*PAGES, "compare")]
        for path in [reverse("analysis:list"), *paths]:
            for one in (client, browser):
                writing = Writing(one.get(path).content.decode())
                assert writing.mixed == [], path
                assert writing.isolated or path.endswith("compare/") or one is browser, path


def bring_to(analysis: Analysis, state: State) -> None:
    from django.utils import timezone

    values = {"state": state, "finished_at": timezone.now()}
    if state == State.FAILED:
        values["error_code"] = "internal"
    if state == State.DONE:
        values |= {"verdict": "FAKE", "probability_fake": 0.97, "confidence": 0.97}
        make_results(analysis)
    Analysis.objects.filter(pk=analysis.pk).update(**values)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_name_reaches_neither_the_disk_nor_a_header_nor_the_trail(
    client: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.force_login(make_user())
    analysis = upload(client, name)
    bring_to(analysis, State.DONE)

    report = client.get(reverse("analysis:report", args=[analysis.pk]), {"download": ""})
    video = client.get(reverse("analysis:video", args=[analysis.pk]), {"download": ""})
    b"".join(video)
    video.close()

    paths = [str(path) for path in Path(site.DATA_DIR).rglob("*")] + [str(p) for p in Path(site.MEDIA_ROOT).rglob("*")]
    assert not [path for path in paths if MARK in path]
    assert analysis.video.file.name == f"videos/{analysis.video_id}/original"
    for response in (report, video):
        sent = response.headers["Content-Disposition"]
        assert re.fullmatch(
            r'attachment; filename(\*=utf-8\'\'[\w.%~-]+|="[^"\x00-\x1f\x7f]*(\\"[^"\x00-\x1f]*)*")', sent
        )
        assert "Set-Cookie" not in response.headers or "evil" not in response.headers["Set-Cookie"]
    assert MARK not in report.content.decode()
    assert MARK not in caplog.text
    assert not [entry for entry in Entry.objects.all() if MARK in f"{entry.details}{entry.object_id}"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_display_name_is_shown_as_words_everywhere(client: Client, name: str) -> None:
    person, browser = make_user("ann@example.org"), Client()
    client.force_login(person)
    browser.force_login(make_user(staff=True))
    analysis = make_analysis(State.DONE, owner=person)
    other = make_analysis(State.DONE, video=analysis.video)

    client.post(reverse("profile"), {"display_name": name[:80].encode("utf-8", "replace").decode()})
    person.refresh_from_db()

    pages = [
        (client, reverse("profile")),
        (client, reverse("home")),
        (browser, reverse("admin:accounts_user_changelist")),
    ]
    pages.append((browser, reverse("admin:accounts_user_change", args=[person.pk])))
    pages.append((browser, reverse("analysis:compare_with", args=[analysis.pk, other.pk])))
    for one, path in pages:
        html = one.get(path).content.decode()
        assert Page(html).bad == [], path
        assert hidden(html) == [], path


@pytest.mark.parametrize("page", ["account_signup", "account_reset_password"])
def test_an_address_that_would_turn_the_writing_round_is_refused(client: Client, page: str) -> None:
    values = {"email": "ann@exa\u202emple.org", "password1": PASSWORD, "password2": PASSWORD}

    html = client.post(reverse(page), values).content.decode()

    assert "Enter a valid email address." in html
    assert mail.outbox == []


def test_an_address_cannot_add_a_header_to_a_mail(client: Client, settings: Settings) -> None:
    for email in (
        "ann@example.org\nBcc: all@example.org",
        "ann@example.org\r\n\r\nbody",
        "ann@example.org,b@example.org",
    ):
        client.post(reverse("account_reset_password"), {"email": email})
        client.post(reverse("account_signup"), {"email": email, "password1": PASSWORD, "password2": PASSWORD})

    assert not [message for message in mail.outbox if "all@" in str(message.message()) or len(message.to) > 1]


@pytest.mark.parametrize(
    "name",
    ["index", "accounts_user_add", "accounts_user_changelist", "analysis_modelversion_changelist", "password_change"],
)
def test_the_administration_holds_no_script_or_style_of_its_own(client: Client, name: str) -> None:
    client.force_login(make_user(staff=True))

    assert Page(client.get(reverse(f"admin:{name}"), follow=True).content.decode()).bad == []


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "about",
        "account_login",
        "account_signup",
        "account_reset_password",
        "profile",
        "account_email",
        "account_change_password",
        "mfa_index",
        "usersessions_list",
        "analysis:new",
        "analysis:list",
        "analysis:staff",
    ],
)
def test_no_page_holds_a_script_or_a_style(client: Client, name: str) -> None:
    if not name.startswith("account_") or name in {"account_email", "account_change_password"}:
        client.force_login(make_user(staff=True))

    assert Page(client.get(reverse(name), follow=True).content.decode()).bad == []
