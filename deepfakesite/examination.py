"""The questions ``manage.py doctor`` asks of an installation; each answers in one sentence and never raises.

Questions stand in the order in which one answer rests on another: without weights there is no use in analysing a clip.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from analysis import files, model_versions
from deepfakesite import valkey, vitals
from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.release import Release

LEAST_FREE_BYTES = 2 * 1024**3
CLIP_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was looked at, whether it is well, and what was seen or what to do."""

    subject: str
    well: bool
    sentence: str


def database() -> Finding:
    """Answers, and has every migration."""
    if not vitals.database_answers():
        return Finding(
            "database", False, "It does not answer or is empty. Check DATABASE_URL, then run `manage.py migrate`."
        )
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("database", False, f"Its migrations cannot be read ({error}). Check DATABASE_URL.")
    if waiting:
        return Finding("database", False, f"{len(waiting)} migrations are missing. Run `manage.py migrate`.")
    return Finding("database", True, f"{connection.vendor} answers and has every migration.")


def machines() -> Finding:
    """What several machines must share is shared, or nothing is: half of it would work until the second one starts."""
    shared = {
        "DATABASE_URL": connection.vendor != "sqlite",
        "REDIS_URL": settings.REDIS_URL != settings.OWN_QUEUE_URL,
        "STORAGE_URL": bool(settings.STORAGE_URL),
        "SECRET_KEY": not (Path(settings.DATA_DIR) / "secret_key").exists(),
    }
    own = [name for name, is_shared in shared.items() if not is_shared]
    if not own:
        return Finding("machines", True, "Database, queue, storage and secret key can be shared with other machines.")
    return Finding(
        "machines",
        True,
        f"This installation is for one machine alone; before a second one joins, set {', '.join(own)}.",
    )


def queue() -> Finding:
    reason = valkey.why_silent(settings.RQ_QUEUES["default"]["URL"])
    if reason is None:
        return Finding("queue", True, "The queue's server answers.")
    return Finding(
        "queue",
        False,
        f"The queue's server does not answer ({reason}). Start the site with `make run`, or check REDIS_URL: address, "
        "password, redis:// or rediss://, ssl_ca_certs.",
    )


def worker() -> Finding:
    count = vitals.living_workers()
    if count:
        return Finding("worker", True, "1 worker is alive." if count == 1 else f"{count} workers are alive.")
    return Finding("worker", False, "No worker is alive, so uploads wait. Start the site, or `manage.py worker`.")


def weights() -> Finding:
    """Every model's files are the ones that were published."""
    from detector import release  # noqa: PLC0415 -- slow import

    try:
        found = release.releases()
        default = release.default_release()
        for each in found:
            each.verify()
    except DetectorError as error:
        return Finding("weights", False, str(error))
    names = ", ".join(f"{each.name} {each.version}" for each in found)
    return Finding("weights", True, f"As published: {names}; {default.name} {default.version} is the default.")


def media() -> Finding:
    """The storage takes a file and gives it back."""
    name = "doctor/probe.txt"
    try:
        saved = default_storage.save(name, ContentFile(b"well"))
        try:
            with default_storage.open(saved) as file:
                same = file.read() == b"well"
        finally:
            default_storage.delete(saved)
    except files.StorageDown as error:
        return Finding(
            "media",
            False,
            f"{error}. Check STORAGE_URL: address, key, secret, bucket (it must exist), region, tls and ca.",
        )
    except OSError as error:
        return Finding(
            "media", False, f"Files cannot be written ({error.strerror or error}). Check the folder's owner."
        )
    if not same:
        return Finding("media", False, "A file that was written came back changed. Check the disk.")
    return Finding("media", True, "Files can be written, read and deleted.")


def disk_space() -> Finding:
    free = shutil.disk_usage(settings.DATA_DIR).free
    amount = f"{free / 1024**3:.1f} GiB are free in {settings.DATA_DIR}"
    if free < LEAST_FREE_BYTES:
        return Finding("disk space", False, f"Only {amount}. Make room, or choose another DATA_DIR.")
    return Finding("disk space", True, f"{amount}.")


