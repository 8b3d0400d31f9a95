"""What every test finds: settings that touch nothing outside a temporary folder, and a queue server on request."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_django import Settings
    from rq import Queue

# The settings read the environment once, when they are first asked for anything: say it before that.
FOLDER = Path(tempfile.mkdtemp(prefix="unmask-tests-"))
# A developer's own .env fills in only what is not set here: tests must never reach their database, queue or mail.
os.environ.update(
    DATA_DIR=str(FOLDER),
    DATABASE_URL=f"sqlite:///{FOLDER / 'unmask.sqlite3'}",
    REDIS_URL=f"unix://{FOLDER / 'valkey.sock'}",
    EMAIL_URL="consolemail://",
    DEBUG="False",
    HTTPS="False",
    LOG_FORMAT="line",
    METRICS_TOKEN="",
    NETWORK_PRECISION="float32",
    RETENTION_DAYS="0",
    SECRET_KEY="only-for-tests-" + "0123456789abcdef" * 4,
    ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
    DJANGO_SETTINGS_MODULE="deepfakesite.settings",
)


def pytest_configure() -> None:
    """Load the settings now: pytest-django sets Django up afterwards, as it does with settings made in a conftest."""
    from django.conf import settings

    # The real ones are slow by design.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # The real storage wants collectstatic to have run; whether that works is for tests/ops to find out.
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.STATIC_ROOT = FOLDER / "static"
    settings.STATIC_ROOT.mkdir()
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def pytest_unconfigure() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture(autouse=True)
def _separate(settings: "Settings", tmp_path: Path) -> Iterator[None]:
    """Every test has its own media folder and no memory of rate limits."""
    from django.core.cache import cache

    settings.MEDIA_ROOT = tmp_path / "media"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(scope="session")
def queue_server() -> Iterator[str]:
    """The carried Valkey, really started; its URL."""
    from django.conf import settings

    from deepfakesite import valkey
    from deepfakesite.supervision import LEASH

    leashed = [sys.executable, str(LEASH), str(os.getpid()), *valkey.command(FOLDER / "valkey.sock", FOLDER)]
    with subprocess.Popen(leashed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = settings.RQ_QUEUES["default"]["URL"]
        assert valkey.wait_until_answers(url, process)
        yield url
        process.terminate()


@pytest.fixture
def queue(queue_server: str) -> Iterator["Queue"]:
    """The default queue on a real server, empty before and after the test."""
    import django_rq

    default: Queue = django_rq.get_queue("default")
    default.connection.flushall()
    yield default
    default.connection.flushall()
    default.connection.close()
