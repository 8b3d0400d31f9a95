"""Settings: what is written down, what is made on the first start, and what the environment changes."""

import ast
import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from redis import Redis

from deepfakesite import instance, secret_key

BASE_DIR = Path(site.BASE_DIR)


def variables_read() -> set[str]:
    """The first argument of every env.xyz("…") in settings.py."""
    tree = ast.parse((BASE_DIR / "deepfakesite/settings.py").read_text(encoding="utf-8"))
    return {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


VARIABLES = variables_read()  # once: CPython 3.11 can parse in one thread at a time alone, and some tests have two


def settings_with(folder: Path, **environment: str) -> dict[str, Any]:
    """A few settings as another process reads them from this environment."""
    script = (
        "import json; from deepfakesite import settings as s; print(json.dumps({"
        "'media': str(s.MEDIA_ROOT), 'database': str(s.DATABASES['default']['NAME']), 'redis': s.REDIS_URL,"
        "'debug': s.DEBUG, 'secure': s.SESSION_COOKIE_SECURE, 'bytes': s.UNMASK.max_upload_bytes,"
        "'days': [s.RETENTION_DAYS, s.AUDIT_RETENTION_DAYS],"
        "'key': s.SECRET_KEY, 'precision': s.NETWORK_PRECISION, 'proxy': s.SECURE_PROXY_SSL_HEADER}))"
    )
    result = started(script, folder, environment)
    result.check_returncode()
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def started(script: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=BASE_DIR,
        env={**clean, "DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_variable_is_in_the_example() -> None:
    example = (BASE_DIR / ".env.example").read_text(encoding="utf-8")
    documented = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))

    assert VARIABLES - documented == set()


def test_one_folder_holds_everything_that_changes(tmp_path: Path) -> None:
    found = settings_with(tmp_path)

    assert found["media"] == str(tmp_path / "media")
    assert found["database"] == str(tmp_path / "unmask.sqlite3")
    assert found["redis"] == f"unix://{tmp_path}/valkey.sock"
    assert found["precision"] == "auto"
    assert (tmp_path / "secret_key").read_text(encoding="ascii") == found["key"]


@pytest.mark.parametrize("name", ["c++ and more", "100%41 #1?"])
def test_the_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name

    values = settings_with(folder, DATABASE_URL="", REDIS_URL="")

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert values["database"] == str(folder / "unmask.sqlite3")
    queue = Redis.from_url(values["redis"])
    assert queue.connection_pool.connection_kwargs["path"] == str(folder / "valkey.sock")
    queue.close()


def test_defaults_are_for_production(tmp_path: Path) -> None:
    found = settings_with(tmp_path)

    assert found["debug"] is False
    assert found["secure"] is False
    assert found["proxy"] is None
    assert found["bytes"] == 2 * 1024**3


def test_the_environment_changes_them(tmp_path: Path) -> None:
    found = settings_with(tmp_path, HTTPS="on", TRUSTED_PROXY_COUNT="1", MAX_UPLOAD_BYTES="1000")

    assert found["secure"] is True
    assert found["proxy"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert found["bytes"] == 1000


@pytest.mark.parametrize(("name", "kept"), [("RETENTION_DAYS", "videos"), ("AUDIT_RETENTION_DAYS", "the audit trail")])
@pytest.mark.parametrize("days", ["-1", "36501", "10000000"])
def test_days_beyond_the_calendar_are_refused_at_the_start(tmp_path: Path, name: str, kept: str, days: str) -> None:
    refused = started("import deepfakesite.settings", tmp_path, {name: days})

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        f"ImproperlyConfigured: {name} is a number of days up to 36500, or 0 to keep {kept}."
    )


def test_a_hundred_years_are_taken(tmp_path: Path) -> None:
    found = settings_with(tmp_path, RETENTION_DAYS="36500", AUDIT_RETENTION_DAYS="36500")

    assert found["days"] == [36500, 36500]


class TestSecretKey:
    def test_is_made_once_and_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "secret_key"

        key = secret_key.load_or_make(path)

        assert len(key) >= 50
        assert secret_key.load_or_make(path) == key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(path.parent.iterdir()) == [path]

    def test_is_the_same_for_all_who_start_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "secret_key"

        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(lambda _: secret_key.load_or_make(path), range(32)))

        assert len(keys) == 1

    @pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
    def test_is_its_owners_alone_whatever_the_umask(self, tmp_path: Path, umask: int) -> None:
        path = tmp_path / "secret_key"
        before = os.umask(umask)
        try:
            key = secret_key.load_or_make(path)
        finally:
            os.umask(before)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text(encoding="ascii") == key

    def test_two_first_starts_at_once_have_one_key(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            keys = {found["key"] for found in pool.map(lambda _: settings_with(tmp_path), range(2))}

        assert keys == {(tmp_path / "secret_key").read_text(encoding="ascii")}
        assert not list(tmp_path.glob("secret_key.*"))

    def test_is_refused_when_it_is_too_short(self, tmp_path: Path) -> None:
        path = tmp_path / "secret_key"
        path.write_text("short", encoding="ascii")

        with pytest.raises(RuntimeError, match="Delete the file to have a new one made"):
            secret_key.load_or_make(path)


@pytest.mark.parametrize("exists", [True, False])
def test_the_database_is_its_owners_alone_even_in_an_open_folder(tmp_path: Path, exists: bool) -> None:
    tmp_path.chmod(0o755)
    database = tmp_path / "unmask.sqlite3"
    if exists:
        database.write_bytes(b"rows")
        database.chmod(0o644)

    instance.keep_private(database)

    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert database.read_bytes() == (b"rows" if exists else b"")
