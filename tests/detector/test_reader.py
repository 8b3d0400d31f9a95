"""A video is read in a confined child; whatever becomes of the child ends in a code, and nothing of it stays."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector import reader_child, reader_process, sampling, sandbox, video
from detector.errors import DetectorError, ErrorCode
from detector.process_usage import Usage, of_process
from detector.reader import Allowance, Reader, ReaderError
from detector.stream import Limits
from tests import decoders, videos
from tests.decoders import PROBED, READY


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.face_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", duration_s=1.0)


def code_of(path: Path, allowance: Allowance | None = None, should_stop: Callable[[], bool] | None = None) -> ErrorCode:
    """Why the video cannot be read to its end."""
    with pytest.raises(DetectorError) as caught, Reader(path, allowance=allowance) as reader:
        list(reader.sample(10, should_stop))
    assert str(caught.value).endswith(".")
    return caught.value.code


def children() -> set[int]:
    """The processes that this one has started and that have not ended."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_the_child_reads_what_is_read_without_it(clip: Path) -> None:
    info = video.probe(clip)
    with Reader(clip) as reader:
        assert reader.confinement() == sandbox.offered()
        assert reader.info() == info
        seen = list(reader.sample(10))

    expected = list(sampling.sample(clip, info, 10))
    assert [one[:2] for one in seen] == [one[:2] for one in expected]
    assert all(np.array_equal(one[2], other[2]) for one, other in zip(seen, expected, strict=True))


def test_frames_can_be_had_again_and_smaller_from_the_same_child(clip: Path) -> None:
    with Reader(clip) as reader:
        assert {picture.shape for _, _, picture in reader.sample(4)} == {(360, 640, 3)}
        assert {picture.shape for _, _, picture in reader.sample(3, max_side=320)} == {(180, 320, 3)}


def test_a_rotated_video_is_upright_at_any_size(tmp_path: Path) -> None:
    with Reader(videos.rotated_clip(tmp_path / "clip.mp4", 90)) as reader:
        assert {picture.shape for _, _, picture in reader.sample(3, max_side=320)} == {(320, 180, 3)}


def test_what_the_child_has_used_is_known_while_it_works_and_afterwards(clip: Path) -> None:
    reader = Reader(clip)
    assert reader.usage() == Usage()
    with reader:
        reader.info()
        begun = reader.usage()
        list(reader.sample(10))
        done = reader.usage()

    assert 0 < begun.cpu_s < done.cpu_s <= reader.usage().cpu_s
    # It is a program of its own: what this process has in memory does not count for it.
    assert (
        10e6 < begun.peak_memory_bytes <= reader.usage().peak_memory_bytes < of_process(os.getpid()).peak_memory_bytes
    )


