"""The doctor finds what is planted, says what to do, and ends with status 1."""

import shutil
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings
from rq import Queue

from deepfakesite import examination, valkey
from deepfakesite.examination import Finding
from detector import precision, release, sandbox
from tests import decoders
from tests.running import manage
from tests.videos import no_face_clip, renamed_text

Usage = namedtuple("Usage", "total used free")


@pytest.mark.django_db
def test_a_database_with_every_migration_is_well() -> None:
    assert examination.database() == Finding("database", True, "sqlite answers and has every migration.")


@pytest.mark.django_db
def test_a_missing_migration_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'analysis'")

    finding = examination.database()

    assert not finding.well
    assert finding.sentence.endswith("are missing. Run `manage.py migrate`.")


@pytest.mark.django_db
def test_an_empty_database_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations")

    assert examination.database() == Finding(
        "database", False, "It does not answer or is empty. Check DATABASE_URL, then run `manage.py migrate`."
    )


def test_a_queue_that_answers_is_well_though_no_worker_is_alive(queue: Queue) -> None:
    assert examination.queue() == Finding("queue", True, "The queue's server answers.")
    assert examination.worker() == Finding(
        "worker", False, "No worker is alive, so uploads wait. Start the site, or `manage.py worker`."
    )


def test_a_queue_that_does_not_answer_is_found(settings: Settings) -> None:
    settings.RQ_QUEUES = {
        "default": {"URL": "unix:///nowhere/valkey.sock", "SERIALIZER": "rq.serializers.JSONSerializer"}
    }

    finding = examination.queue()

    assert not finding.well
    assert finding.sentence.startswith("The queue's server does not answer (Error 2 connecting to ")
    assert "Start the site with `make run`, or check REDIS_URL" in finding.sentence
    assert examination.worker().well is False


def test_the_published_weights_are_well() -> None:
    assert examination.weights().well


def test_weights_that_were_changed_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = release.default_release()
    folder = tmp_path / published.folder.name
    shutil.copytree(published.folder, folder)
    largest = max(folder.iterdir(), key=lambda file: file.stat().st_size)
    with largest.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    monkeypatch.setattr(release, "releases", lambda: [published, release.load_release(folder)])

    finding = examination.weights()

    assert finding.well is False
    assert finding.sentence.endswith("differs from its checksum; install Unmask again.")


def test_media_that_can_be_written_is_well_and_is_left_as_it_was(settings: Settings) -> None:
    assert examination.media() == Finding("media", True, "Files can be written, read and deleted.")
    assert [file for file in Path(settings.MEDIA_ROOT).rglob("*") if file.is_file()] == []


def test_media_that_cannot_be_written_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.MEDIA_ROOT = tmp_path / "file"

    finding = examination.media()

    assert finding.well is False
    assert finding.sentence.startswith("Files cannot be written (")


def test_a_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 10**12 - 2**30, 2**30))

    assert examination.disk_space() == Finding(
        "disk space", False, f"Only 1.0 GiB are free in {settings.DATA_DIR}. Make room, or choose another DATA_DIR."
    )


def test_a_decoder_that_works_is_well(tmp_path: Path) -> None:
    assert examination.decoder(tmp_path / "clip.mp4") == Finding(
        "decoder", True, "A clip was made and opened (h264, 640 x 360)."
    )


