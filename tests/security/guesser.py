"""What somebody who guesses can try within an hour and a day, measured by letting them try.

``python -m tests.security.guesser`` plays each guesser against the real views, with the real limits and a clock that is
moved on, and prints how many tries were looked at; ``--write PAGE`` puts the table into docs/security.md.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import time_machine

if TYPE_CHECKING:
    from django.test import Client

    from accounts.models import User

BEGIN, END = "<!-- guesser: begin (made by `make guesser`) -->", "<!-- guesser: end -->"
HEAD = (
    "| who guesses at what | tried within an hour | looked at | within a day |",
    "| --- | ---: | ---: | ---: |",
)
PASSWORD = "correct horse battery staple"
TOO_MANY = "Too many failed login attempts"
MIDNIGHT = "2026-01-01T00:00:00Z"
HOUR_S = 3600
LATER_EVERY_S = 30.0  # more often than any limit lets through for long


@dataclass(frozen=True)
class Guesser:
    """``make`` is called at the beginning and returns what makes one try and tells whether it was looked at."""

    words: str
    make: "Callable[[], Callable[[int], bool]]"
    every_s: float
    within_a_day: bool = True


@dataclass(frozen=True)
class Measured:
    tried: int
    in_an_hour: int
    in_a_day: int | None


def play(guesser: Guesser, *, hours: int = 24) -> Measured:
    """Tries all the time for an hour, then twice a minute until the day is over; the clock is moved, nothing waits."""
    from django.core.cache import cache

    with time_machine.travel(MIDNIGHT, tick=False) as clock:
        cache.clear()
        attempt = guesser.make()
        count, in_an_hour = 0, 0
        per_hour = round(HOUR_S / guesser.every_s)
        for number in range(per_hour):
            count += attempt(number)
            clock.shift(guesser.every_s)
        in_an_hour = count
        if not guesser.within_a_day:
            return Measured(per_hour, in_an_hour, None)
        for number in range(round((hours - 1) * HOUR_S / LATER_EVERY_S)):
            count += attempt(per_hour + number)
            clock.shift(LATER_EVERY_S)
        return Measured(per_hour, in_an_hour, count)


def _person(email: str = "ann@example.org") -> "User":
    from accounts.models import User

    return User.objects.filter(email=email).first() or User.objects.create_user(email, PASSWORD)


def _browser() -> "Client":
    from django.test import Client

    return Client()


def _address(number: int) -> str:
    return f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"


def _wrong_password(client: "Client", login: str, address: str) -> bool:
    """One try at the log-in; whether the password was looked at."""
    from django.urls import reverse

    values = {"login": login, "password": "a wrong password"}
    response = client.post(reverse("account_login"), values, REMOTE_ADDR=address)
    return response.status_code == 200 and TOO_MANY not in response.content.decode()


def one_account_one_address() -> Callable[[int], bool]:
    login, client = _person().email, _browser()
    return lambda _number: _wrong_password(client, login, "10.0.0.1")


def one_account_many_addresses() -> Callable[[int], bool]:
    login, client = _person().email, _browser()
    return lambda number: _wrong_password(client, login, _address(number))


def one_account_stolen_cookie() -> Callable[[int], bool]:
    """The cookie of a browser that the account knows, copied to many addresses."""
    from django.urls import reverse

    login, client = _person().email, _browser()
    client.post(reverse("account_login"), {"login": login, "password": PASSWORD})
    del client.cookies["sessionid"]
    return lambda number: _wrong_password(client, login, _address(number))


def many_accounts_one_address() -> Callable[[int], bool]:
    """Password spraying: one password, another account each time."""
    client = _browser()
    return lambda number: _wrong_password(client, f"person{number}@example.org", "10.0.0.1")


def invented_forwarding() -> Callable[[int], bool]:
    """One address that claims to be others; no proxy is trusted."""
    from django.urls import reverse

    login, client = _person().email, _browser()

    def attempt(number: int) -> bool:
        values, forwarded = {"login": login, "password": "a wrong password"}, {"x-forwarded-for": _address(number)}
        response = client.post(reverse("account_login"), values, headers=forwarded, REMOTE_ADDR="10.0.0.1")
        return response.status_code == 200 and TOO_MANY not in response.content.decode()

    return attempt


def second_factor() -> Callable[[int], bool]:
    """Codes by somebody who has the password, from another address each time."""
    from allauth.mfa.models import Authenticator
    from allauth.mfa.totp.internal.auth import generate_totp_secret
    from allauth.mfa.utils import encrypt
    from django.urls import reverse

    person = _person()
    data = {"secret": encrypt(generate_totp_secret())}
    Authenticator.objects.get_or_create(user=person, type=Authenticator.Type.TOTP, defaults={"data": data})
    client = _browser()

    def attempt(number: int) -> bool:
        address = _address(number)
        if "account_login" not in client.session:  # the first step is forgotten after a quarter of an hour
            client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD}, REMOTE_ADDR=address)
        response = client.post(reverse("mfa_authenticate"), {"code": f"{number:06}"}, REMOTE_ADDR=address)
        return response.status_code == 200 and "Incorrect code." in response.content.decode()

    return attempt


def reauthentication() -> Callable[[int], bool]:
    """The password again, by somebody with a stolen session."""
    from django.urls import reverse

    client = _browser()
    client.force_login(_person("reauthenticated@example.org"))

    def attempt(number: int) -> bool:
        values = {"password": "a wrong password"}
        response = client.post(reverse("account_reauthenticate"), values, REMOTE_ADDR=_address(number))
        return response.status_code == 200 and "Incorrect password" in response.content.decode()

    return attempt


def change_of_password() -> Callable[[int], bool]:
    """The old password, asked for with a new one, by somebody with a stolen session."""
    from django.urls import reverse

    client = _browser()
    client.force_login(_person("changing@example.org"))
    new = "another long enough password"

    def attempt(number: int) -> bool:
        values = {"oldpassword": "a wrong password", "password1": new, "password2": new}
        response = client.post(reverse("account_change_password"), values, REMOTE_ADDR=_address(number))
        return response.status_code == 200

    return attempt


def sign_up() -> Callable[[int], bool]:
    """Accounts that are made, from one address."""
    from django.urls import reverse

    def attempt(number: int) -> bool:
        values = {"email": f"new{number}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        return _browser().post(reverse("account_signup"), values, REMOTE_ADDR="10.0.0.1").status_code == 302

    return attempt


def reset_one() -> Callable[[int], bool]:
    """Mails with a link that one person can be sent, from wherever."""
    from django.urls import reverse

    email = _person().email

    def attempt(number: int) -> bool:
        address = _address(number)
        return (
            _browser().post(reverse("account_reset_password"), {"email": email}, REMOTE_ADDR=address).status_code == 302
        )

    return attempt


def reset_many() -> Callable[[int], bool]:
    """Mails to whomever, from one address."""
    from django.urls import reverse

    def attempt(number: int) -> bool:
        values = {"email": f"person{number}@example.org"}
        return _browser().post(reverse("account_reset_password"), values, REMOTE_ADDR="10.0.0.1").status_code == 302

    return attempt


def reset_key() -> Callable[[int], bool]:
    """Keys of links to a new password, from one address."""
    from allauth.account.utils import user_pk_to_url_str
    from django.urls import reverse

    uid = user_pk_to_url_str(_person())

    def attempt(number: int) -> bool:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": f"d0000-{number:032x}"})
        return _browser().post(path, REMOTE_ADDR="10.0.0.1").status_code == 200

    return attempt


GUESSERS = (
    Guesser("passwords of one account, from one address", one_account_one_address, 10),
    Guesser("the same, with X-Forwarded-For invented", invented_forwarding, 10),
    Guesser("passwords of one account, from a new address each time", one_account_many_addresses, 10),
    Guesser("the same, with a stolen cookie of a known browser", one_account_stolen_cookie, 10),
    Guesser("one password of many accounts, from one address", many_accounts_one_address, 10),
    Guesser("codes of the second factor, with the password, from anywhere", second_factor, 10),
    Guesser("the password once more, with a stolen session", reauthentication, 10),
    Guesser("the old password at a change, with a stolen session", change_of_password, 10),
    Guesser("keys of links to a new password, from one address", reset_key, 2.5, within_a_day=False),
    Guesser("accounts made from one address", sign_up, 10, within_a_day=False),
    Guesser("mails to one person, asked for from anywhere", reset_one, 10, within_a_day=False),
    Guesser("mails to anybody, asked for from one address", reset_many, 10, within_a_day=False),
)


def markdown(found: Sequence[tuple[Guesser, Measured]]) -> str:
    def row(guesser: Guesser, seen: Measured) -> str:
        day = "" if seen.in_a_day is None else str(seen.in_a_day)
        return f"| {guesser.words} | {seen.tried} | {seen.in_an_hour} | {day} |"

    return "\n".join([*HEAD, *(row(*pair) for pair in found)])


def write(page: Path, table: str) -> None:
    """Puts the table between its two marks; raises ValueError when the page has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks between which the table belongs: {BEGIN} and {END}.")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


@contextmanager
def _platform() -> Iterator[None]:
    """An installation of its own with an empty database; hashing is made cheap, all else is as it is served."""
    import django
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF;"  # it outlives nothing
    storage: dict[str, Any] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": storage}
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security.guesser", description="Guesses for a day.")
    parser.add_argument("--only", default="", metavar="WORDS", help="only guessers whose words begin with this")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE", help="put the table into that page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unmask-guesser-") as own:  # nothing of anybody's installation
        os.environ.update(
            DATA_DIR=own,
            DJANGO_SETTINGS_MODULE="deepfakesite.settings",
            DATABASE_URL="",
            REDIS_URL="",
            CACHE_URL="dbcache://cache_entries",
            LOG_LEVEL="ERROR",
            EMAIL_URL="consolemail://",
            HTTPS="off",
            TRUSTED_PROXY_COUNT="0",
        )
        with _platform():
            chosen = [guesser for guesser in GUESSERS if guesser.words.startswith(options.only)]
            found = [(guesser, play(guesser)) for guesser in chosen]
    table = markdown(found)
    print(table)
    if options.write is not None:
        write(options.write, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
