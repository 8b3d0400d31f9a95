"""The command line as a shell and as the web server use it: output, exit codes, sentences, and what gets imported."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from detector import cli, reader_process
from detector.release import default_release
from detector.report import Report
from detector.sample_clip import make_clip
from tests import videos

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, seconds=1.0, width=320, height=180)
    return path


def _started(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "detector", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The sentence on stderr of arguments that must be refused with exit code 2 and nothing on stdout."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's own way
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err[0].isupper() or err[0] == "/"
    assert "Traceback" not in err
    return err.strip()


def test_analyze_prints_the_report_as_json_and_writes_its_pictures(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "pictures"

    code = cli.main(["analyze", str(clip), "--frames", "10", "--json", "--out", str(folder)])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    report = Report.from_json(json.loads(out))
    assert (report.frames_analyzed, len(report.tracks)) == (10, 1)
    named = {frame.picture for frame in report.frames}
    named |= {picture for sample in report.tracks[0].samples for picture in (sample.crop, sample.heatmap)}
    assert named == {path.name for path in folder.iterdir()}
    assert len(named) == 10 + 2 * len(report.tracks[0].samples)
    assert all((folder / str(name)).read_bytes().startswith(b"\xff\xd8\xff") for name in named)


def test_analyze_prints_a_table_and_the_same_verdict_each_time(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["analyze", str(clip), "--frames", "10", "--json"])
    report = json.loads(capsys.readouterr().out)

    code = cli.main(["analyze", str(clip), "--frames", "10"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith(report["verdict"])
    assert f"SHA-256 {report['video']['sha256']}" in lines
    row = next(line for line in lines if line.startswith("1 "))
    assert f"{report['tracks'][0]['probability_fake']:.3f}" in row


def test_analyze_answers_no_face_with_exit_code_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = videos.no_face_clip(tmp_path / "room.mp4", duration_s=1.0)

    code = cli.main(["analyze", str(path), "--frames", "10", "--json"])

    report = json.loads(capsys.readouterr().out)
    assert (code, report["verdict"], report["probability_fake"]) == (0, "NO_FACE", None)


def test_bad_videos_are_refused_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = {
        _refusal(capsys, "analyze", tmp_path / "missing.mp4"),
        _refusal(capsys, "analyze", tmp_path),
        _refusal(capsys, "analyze", videos.empty_file(tmp_path / "empty.mp4")),
        _refusal(capsys, "analyze", videos.renamed_text(tmp_path / "text.mp4")),
        _refusal(capsys, "analyze", videos.audio_only(tmp_path / "sound.mp4")),
    }

    assert len(sentences) == 5
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("command", [("/no/such/python",), (sys.executable, "-c", "import no_such_module")], ids=str)
def test_a_decoder_that_cannot_be_had_is_a_sentence(
    command: tuple[str, ...], clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "COMMAND", command)

    assert _refusal(capsys, "probe", clip, "--json").startswith("The process that reads videos ")
    assert _refusal(capsys, "analyze", clip).startswith("The process that reads videos ")


@pytest.mark.parametrize("frames", ["9", "121", "-1", "many"])
@pytest.mark.parametrize("command", ["analyze", "evaluate"])
def test_bad_numbers_of_frames_are_refused(
    clip: Path, capsys: pytest.CaptureFixture[str], command: str, frames: str
) -> None:
    assert "frames" in _refusal(capsys, command, clip, "--frames", frames)


def test_a_folder_without_a_model_is_refused(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(tmp_path) in _refusal(capsys, "analyze", clip, "--model", tmp_path)


def test_a_damaged_model_is_refused(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(default_release().folder, folder)
    with (folder / "weights.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\x55")

    assert "checksum" in _refusal(capsys, "analyze", clip, "--model", folder)


def test_a_file_in_the_place_of_the_folder_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").touch()

    assert "not a folder" in _refusal(capsys, "analyze", clip, "--frames", "10", "--out", tmp_path / "taken")


@pytest.mark.parametrize("arguments", [[], ["examine"], ["analyze"], ["bench", "--height", "361"]])
def test_unknown_or_missing_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert "--help" in _refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "0"], "1 and 600 seconds"),
        (["--seconds", "10", "601"], "1 and 600 seconds"),
        (["--frames", "5"], "frames"),
        (["--seconds", "x"], "seconds"),
        (["--workers", "0"], "number of workers"),
        (["--sweep", "--height", "360"], "Leave --height"),
        (["--write", "nowhere.md"], "no page nowhere.md"),
    ],
)
def test_bench_refuses_what_it_cannot_measure(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in _refusal(capsys, "bench", *arguments)


def test_evaluate_refuses_a_manifest_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "manifest.csv" in _refusal(capsys, "evaluate", tmp_path / "manifest.csv")


def test_probe_says_what_a_file_holds_and_draws_a_poster(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["probe", str(clip), "--json", "--poster", str(tmp_path / "poster.jpg")])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["codec"], found["width"], found["height"], found["duration_s"]) == ("h264", 320, 180, 1.0)
    assert found["size_bytes"] == clip.stat().st_size
    assert (tmp_path / "poster.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_probe_says_in_json_too_why_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["probe", str(videos.empty_file(tmp_path / "empty.mp4")), "--json"])

    out, err = capsys.readouterr()
    assert code == 2
    assert json.loads(out) == {"error": {"code": "empty", "message": err.strip()}}


@pytest.mark.parametrize(("option", "code"), [("--max-bytes", "too_large"), ("--max-pixels", "too_many_pixels")])
def test_probe_keeps_to_the_limits_it_is_given(
    clip: Path, capsys: pytest.CaptureFixture[str], option: str, code: str
) -> None:
    assert cli.main(["probe", str(clip), "--json", option, "100"]) == 2

    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-duration-s", "inf"),
        ("--max-duration-s", "nan"),
        ("--max-duration-s", "-inf"),
        ("--max-duration-s", "0"),
        ("--max-bytes", "0"),
        ("--max-pixels", "-1"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "analyze", "evaluate"])
def test_limits_that_are_none_are_refused(
    clip: Path, capsys: pytest.CaptureFixture[str], command: str, option: str, value: str
) -> None:
    sentence = _refusal(capsys, command, clip, f"{option}={value}")

    assert sentence.startswith(f"The limit {option} must be a finite number above zero, not {value}")


def test_probe_imports_only_what_probing_needs(clip: Path) -> None:
    program = (
        "import sys; from detector import cli; code = cli.main(['probe', sys.argv[1], '--json']); "
        "slow = {'openvino', 'torch', 'face_recognition', 'dlib', 'matplotlib', 'scipy', 'sklearn', 'django'}; "
        "print(sorted(slow & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(clip)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stderr.strip() == "[]"


def test_interruption_ends_quietly_with_130(clip: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "detector", "analyze", str(clip), "--frames", "120"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()  # it is at work once its bar is there

    child.send_signal(signal.SIGINT)

    out, _ = child.communicate(timeout=60)
    assert "loading the model" in shown
    assert (child.returncode, out) == (130, b"")
    assert "Traceback" not in _rest(ours)


def test_interruption_that_a_library_takes_for_its_own_failure_ends_quietly_too() -> None:
    program = """
import os, signal, sys
from detector import __main__ as program

def load():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error

program.main = load
sys.exit(program.run())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_reader_that_leaves_early_is_no_error(clip: Path) -> None:
    child = _started("probe", clip)
    assert child.stdout is not None
    child.stdout.close()

    assert child.wait(timeout=30) == 0
    assert child.stderr is not None
    assert child.stderr.read() == ""
    child.stderr.close()


def test_progress_is_drawn_on_a_terminal_only(clip: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "detector", "analyze", str(clip), "--frames", "10", "--json"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    out, _ = child.communicate(timeout=60)
    shown = _rest(ours)

    assert child.returncode == 0
    assert json.loads(out)["frames_analyzed"] == 10
    assert "finding faces" in shown
    assert shown.endswith("\r\x1b[K")  # the line is left clean


def _rest(terminal: int) -> str:
    """What was written to a terminal that nobody writes to any more."""
    parts = []
    with contextlib.suppress(OSError):  # Linux says EIO at the end
        while part := os.read(terminal, 65536):
            parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()