def test_nothing_stays_of_a_child(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, files = children(), len(list(Path("/proc/self/fd").iterdir()))

    with Reader(clip) as reader:
        next(reader.sample(10))
        assert len(children() - before) == 1

    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    assert list(tmp_path.iterdir()) == []


def test_refusals_come_through_with_their_sentence(tmp_path: Path) -> None:
    text = videos.renamed_text(tmp_path / "clip.mp4")
    with pytest.raises(DetectorError) as direct:
        video.probe(text)
    with pytest.raises(DetectorError) as confined, Reader(text) as reader:
        reader.info()

    assert (confined.value.code, str(confined.value)) == (direct.value.code, str(direct.value))


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", ErrorCode.DECODER_CRASHED),
        ("os.abort()", ErrorCode.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGKILL)", ErrorCode.TOO_DEMANDING),
        ("os.kill(os.getpid(), signal.SIGXCPU)", ErrorCode.TIMED_OUT),
        ("bytearray(8 * 1024**3)", ErrorCode.TOO_DEMANDING),
        ("while True: pass", ErrorCode.TIMED_OUT),
        ("1 / 0", ErrorCode.DECODER_CRASHED),
        ("sys.exit(0)", ErrorCode.DECODER_CRASHED),
        ("os.close(1); time.sleep(20)", ErrorCode.DECODER_CRASHED),
        ("print('nonsense' * 1000, flush=True)", ErrorCode.DECODER_CRASHED),
        ("write_all(1, struct.pack('>I', 2**32 - 1))", ErrorCode.DECODER_CRASHED),
        ("write_all(1, struct.pack('>I', 9000) + b'[' * 9000)", ErrorCode.DECODER_CRASHED),
        ("write_all(1, struct.pack('>I', 2) + b'[]')", ErrorCode.DECODER_CRASHED),
        ("say(kind='error', code='cancelled', message='No.')", ErrorCode.DECODER_CRASHED),
        ("say(kind='error', code='my own', message='No.')", ErrorCode.DECODER_CRASHED),
        ("say(kind='error', code='too_long', message=None)", ErrorCode.DECODER_CRASHED),
        ("say(kind='error', code='too_long', message='Too long.')", ErrorCode.TOO_LONG),
        ("say(kind='end')", ErrorCode.DECODER_CRASHED),
        ("say(**{**FRAME, 'width': 99_999, 'height': 99_999})", ErrorCode.TOO_MANY_PIXELS),
        ("say(**{**FRAME, 'width': 99_999, 'height': 2})", ErrorCode.TOO_MANY_PIXELS),
        ("say(**{**FRAME, 'width': -4, 'height': -2})", ErrorCode.DECODER_CRASHED),
        ("say(**{**FRAME, 'index': 7})", ErrorCode.DECODER_CRASHED),
        ("say(**{**FRAME, 'time_s': -1.0})", ErrorCode.DECODER_CRASHED),
        ("say(**{**FRAME, 'time_s': 1e9})", ErrorCode.DECODER_CRASHED),
        ("say(**{**FRAME, 'time_s': 'soon'})", ErrorCode.DECODER_CRASHED),
        ("say(**FRAME); write_all(1, bytes(23)); sys.exit(0)", ErrorCode.DECODER_CRASHED),
        ("[(say(**{**FRAME, 'index': i}), write_all(1, bytes(24))) for i in range(11)]", ErrorCode.DECODER_CRASHED),
    ],
)
def test_a_child_that_goes_wrong_between_frames_ends_in_a_code(
    program: str, code: ErrorCode, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, PROBED + program)
    before = children()

    assert code_of(clip, Allowance(cpu_s=2)) == code
    assert children() == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"width": 99_999, "height": 9999}, ErrorCode.TOO_MANY_PIXELS),
        ({"width": 2, "height": 99_999}, ErrorCode.TOO_MANY_PIXELS),
        ({"width": 0}, ErrorCode.DECODER_CRASHED),
        ({"duration_s": 1e300}, ErrorCode.TOO_LONG),
        ({"duration_s": -1.0}, ErrorCode.DECODER_CRASHED),
        ({"rotation_deg": 45}, ErrorCode.DECODER_CRASHED),
        ({"frame_rate": -25.0}, ErrorCode.DECODER_CRASHED),
        ({"pixel_aspect": 0}, ErrorCode.DECODER_CRASHED),
        ({"codec": 5}, ErrorCode.DECODER_CRASHED),
    ],
    ids=str,
)
def test_what_the_child_says_of_the_video_is_held_against_the_limits(
    change: dict[str, object], code: ErrorCode, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, f"{READY}say(**{{**INFO, **{change!r}}})")

    assert code_of(clip) == code


def test_names_from_the_child_are_cut_and_hold_nothing_that_is_not_printed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, f"{READY}say(**{{**INFO, 'codec': 'h\\x1b[31m' + 'x' * 900}})")

    with Reader(clip) as reader:
        assert reader.info().codec == "h[31m" + "x" * 26


def test_waiting_has_an_end_also_when_no_processor_time_is_used(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, READY + "time.sleep(60)")
    clock = time.monotonic()

    assert code_of(clip, Allowance(wait_s=1.0)) == ErrorCode.TIMED_OUT
    assert time.monotonic() - clock < 3


