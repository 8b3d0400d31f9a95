"""One measurement: a database that is filled and asked, and a site that is started and sent large files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from deepfakesite import static_files
from tests.faults.person import Person
from tests.running import running_site
from tests.webbench import pages as of_pages
from tests.webbench import population, upload

Say = Callable[[str], None]
MIB = 1024 * 1024
SMALL_MIB = 64  # what the large upload's memory is compared with


@dataclass(frozen=True)
class Uploaded:
    """An upload, and what the same bytes cost without a site."""

    seen: upload.Seen
    floor: upload.Floor


def pages(count: int, frames: int, say: Say) -> list[of_pages.Cost]:
    """Makes the database of the settings, fills it and asks for each page."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    static_files.collect_if_changed()
    say(f"{count} analyses of {frames} frames are made.")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")  # nothing is lost when this breaks off
    found = population.fill(count, frames)
    say(f"The database takes {_database_bytes() / MIB:.0f} MiB; pages are asked for.")
    return list(of_pages.measure(of_pages.pages_of(found)))


def uploads(folder: Path, largest_mib: int, say: Say) -> list[Uploaded]:
    """A small and a large file, to a site as shipped that is started in ``folder``."""
    folder.mkdir()
    source = folder / "source.mp4"
    done = []
    with running_site(folder / "data", DJANGO_SETTINGS_MODULE="deepfakesite.settings") as site:
        person = Person(site.url)
        person.register("sender@example.org")
        for size_mib in sorted({min(SMALL_MIB, largest_mib), largest_mib}):
            upload.make_file(source, size_mib * MIB)
            say(f"{size_mib} MiB are sent.")
            floor = upload.floor_of(source, folder)
            done.append(Uploaded(upload.send(person, site.folder, source), floor))
            source.unlink()
    return done


def _database_bytes() -> int:
    return Path(str(connection.settings_dict["NAME"])).stat().st_size
