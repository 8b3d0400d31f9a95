"""What a page sends to a browser that has nothing of it yet, and whether anything on it jumps: wide and narrow.

Budgets are what was measured (docs/performance-web.md) and some room; a page that outgrows its budget should have a
reason for it.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, StorageState

from tests.e2e.conftest import DESKTOP, PHONE, OpenPage, register, upload

KB = 1000
MOST_SHIFT = 0.02  # WCAG has no rule for it; 0.1 is what browsers' makers call good, and these pages have at most 0.002
# Adds up every shift of the whole visit, not only those of the worst five seconds.
_WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push({
            value: entry.value,
            moved: entry.sources.map(one => one.node && (one.node.className || one.node.nodeName)),
        });
    }).observe({type: "layout-shift", buffered: true});
"""
_SCROLL = """
    async () => {
        const pause = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)));
        const height = document.documentElement.scrollHeight;
        for (let y = 0; y < height; y += innerHeight / 2) { scrollTo(0, y); await pause(); }
        for (const strip of document.querySelectorAll(".frames-strip, .faces__strip")) {
            const step = strip.clientWidth / 2;
            for (let x = 0; x < strip.scrollWidth; x += step) { strip.scrollLeft = x; await pause(); }
        }
        scrollTo(0, 0);
        await pause();
    }
"""
VIEWPORTS = [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]


class Scales:
    """Bytes of each kind that came over the network to one page, heads of the answers included."""

    def __init__(self, page: Page) -> None:
        self.by_kind: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}
        self._session = page.context.new_cdp_session(page)
        self._session.on("Network.responseReceived", self._begun)
        self._session.on("Network.loadingFinished", self._ended)
        self._session.send("Network.enable")
        self._session.send("Network.setCacheDisabled", {"cacheDisabled": True})

    @property
    def total(self) -> int:
        """Of everything but videos, which browsers take as much of as they like."""
        return sum(count for kind, count in self.by_kind.items() if kind != "Media")

    def _begun(self, event: dict[str, Any]) -> None:
        self._kinds[event["requestId"]] = event["type"]

    def _ended(self, event: dict[str, Any]) -> None:
        kind = self._kinds.get(event["requestId"], "Other")
        self.by_kind[kind] += round(event["encodedDataLength"])
        self.requests[kind] += 1


def visited(page: Page, address: str) -> tuple[Scales, Scales]:
    """What a page took at first sight, and what in all once it was scrolled through; ends at its top again."""
    page.add_init_script(_WATCH_SHIFTS)
    first, whole = Scales(page), Scales(page)
    page.goto(address, wait_until="networkidle")
    seen = Counter(first.by_kind)
    page.evaluate(_SCROLL)
    page.wait_for_load_state("networkidle")
    first.by_kind = seen
    return first, whole


def check_stillness(page: Page) -> None:
    shifts = page.evaluate("window.shifts")
    assert sum(shift["value"] for shift in shifts) < MOST_SHIFT, f"{page.url} jumps: {shifts}"


def check_weight(page: Page, weight: int, budget_kb: float) -> None:
    assert 0 < weight < budget_kb * KB, f"{page.url} weighs {weight / KB:.0f} KB and may weigh {budget_kb} KB."


def test_a_planted_jump_is_seen(open_page: OpenPage) -> None:
    page = open_page()
    visited(page, "/about/")
    page.evaluate("""
        () => new Promise(done => {
            const planted = document.createElement("p");
            planted.style.height = "300px";
            document.querySelector("main").prepend(planted);
            requestAnimationFrame(() => setTimeout(done, 200));
        })
    """)

    with pytest.raises(AssertionError, match="jumps"):
        check_stillness(page)


@pytest.mark.parametrize("viewport", VIEWPORTS)
@pytest.mark.parametrize(("address", "budget_kb"), [("/", 40), ("/analyses/", 110)], ids=["front", "history"])
def test_pages_of_words_are_light_and_still(
    open_page: OpenPage, owner: tuple[StorageState, str], viewport: dict[str, int], address: str, budget_kb: float
) -> None:
    state, _result = owner
    page = open_page(viewport=viewport, storage_state=state)

    _first, whole = visited(page, address)

    check_weight(page, whole.total, budget_kb)
    check_stillness(page)


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_a_result_is_light_at_first_sight_and_still(
    open_page: OpenPage, owner: tuple[StorageState, str], viewport: dict[str, int]
) -> None:
    state, result = owner
    page = open_page(viewport=viewport, storage_state=state)

    first, whole = visited(page, result)

    check_weight(page, first.total, 700)
    check_weight(page, whole.total, 1700)
    check_stillness(page)


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_progress_is_light_and_still_while_it_goes_on(
    open_page: OpenPage, clip: Path, viewport: dict[str, int], request: pytest.FixtureRequest
) -> None:
    page = open_page(viewport=viewport)
    register(page, f"watching-{request.node.callspec.id}@example.org")
    address = upload(page, clip, frames=120)

    with page.expect_response("**/progress/"):
        _first, whole = visited(page, address)
    page.wait_for_function("window.shifts !== undefined")

    check_weight(page, whole.total, 110)
    check_stillness(page)
    page.get_by_role("button", name="Cancel").click()