def test_a_folder_that_takes_no_clip_is_found(tmp_path: Path) -> None:
    finding = examination.decoder(tmp_path / "nowhere" / "clip.mp4")

    assert finding.well is False
    assert finding.sentence.endswith("Run `make setup` again.")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (sandbox.Confinement(seccomp=True, landlock=7), "that sees one file (Landlock), with limits on memory, time"),
        (sandbox.Confinement(seccomp=True, landlock=0), "and seccomp, but this system gives no Landlock, so"),
        (sandbox.Confinement(seccomp=False, landlock=1), "and Landlock, but this system gives no seccomp, so"),
        (sandbox.Confinement(seccomp=False, landlock=0), "files, but this system gives no seccomp and Landlock, so"),
    ],
    ids=str,
)
def test_how_far_the_decoder_is_shut_off_is_said_and_never_a_problem(
    given: sandbox.Confinement, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = no_face_clip(tmp_path / "clip.mp4", duration_s=0.2)
    program = f"say(kind='ready', seccomp={given.seccomp}, landlock={given.landlock})"
    decoders.replace(monkeypatch, tmp_path, program)

    finding = examination.confinement(clip)

    assert finding.well
    assert sentence in finding.sentence


def test_a_decoder_that_cannot_be_had_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = no_face_clip(tmp_path / "clip.mp4", duration_s=0.2)
    decoders.replace(monkeypatch, tmp_path, "import no_such_module")

    for finding in (examination.confinement(clip), examination.confinement(tmp_path / "nowhere.mp4")):
        assert finding.well is False


@pytest.mark.django_db
def test_a_clip_of_a_face_is_analysed_to_the_end(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    examination.decoder(clip)

    finding = examination.analysis(clip, tmp_path)

    assert finding.well
    assert finding.sentence.startswith("A clip of a face was analysed in ")
    assert " s, in float32; the verdict is " in finding.sentence


@pytest.mark.django_db
def test_the_default_says_what_it_came_to_and_asks_for_nothing(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NETWORK_PRECISION = "auto"
    monkeypatch.setattr(precision, "processor_has", lambda wanted: wanted is not precision.Precision.INT8)
    clip = tmp_path / "clip.mp4"
    examination.decoder(clip)

    finding = examination.analysis(clip, tmp_path)

    assert finding.well
    assert " s, in float32; the verdict is " in finding.sentence
    assert "NETWORK_PRECISION" not in finding.sentence


@pytest.mark.django_db
@pytest.mark.parametrize(("processor_can", "lacking"), [(False, "this processor"), (True, "this model")])
def test_a_precision_that_cannot_be_had_is_said(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, processor_can: bool, lacking: str
) -> None:
    settings.NETWORK_PRECISION = "int8"
    monkeypatch.setattr(precision, "processor_has", lambda wanted: processor_can)
    monkeypatch.setattr(precision, "model_has", lambda wanted, release: False)
    clip = tmp_path / "clip.mp4"
    examination.decoder(clip)

    finding = examination.analysis(clip, tmp_path)

    assert finding.well
    assert ", in float32; " in finding.sentence
    assert finding.sentence.endswith(f" NETWORK_PRECISION asks for int8, which {lacking} has not got.")


def test_a_package_that_is_missing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    for name in ("sample_clip", "pipeline"):
        monkeypatch.setitem(sys.modules, f"detector.{name}", None)
        monkeypatch.delattr(f"detector.{name}", raising=False)

    for finding in (examination.decoder(clip), examination.analysis(clip, tmp_path)):
        assert finding.well is False
        assert finding.sentence.endswith("Run `make setup` again.")


@pytest.mark.django_db
def test_a_clip_in_which_no_face_is_found_is_a_problem(tmp_path: Path) -> None:
    clip = no_face_clip(tmp_path / "clip.mp4", duration_s=1.0)

    assert examination.analysis(clip, tmp_path) == Finding(
        "analysis", False, "No face was found in a clip that shows one. Run `make setup` again."
    )


@pytest.mark.django_db
def test_a_clip_that_cannot_be_analysed_is_a_problem(tmp_path: Path) -> None:
    finding = examination.analysis(renamed_text(tmp_path / "clip.mp4"), tmp_path)

    assert finding.well is False
    assert finding.sentence.startswith("The clip could not be analysed (")


@pytest.mark.django_db
def test_one_problem_makes_the_command_end_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def well(*_: Path) -> Finding:
        return Finding("something", True, "It is well.")

    for name in ("database", "worker", "weights", "media", "disk_space", "decoder", "confinement", "analysis"):
        monkeypatch.setattr(examination, name, well)
    monkeypatch.setattr(valkey, "why_silent", lambda *_: "nobody listens")

    with pytest.raises(SystemExit) as ending:
        call_command("doctor", "--no-color")

    lines = capsys.readouterr().out.splitlines()
    assert ending.value.code == 1
    assert lines[0] == "ok      something: It is well."
    assert lines[1].startswith("problem queue: The queue's server does not answer (nobody listens)")
    assert lines[-1] == "Something is wrong; see the lines that say so."


def test_a_precision_that_nobody_knows_is_refused_at_the_start(tmp_path: Path) -> None:
    refused = manage(tmp_path, "check", NETWORK_PRECISION="half")

    assert refused.returncode != 0
    assert "NETWORK_PRECISION is auto, float32, bfloat16 or int8." in refused.stderr
