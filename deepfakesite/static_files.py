"""Collects the static files when they have changed since the last time, and only then."""

import hashlib
import json
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

STAMP = ".collected"


def collect_if_changed() -> bool:
    """Whether anything had to be collected."""
    stamp = Path(settings.STATIC_ROOT) / STAMP
    now = fingerprint()
    if stamp.exists() and stamp.read_text(encoding="ascii") == now:
        return False
    # Afresh: otherwise collectstatic keeps what is newer than its source, and the files of an upgrade may be older.
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(now, encoding="ascii")
    return True


def fingerprint() -> str:
    """Changes with the name, size or time of any static file, and with the way they are stored."""
    found = [settings.STORAGES["staticfiles"]["BACKEND"]]
    for finder in get_finders():
        for name, storage in finder.list([]):
            about = Path(storage.path(name)).stat()
            found.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
