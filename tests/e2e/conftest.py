"""A site that is really started and a browser that reports every error: what the journeys stand on."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, StorageState

from detector.sample_clip import make_clip
from tests.running import ROOT, Site, manage, running_site

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PASSWORD = "a-long-enough-passphrase-7"
ADMINISTRATOR = "administrator@example.org"
SCREENSHOTS = ROOT / "docs" / "screenshots"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RESULT_TIMEOUT_MS = 180_000  # the machine may be busy; usually an analysis takes a few seconds

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's browser instead of one that Playwright would download."""
    assert Path(CHROMIUM).exists(), f"The browser journeys need {CHROMIUM}: apt-get install chromium"
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ARGUMENTS, "headless": True}


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="unmask-e2e-", ignore_cleanup_errors=True) as name,
        running_site(Path(name), DJANGO_SUPERUSER_PASSWORD=PASSWORD) as running,
    ):
        made = manage(
            running.folder,
            "createsuperuser",
            "--noinput",
            f"--email={ADMINISTRATOR}",
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )
        assert made.returncode == 0, made.stderr
        yield running


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the public-domain portrait, moving."""
    path = tmp_path_factory.mktemp("clips") / "astronaut-interview.mp4"
    make_clip(path, seconds=3.0, width=960, height=540)
    return path


@pytest.fixture(scope="session")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "two-people.mp4"
    make_clip(path, seconds=3.0, width=960, height=540, faces=2)
    return path


@pytest.fixture(scope="session")
def owner(browser: Browser, site: Site, clip: Path) -> tuple[StorageState, str]:
    """A logged-in person with two finished analyses of a video: what their browser stores, and one result's address."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    register(page, "reader@example.org")
    address = upload(page, clip, frames=10)
    wait_for_result(page)
    upload(page, clip, frames=11)  # to be compared with
    wait_for_result(page)
    state = context.storage_state()
    context.close()
    return state, address


class Watch:
    """What went wrong in the browser, so that a test fails although the page looks right."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.problems: list[str] = []
        self.expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """A problem that the test brings about on purpose."""
        self.expected.append(re.compile(pattern))

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self._note(f"error in a script: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._note(f"{message.type} on {message.page.url if message.page else '?'}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.site.url, "data:", "blob:")):
            self._note(f"request to elsewhere: {request.url}")

    def _note(self, problem: str) -> None:
        if not any(pattern.search(problem) for pattern in self.expected):
            self.problems.append(problem)


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    watching = Watch(site)
    yield watching
    assert watching.problems == []


@pytest.fixture
def open_page(browser: Browser, site: Site, watch: Watch) -> Iterator[OpenPage]:
    """A page in a fresh context: ``open_page(viewport=…, color_scheme=…, java_script_enabled=…, storage_state=…)``."""
    contexts: list[BrowserContext] = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(
            **{"base_url": site.url, "viewport": DESKTOP, "locale": "en", "reduced_motion": "reduce"} | options
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        watch.follow(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def register(page: Page, address: str) -> None:
    """Make an account through the page; ends logged in."""
    page.goto("/accounts/signup/")
    page.locator("input[name=email]").fill(address)
    page.locator("input[name=password1]").fill(PASSWORD)
    page.locator("input[name=password2]").fill(PASSWORD)
    page.locator("form:has(input[name=password1]) button[type=submit]").click()
    page.wait_for_url("**/analyses/")


def log_in(page: Page, address: str, target: str = "/accounts/login/") -> None:
    """Log in through whatever page asks for it at ``target``."""
    page.goto(target)
    page.locator("input[name=login]").fill(address)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form:has(input[name=password]) button[type=submit]").click()
    page.wait_for_url(re.compile("^(?!.*/accounts/login/).*$"))


def upload(page: Page, clip: Path, frames: int = 12) -> str:
    """Send a video and come to its page; the address of the analysis."""
    page.goto("/analyses/new/")
    page.locator("input[name=video]").set_input_files(clip)
    page.locator("input[name=frames]").fill(str(frames))
    page.locator("form[enctype] button[type=submit]").click()
    page.wait_for_url(re.compile(r"/analyses/[0-9a-f-]{36}/$"))
    return page.url


def wait_for_result(page: Page) -> None:
    """Until the page shows a verdict, by itself (by script or by the page's own refresh)."""
    page.locator(".verdict").wait_for(timeout=RESULT_TIMEOUT_MS)


def check_accessibility(page: Page) -> None:
    """No rule of WCAG 2.2, levels A and AA, that can be checked by a machine is broken on this page."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]})
    broken = [
        f"{violation['id']} ({violation['help']}): " + "; ".join(node["html"][:160] for node in violation["nodes"][:4])
        for violation in found.response["violations"]
    ]
    assert broken == [], f"{page.url}:\n" + "\n".join(broken)


def check_width(page: Page) -> None:
    """Nothing makes the page scroll sideways."""
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{page.url} is {widths[0]} px wide in a window of {widths[1]} px."


def take_screenshot(page: Page, name: str, *, width: int = 1280, height: int = 900) -> None:
    """Renew a picture of the README, when asked to by SCREENSHOTS=1."""
    if os.environ.get("SCREENSHOTS") == "1":
        before = page.viewport_size
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_load_state("networkidle")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
        if before is not None:
            page.set_viewport_size(before)
