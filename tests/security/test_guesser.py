"""The guessers of guesser.py, for an hour where that is soon done; docs/security.md tells of all, and of a day."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as site

from tests.security import guesser

pytestmark = pytest.mark.django_db
PAGE = Path(site.BASE_DIR) / "docs" / "security.md"
# How many tries may be looked at within an hour; what the page says may not be more.
AT_MOST = {
    guesser.one_account_one_address: 30,
    guesser.invented_forwarding: 30,
    guesser.one_account_many_addresses: 50,
    guesser.one_account_stolen_cookie: 50,
    guesser.many_accounts_one_address: 100,
    guesser.second_factor: 30,
    guesser.reauthentication: 50,
    guesser.change_of_password: 20,
    guesser.reset_key: 1200,
    guesser.sign_up: 60,
    guesser.reset_one: 5,
    guesser.reset_many: 60,
}
SOON_DONE = [guesser.one_account_many_addresses, guesser.second_factor, guesser.change_of_password, guesser.reset_one]


@pytest.mark.parametrize("make", SOON_DONE, ids=lambda make: str(make.__name__))
def test_an_hour_of_guessing_gets_through_as_seldom_as_the_page_says(make: Callable[[], Callable[[int], bool]]) -> None:
    (played,) = (one for one in guesser.GUESSERS if one.make is make)

    seen = guesser.play(guesser.Guesser(played.words, played.make, 20, within_a_day=False))

    assert 0 < seen.in_an_hour <= AT_MOST[make]
    assert seen.in_an_hour < seen.tried


def test_the_page_tells_of_no_more_than_is_allowed() -> None:
    table = PAGE.read_text(encoding="utf-8").partition(guesser.BEGIN)[2].partition(guesser.END)[0]
    rows = dict(
        [[cell.strip() for cell in line.strip("|").split("|")][::2] for line in table.splitlines() if "|" in line]
    )

    assert list(rows)[2:] == [one.words for one in guesser.GUESSERS]
    assert [one.words for one in guesser.GUESSERS if int(rows[one.words]) > AT_MOST[one.make]] == []
