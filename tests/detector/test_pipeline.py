"""A whole analysis, on clips made from a public-domain photograph and with the shipped model."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from detector import drawing, tracking
from detector.errors import DetectorError, ErrorCode
from detector.inference import Network, load_network
from detector.pipeline import JUDGING_S, STAGE_S, STAGES, TIMED, Settings, analyze
from detector.precision import Precision
from detector.reader import Reader
from detector.release import Release, default_release, releases
from detector.report import Reason, Report, Verdict
from detector.stopwatch import Stopwatch
from detector.tracking import Sighting
from detector.training.recipe import RECIPES, read_recipe
from tests import videos


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(default_release(), threads=2)


def test_the_times_by_stage_are_those_of_the_stopwatch_given(network: Network, tmp_path: Path) -> None:
    watch = Stopwatch()

    report = analyze(
        videos.face_clip(tmp_path / "clip.mp4", duration_s=1.0), network, Settings(frames=10), stopwatch=watch
    )

    assert {name: round(spent.wall_s, 3) for name, spent in watch.spent.items()} == {
        name: seconds for name, seconds in report.timings_s.items() if name != "total"
    }
    assert set(TIMED) - set(report.timings_s) == {"heatmap", "write"}  # nobody asked for pictures
    assert (
        watch.spent["probe"].cpu_s > watch.spent["decode"].cpu_s > 0
    )  # a small clip: most of it is the decoder's start


@pytest.fixture(scope="module")
def examined(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, Path, list[tuple[str, float]]]:
    folder = tmp_path_factory.mktemp("analysis")
    path = videos.two_faces_clip(folder / "clip.mp4")
    heard: list[tuple[str, float]] = []
    report = analyze(
        path,
        network,
        Settings(frames=10),
        out_dir=folder / "out",
        on_progress=lambda stage, share: heard.append((stage, share)),
    )
    return report, folder / "out", heard


def test_the_report_says_what_was_analysed(examined: tuple[Report, Path, list[tuple[str, float]]]) -> None:
    report, _, _ = examined

    assert (report.frames_requested, report.frames_analyzed) == (10, 10)
    assert (report.video.width, report.video.height, report.video.codec) == (640, 360, "h264")
    assert [len(track.samples) for track in report.tracks] == [10, 10]
    assert report.model.name == default_release().name
    assert report.model.config_sha256 == default_release().config_sha256 != ""
    assert list(report.timings_s) == [*TIMED, "total"]
    for track in report.tracks:
        assert track.probability_fake is not None
        assert 0 <= track.probability_fake <= 1
        for sample in track.samples:
            x0, y0, x1, y1 = sample.box
            assert 0 <= sample.probability_fake <= 1
            assert x0 < x1
            assert y0 < y1


def test_the_verdict_follows_from_the_people(examined: tuple[Report, Path, list[tuple[str, float]]]) -> None:
    report, _, _ = examined

    highest = max(track.probability_fake or 0 for track in report.tracks)
    assert report.probability_fake == highest
    if report.verdict is Verdict.INCONCLUSIVE:
        assert report.confidence is None
        assert report.reasons
    else:
        called = [track.confidence for track in report.tracks if track.probability_fake == highest]
        assert report.confidence == pytest.approx(called[0])


def test_every_picture_the_report_names_exists_and_no_other(
    examined: tuple[Report, Path, list[tuple[str, float]]],
) -> None:
    report, out_dir, _ = examined

    named = {frame.picture for frame in report.frames}
    named |= {name for track in report.tracks for sample in track.samples for name in (sample.crop, sample.heatmap)}
    assert named == {path.name for path in out_dir.iterdir()}
    assert len(named) == 10 + 2 * 20


def test_frames_can_be_kept_as_they_were_and_drawn_on_later(
    network: Network, examined: tuple[Report, Path, list[tuple[str, float]]], tmp_path: Path
) -> None:
    drawn, drawn_dir, _ = examined
    report = analyze(
        drawn_dir.parent / "clip.mp4", network, Settings(frames=10), out_dir=tmp_path / "out", draw_frames=False
    )

    assert {frame.width for frame in drawn.frames} == {None}
    assert {frame.width for frame in report.frames} == {640}
    for frame in report.frames:
        kept = (tmp_path / "out" / str(frame.picture)).read_bytes()
        faces = [
            drawing.DrawnFace(sample.box, track.verdict, sample.probability_fake, str(track.index + 1))
            for track in report.tracks
            for sample in track.samples
            if sample.frame_index == frame.index
        ]
        with_boxes = (drawn_dir / str(frame.picture)).read_bytes()
        assert drawing.on_frame(kept, frame.width or 0, faces) == with_boxes != kept


def test_progress_rises_through_all_stages(examined: tuple[Report, Path, list[tuple[str, float]]]) -> None:
    _, _, heard = examined

    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert list(dict.fromkeys(stage for stage, _ in heard)) == list(STAGES)


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.name)
def test_every_shipped_model_has_a_share_for_judging_in_every_precision(release: Release) -> None:
    assert set(JUDGING_S[release.network.backbone]) == set(Precision)
    assert {*STAGE_S, "judging"} == set(STAGES)


def test_so_has_every_backbone_that_can_be_trained() -> None:
    backbones = {read_recipe(path).network.backbone for path in RECIPES.glob("*.toml")}

    assert {name: set(shares) for name, shares in JUDGING_S.items()} == {name: set(Precision) for name in backbones}


def test_a_report_survives_json(examined: tuple[Report, Path, list[tuple[str, float]]]) -> None:
    report, _, _ = examined

    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_a_report_of_another_version_is_refused(examined: tuple[Report, Path, list[tuple[str, float]]]) -> None:
    value = examined[0].to_json()

    with pytest.raises(ValueError, match="schema version"):
        Report.from_json({**value, "schema_version": 0})
    with pytest.raises(ValueError, match="lacks"):
        Report.from_json({key: item for key, item in value.items() if key != "tracks"})


def test_the_same_video_gives_the_same_numbers(network: Network, tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4", duration_s=1.0)
    first, second = (analyze(path, network, Settings(frames=10)).to_json() for _ in range(2))

    assert {**first, "timings_s": None} == {**second, "timings_s": None}


def test_the_decoder_is_gone_while_people_are_told_apart(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, join, held = videos.face_clip(tmp_path / "clip.mp4", duration_s=1.0), tracking.join, []
    with Reader(path) as reader:

        def watched(*given: Any) -> list[list[Sighting]]:
            held.append(reader.usage().memory_bytes)
            return join(*given)

        monkeypatch.setattr(tracking, "join", watched)
        before = reader.usage().memory_bytes
        report = analyze(path, network, Settings(frames=10), reader=reader)

    assert before > 0
    assert held == [0]
    assert report.video.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_nobody_is_an_answer_of_its_own(network: Network, tmp_path: Path) -> None:
    report = analyze(videos.no_face_clip(tmp_path / "clip.mp4"), network, Settings(frames=10))

    assert (report.verdict, report.probability_fake, report.confidence) == (Verdict.NO_FACE, None, None)
    assert report.frames_analyzed == 10


def test_a_face_too_small_is_not_judged(network: Network, tmp_path: Path) -> None:
    report = analyze(videos.small_face_clip(tmp_path / "clip.mp4"), network, Settings(frames=10))

    if report.tracks:
        assert report.verdict is Verdict.INCONCLUSIVE
        assert Reason.FACE_TOO_SMALL in report.reasons
    else:
        assert report.verdict is Verdict.NO_FACE
    assert report.probability_fake is None


def test_an_analysis_stops_when_told(network: Network, tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4")
    heard: list[float] = []

    with pytest.raises(DetectorError) as caught:
        analyze(
            path,
            network,
            Settings(frames=10),
            on_progress=lambda _stage, share: heard.append(share),
            should_stop=lambda: len(heard) > 4,
        )

    assert caught.value.code == ErrorCode.CANCELLED
    assert max(heard) < 0.6


@pytest.mark.parametrize("frames", [9, 121])
def test_the_number_of_frames_has_bounds(frames: int) -> None:
    with pytest.raises(ValueError, match="between 10 and 120"):
        Settings(frames=frames)