def test_bytes_that_trickle_do_not_prolong_the_wait(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trickle = "say(**{**FRAME, 'width': 1000, 'height': 1000})\nwhile True: write_all(1, b'x'); time.sleep(0.05)"
    decoders.replace(monkeypatch, tmp_path, PROBED + trickle)
    clock = time.monotonic()

    assert code_of(clip, Allowance(wait_s=1.5)) == ErrorCode.TIMED_OUT
    assert time.monotonic() - clock < 4


def test_cancelling_stops_a_decoder_that_is_busy_at_once(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, PROBED + "while True: pass")
    asked = threading.Event()
    threading.Timer(1.0, asked.set).start()
    clock = time.monotonic()

    assert code_of(clip, should_stop=asked.is_set) == ErrorCode.CANCELLED
    assert time.monotonic() - clock < 2.0


def test_a_child_that_cannot_begin_is_a_fault_of_the_installation(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, "import no_such_module")
    with pytest.raises(ReaderError, match="began: ModuleNotFoundError: ") as caught, Reader(clip) as reader:
        reader.info()
    assert str(caught.value).endswith("'no_such_module'.")
    assert "Traceback" in caught.value.__notes__[0]

    monkeypatch.setattr(reader_process, "COMMAND", ("/no/such/python",))
    with pytest.raises(ReaderError, match="cannot be started"), Reader(clip):
        pass


def test_the_child_sees_nothing_of_this_environment_and_has_its_limits(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for the child")
    program = """
found = {"environment": sorted(os.environ), "session": os.getsid(0) == os.getpid()}
found["files"] = sorted(os.listdir("/proc/self/fd"))
for name in ("CORE", "AS", "CPU", "FSIZE", "NOFILE"):
    found[name] = resource.getrlimit(getattr(resource, "RLIMIT_" + name))
say(kind="error", code="unreadable", message=json.dumps(found))
"""
    decoders.replace(monkeypatch, tmp_path, program)

    with pytest.raises(DetectorError) as caught, Reader(clip, allowance=Allowance(10**9, 20.0, 30.0)) as reader:
        reader.info()

    found = json.loads(str(caught.value))
    names = {"LANG", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH"}
    assert {*found["environment"]} - {"LC_CTYPE"} == names | {"PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"}
    assert found["session"]
    assert found["files"] == ["0", "1", "2", "3"]  # the last is the folder that is being listed
    assert (found["CORE"], found["AS"], found["CPU"]) == ([0, 0], [10**9] * 2, [20, 25])
    assert (found["FSIZE"], found["NOFILE"]) == ([64 * 1024] * 2, [64, 64])


def test_memory_for_decoding_is_bounded(tmp_path: Path) -> None:
    """Frames of 4K need more than the little that is allowed here."""
    path = videos.write_video(tmp_path / "clip.mp4", videos.empty_scene((3840, 2160)), videos.even_times(0.2))

    assert code_of(path, Allowance(memory_bytes=250 * 1024**2)) == ErrorCode.TOO_DEMANDING


@pytest.mark.parametrize("fails_at", [3, 9])
def test_a_frame_that_cannot_be_sent_is_no_shorter_video(
    clip: Path, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are sent beside the decoder's work; what fails there must be heard of, and of the last as well."""

    def send(index: int, time_s: float, picture: object) -> None:
        if index == fails_at:
            raise MemoryError

    monkeypatch.setattr(reader_child, "_send_frame", send)
    monkeypatch.setattr(reader_child, "_say", lambda message: pytest.fail(f"It said {message}."))

    with pytest.raises(MemoryError):
        reader_child._send_frames(clip, video.probe(clip), Limits(), 10, None)


def test_a_reader_that_is_not_open_says_so(clip: Path) -> None:
    with pytest.raises(ReaderError, match="not open"):
        Reader(clip).info()


def test_a_file_beyond_the_limit_is_refused_before_a_child_is_started(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "start", lambda stderr: pytest.fail("started"))
    limits = dataclasses.replace(Limits(), max_bytes=10)
    with pytest.raises(DetectorError) as caught, Reader(clip, limits):
        pass

    assert caught.value.code == ErrorCode.TOO_LARGE


def test_limits_that_cannot_be_told_start_no_child(clip: Path) -> None:
    before = children()

    with pytest.raises(ValueError, match="JSON"), Reader(clip, Limits(max_duration_s=math.inf)):
        pass

    assert children() == before


def test_a_file_that_may_not_be_read_is_not_called_damaged(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # root may read whatever the file's mode says
    monkeypatch.setattr(reader_process, "start", lambda stderr: pytest.fail("started"))

    with pytest.raises(DetectorError, match="cannot be found or opened") as caught, Reader(clip):
        pass

    assert caught.value.code == ErrorCode.UNREADABLE


def test_a_decoder_dies_with_whoever_is_killed_while_reading(tmp_path: Path) -> None:
    path = videos.no_face_clip(tmp_path / "clip.mp4", duration_s=0.4)  # its frames are larger than a pipe
    program = """
import sys, time
from pathlib import Path
from detector.reader import Reader
with Reader(Path(sys.argv[1])) as reader:
    next(reader.sample(20))
    print(reader._running._process.pid, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, cwd=reader_process.ROOT, stdout=subprocess.PIPE) as reading:
        assert reading.stdout is not None
        decoder = Path(f"/proc/{int(reading.stdout.readline())}")
        assert decoder.exists()
        reading.kill()

    end = time.monotonic() + 5
    while decoder.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