def decoder(clip: Path) -> Finding:
    """A clip of the sample photograph can be made and opened."""
    try:
        from detector import sample_clip  # noqa: PLC0415 -- slow import
        from detector.reader import Reader  # noqa: PLC0415 -- slow import

        sample_clip.make_clip(clip, seconds=2.0)
        with Reader(clip) as reader:
            stream = reader.info()
    except (DetectorError, ImportError, OSError, RuntimeError, ValueError) as error:
        return Finding("decoder", False, f"A clip cannot be made and opened ({error}). Run `make setup` again.")
    return Finding("decoder", True, f"A clip was made and opened ({stream.codec}, {stream.width} x {stream.height}).")


def confinement(clip: Path) -> Finding:
    """How far the process that reads videos is shut off; a kernel that gives less is no fault, but should be known."""
    if not clip.exists():
        return Finding("confinement", False, "There is no clip to read; see decoder.")
    try:
        from detector.reader import Reader  # noqa: PLC0415 -- slow import

        with Reader(clip) as reader:
            found = reader.confinement()
    except (DetectorError, ImportError, OSError, RuntimeError) as error:
        return Finding(
            "confinement", False, f"No process that reads videos can be had ({error}). Run `make setup` again."
        )
    if found.seccomp and found.landlock:
        return Finding(
            "confinement",
            True,
            "Videos are read in a process without network and other programs (seccomp) that sees one file (Landlock), "
            "with limits on memory, time and files.",
        )
    given = [name for name, has in (("seccomp", found.seccomp), ("Landlock", found.landlock)) if has]
    missing = " and ".join(name for name in ("seccomp", "Landlock") if name not in given)
    return Finding(
        "confinement",
        True,
        f"Videos are read in a process with limits on memory, time and files{' and ' + given[0] if given else ''}, but "
        f"this system gives no {missing}, so a video that takes over the decoder is held back less. Linux from 5.13 on "
        "x86-64 has both, unless a container forbids them.",
    )


def analysis(clip: Path, folder: Path) -> Finding:
    """The clip goes through the whole detector and the face in it is found."""
    if not clip.exists():
        return Finding("analysis", False, "There is no clip to analyse; see decoder.")
    try:
        from detector import inference, pipeline  # noqa: PLC0415 -- slow import
        from detector.precision import AUTO, asked_for, processor_has  # noqa: PLC0415 -- slow import

        wanted = asked_for(settings.NETWORK_PRECISION)
        network = inference.load_network(_release_in_use(), precision=wanted)
        report = pipeline.analyze(clip, network, pipeline.Settings(frames=CLIP_FRAMES), out_dir=folder)
    except (DetectorError, ImportError, OSError, RuntimeError) as error:
        return Finding("analysis", False, f"The clip could not be analysed ({error}). Run `make setup` again.")
    if not report.tracks:
        return Finding("analysis", False, "No face was found in a clip that shows one. Run `make setup` again.")
    seconds = report.timings_s.get("total", 0.0)
    done = f"A clip of a face was analysed in {seconds:.1f} s, in {network.precision}; the verdict is {report.verdict}."
    if network.precision is not wanted and settings.NETWORK_PRECISION != AUTO:
        lacking = "this model" if processor_has(wanted) else "this processor"
        done += f" NETWORK_PRECISION asks for {wanted}, which {lacking} has not got."
    return Finding("analysis", True, done)


def _release_in_use() -> "Release":
    """The model that judges here; the default one where the database cannot say."""
    from detector import release  # noqa: PLC0415 -- slow import

    try:
        return model_versions.active()[1]
    except DatabaseError:
        return release.default_release()


def examine(report: Callable[[Finding], None]) -> bool:
    """Ask everything in turn, hand each finding to ``report``; true when all is well."""
    well = True
    with tempfile.TemporaryDirectory(prefix="unmask-doctor-") as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        questions: list[Callable[[], Finding]] = [database, queue, machines, worker, weights, media, disk_space]
        questions += [lambda: decoder(clip), lambda: confinement(clip), lambda: analysis(clip, folder)]
        for question in questions:
            finding = question()
            report(finding)
            well = well and finding.well
    return well
