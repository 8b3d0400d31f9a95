"""Every page against the rules of WCAG 2.2 (A and AA) that a machine can check: light and dark, wide and narrow."""

import pytest
from playwright.sync_api import Page, StorageState

from tests.e2e.conftest import (
    ADMINISTRATOR,
    DESKTOP,
    PHONE,
    OpenPage,
    Watch,
    check_accessibility,
    check_width,
    log_in,
)

LOOKS = [
    pytest.param(viewport, scheme, id=f"{name}-{scheme}")
    for name, viewport in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]
OPEN_PAGES = ["/", "/about/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]
OWN_PAGES = [
    "/analyses/",
    "/analyses/new/",
    "/accounts/profile/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/sessions/",
    "/accounts/logout/",
]


def look_at(page: Page, addresses: list[str]) -> None:
    for address in addresses:
        page.goto(address)
        check_accessibility(page)
        check_width(page)


def test_a_planted_fault_is_found(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/about/")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")

    with pytest.raises(AssertionError, match="label"):
        check_accessibility(page)


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS)
def test_pages_that_are_open_to_all(open_page: OpenPage, viewport: dict[str, int], scheme: str) -> None:
    look_at(open_page(viewport=viewport, color_scheme=scheme), OPEN_PAGES)


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS)
def test_pages_of_a_person(
    open_page: OpenPage, owner: tuple[StorageState, str], viewport: dict[str, int], scheme: str
) -> None:
    state, result = owner
    page = open_page(viewport=viewport, color_scheme=scheme, storage_state=state)

    look_at(page, [*OWN_PAGES, result, f"{result}again/", f"{result}compare/", f"{result}delete/"])


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE, {"width": 320, "height": 700}], ids=["desktop", "phone", "small"])
def test_the_staff_page(open_page: OpenPage, owner: tuple[StorageState, str], viewport: dict[str, int]) -> None:
    page = open_page(viewport=viewport)
    log_in(page, ADMINISTRATOR)

    look_at(page, ["/staff/"])
    page.locator("[data-menu] summary").click()
    check_accessibility(page)


def test_the_page_of_what_is_not_there(open_page: OpenPage, watch: Watch) -> None:
    watch.expect("404")

    look_at(open_page(), ["/nowhere/"])
