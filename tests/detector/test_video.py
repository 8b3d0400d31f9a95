"""Frames come at regular intervals over the whole video, upright, at their true times; what is no video is refused."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from detector import decoding, sampling, video
from detector.errors import DetectorError, ErrorCode
from detector.stream import MAX_SIDE, Limits
from tests import hostile_videos, videos


def times(path: Path, count: int) -> list[float]:
    return [time_s for _, time_s, _ in sampling.sample(path, video.probe(path), count)]


def test_probe_says_what_the_file_holds(tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4")

    info = video.probe(path)

    assert (info.codec, info.width, info.height, info.rotation_deg) == ("h264", 640, 360, 0)
    assert info.duration_s == pytest.approx(2.0, abs=0.05)
    assert info.frame_rate == pytest.approx(25.0)
    assert info.size_bytes == path.stat().st_size


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"])
def test_every_container_of_the_upload_page_is_read(tmp_path: Path, ending: str) -> None:
    path = videos.clip_in_container(tmp_path, ending)

    info = video.probe(path)
    seen = list(sampling.sample(path, info, 10))

    assert info.duration_s == pytest.approx(1.0, abs=0.15)
    assert len(seen) == 10
    assert {picture.shape for _, _, picture in seen} == {(info.height, info.width, 3)}


def test_samples_lie_in_the_middle_of_equal_parts(tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4", duration_s=2.0)

    assert times(path, 10) == pytest.approx([0.2 * (index + 0.5) for index in range(10)], abs=0.041)


def test_samples_of_a_variable_rate_follow_the_clock_not_the_frame_number(tmp_path: Path) -> None:
    path = videos.variable_rate_clip(tmp_path / "clip.mp4", duration_s=3.0)

    seen = times(path, 10)

    assert seen[-1] > 2.5
    assert np.median(np.diff(seen)) == pytest.approx(0.3, abs=0.1)


def test_a_short_video_gives_every_frame_once(tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4", duration_s=0.4)

    seen = times(path, 60)

    assert len(seen) == 10
    assert len(set(seen)) == 10


def test_sampling_by_key_frame_shows_what_decoding_everything_shows(tmp_path: Path) -> None:
    """Samples more than a second apart are reached by seeking; the pictures must be those of a full decode."""
    path = videos.face_clip(tmp_path / "clip.mp4", duration_s=24.0, size=(160, 96))
    whole = list(videos.decoded(path))

    for _, time_s, picture in sampling.sample(path, video.probe(path), 12):
        nearest = whole[int(np.argmin([abs(at - time_s) for at, _ in whole]))]
        assert nearest[0] == pytest.approx(time_s, abs=1e-3)
        assert np.array_equal(nearest[1], picture)


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_rotation_metadata_is_honoured(tmp_path: Path, rotation_deg: int) -> None:
    path = videos.rotated_clip(tmp_path / "clip.mp4", rotation_deg)
    _, stored = next(iter(videos.decoded(path)))

    info = video.probe(path)
    _, _, picture = next(sampling.sample(path, info, 25))

    assert np.array_equal(picture, np.rot90(stored, -rotation_deg // 90))
    assert picture.shape[:2] == (info.height, info.width)


@pytest.mark.parametrize(
    ("aspect", "shown"),
    [
        (Fraction(4, 3), (427, 180)),  # HDV
        (Fraction(64, 45), (455, 180)),  # 16:9 on a PAL disc
        (Fraction(8, 9), (320, 202)),  # 4:3 on an NTSC disc: made taller, so that no pixel is lost
        (Fraction(181, 180), (320, 180)),  # next to square
        (Fraction(9, 1), (320, 180)),  # nonsense
        (None, (320, 180)),
    ],
    ids=str,
)
def test_pixels_that_are_not_square_are_made_so(
    tmp_path: Path, aspect: Fraction | None, shown: tuple[int, int]
) -> None:
    def half_white(time_s: float) -> videos.Picture:
        picture = np.zeros((180, 320, 3), np.uint8)
        picture[:, 160:] = 255
        return picture

    path = videos.write_video(tmp_path / "clip.mp4", half_white, videos.even_times(0.5), pixel_aspect=aspect)

    info = video.probe(path)
    _, _, picture = next(sampling.sample(path, info, 10))
    _, _, small = next(sampling.sample(path, info, 10, max_side=100))

    assert (info.width, info.height) == shown
    assert picture.shape == (shown[1], shown[0], 3)
    assert picture[:, : shown[0] // 2 - 8].max() < 8
    assert picture[:, shown[0] // 2 + 8 :].min() > 247
    assert small.shape == (round(100 * shown[1] / shown[0]), 100, 3)


def test_a_turned_picture_is_made_square_before_it_is_turned(tmp_path: Path) -> None:
    path = videos.rotated_clip(tmp_path / "clip.mp4", 90, pixel_aspect=Fraction(4, 3))

    info = video.probe(path)
    _, _, picture = next(sampling.sample(path, info, 25))

    assert (info.width, info.height) == (videos.SIZE[1], round(videos.SIZE[0] * 4 / 3))
    assert picture.shape[:2] == (info.height, info.width)


def test_a_limit_beyond_every_picture_is_none(tmp_path: Path) -> None:
    path = videos.no_face_clip(tmp_path / "clip.mp4", duration_s=0.2)

    assert video.probe(path, Limits(max_pixels=2**40)).width == videos.SIZE[0]


def test_pictures_that_are_too_large_as_they_are_shown_are_refused(tmp_path: Path) -> None:
    path = videos.write_video(
        tmp_path / "clip.mp4", videos.empty_scene((320, 180)), [0.0, 0.1], pixel_aspect=Fraction(2)
    )

    with pytest.raises(DetectorError) as caught:
        video.probe(path, Limits(max_pixels=320 * 180))

    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (videos.empty_file, ErrorCode.EMPTY),
        (videos.renamed_text, ErrorCode.UNSUPPORTED),
        (videos.noise_file, ErrorCode.UNSUPPORTED),
        (videos.truncated_clip, ErrorCode.UNREADABLE),
        (videos.audio_only, ErrorCode.NO_VIDEO_STREAM),
        (videos.still_picture, ErrorCode.UNSUPPORTED),
        (videos.unknown_codec, ErrorCode.UNSUPPORTED),
    ],
)
def test_what_is_no_video_is_refused_with_a_sentence(tmp_path: Path, make, code: ErrorCode) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / "clip.mp4")

    with pytest.raises(DetectorError) as caught:
        video.probe(path)

    assert caught.value.code == code
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(max_duration_s=1.5), ErrorCode.TOO_LONG),
        (Limits(max_bytes=1000), ErrorCode.TOO_LARGE),
        (Limits(max_pixels=640 * 359), ErrorCode.TOO_MANY_PIXELS),
    ],
)
def test_what_passes_a_limit_is_refused(tmp_path: Path, limits: Limits, code: ErrorCode) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4")

    with pytest.raises(DetectorError) as caught:
        video.probe(path, limits)

    assert caught.value.code == code


@pytest.mark.parametrize("size", [(64, MAX_SIDE + 2), (MAX_SIDE + 2, 64)])
def test_a_frame_with_a_side_that_is_too_long_is_refused_though_its_pixels_are_few(
    size: tuple[int, int], tmp_path: Path
) -> None:
    path = hostile_videos.encoded(tmp_path / "clip.mkv", "ffv1", size=size, frames=2)

    with pytest.raises(DetectorError, match="16,386 pixels long, more than the 16,384") as caught:
        video.probe(path)

    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS


def test_the_longest_side_is_read(tmp_path: Path) -> None:
    path = hostile_videos.encoded(tmp_path / "clip.mkv", "ffv1", size=(64, MAX_SIDE), frames=2)

    assert {picture.shape for _, _, picture in sampling.sample(path, video.probe(path), 2)} == {(MAX_SIDE, 64, 3)}


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(DetectorError) as caught:
            video.probe(path)
        assert caught.value.code == ErrorCode.UNREADABLE


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    videos.face_clip(tmp_path / "secret.mp4")
    playlist = tmp_path / "clip.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.mp4\n#EXT-X-ENDLIST\n")

    with pytest.raises(DetectorError) as caught:
        video.probe(playlist)

    assert caught.value.code == ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"])
def test_a_video_whose_beginning_is_all_that_is_left_is_damaged_not_another_kind(ending: str, tmp_path: Path) -> None:
    path = videos.clip_in_container(tmp_path, ending, duration_s=0.2)
    path.write_bytes(path.read_bytes()[:24])

    with pytest.raises(DetectorError) as caught:
        video.probe(path)

    assert caught.value.code == ErrorCode.UNREADABLE


def test_a_cut_off_video_gives_the_frames_that_are_left(tmp_path: Path) -> None:
    path = videos.truncated_clip(tmp_path / "clip.mkv", kept=0.6)

    seen = list(sampling.sample(path, video.probe(path), 20))

    assert 3 <= len(seen) <= 20


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_sound_that_outlasts_the_picture_does_not_count(ending: str, tmp_path: Path) -> None:
    times = videos.even_times(2.0)
    path = videos.write_video(tmp_path / f"clip{ending}", videos.empty_scene(), times, with_audio=True, audio_s=30.0)

    info = video.probe(path)

    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    assert len(list(sampling.sample(path, info, 10))) == 10


def test_sampling_stops_when_told(tmp_path: Path) -> None:
    path = videos.face_clip(tmp_path / "clip.mp4")
    seen: list[float] = []
    frames = sampling.sample(path, video.probe(path), 10, should_stop=lambda: len(seen) >= 3)

    with pytest.raises(DetectorError) as caught:
        seen.extend(time_s for _, time_s, _ in frames)

    assert caught.value.code == ErrorCode.CANCELLED


def test_a_video_of_which_only_the_beginning_is_left_gives_its_last_frame(tmp_path: Path) -> None:
    """Found by the fuzzer: the poster of such a video could not be drawn, though its first frame can be read."""
    path = hostile_videos.encoded(tmp_path / "clip.avi", "mjpeg", "yuvj420p", frames=50)
    content = path.read_bytes()
    second = content.index(b"00dc", content.index(b"00dc", content.index(b"movi")) + 4)
    path.write_bytes(content[: second + 8] + bytes(len(content) - second - 8))

    for count in (5, 10, 50):
        assert times(path, count)[0] == 0.0


def test_a_wrong_rate_does_not_make_one_frame_stand_for_all(tmp_path: Path) -> None:
    """A container may say that it shows a frame in a thousand seconds; the times of its frames say otherwise."""
    path = videos.no_face_clip(tmp_path / "clip.mp4", duration_s=2.0, size=(160, 96))
    slow = dataclasses.replace(video.probe(path), frame_rate=0.001)

    assert len(list(sampling.sample(path, slow, 10))) >= 9


def test_a_frame_far_beyond_the_end_does_not_use_up_the_samples(tmp_path: Path) -> None:
    path = hostile_videos.packets_at(tmp_path / "clip.mkv", hostile_videos.OUTLYING_TIMES)
    info = dataclasses.replace(video.probe(path, Limits(max_duration_s=1e9)), duration_s=2.0)

    seen = [time_s for _, time_s, _ in sampling.sample(path, info, 10)]

    assert len(seen) >= 9
    assert max(seen) < 3.0


def test_a_container_that_declares_too_little_is_believed_no_more_than_its_index(tmp_path: Path) -> None:
    path = hostile_videos.longer_than_it_says(tmp_path / "clip.mp4")

    assert video.probe(path, Limits(max_duration_s=1e9)).duration_s == pytest.approx(86_400, abs=2)


def test_an_mpeg_stream_is_as_long_as_its_frames(tmp_path: Path) -> None:
    """FFmpeg takes its duration from the first and the last time stamp of a pack, which in a short file are one."""
    path = hostile_videos.encoded(tmp_path / "clip.mpg", "mpeg1video", frames=12)

    assert video.probe(path).duration_s == pytest.approx(12 / 25, abs=0.001)
    assert times(path, 12)[-1] == pytest.approx(11 / 25, abs=0.001)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("clip.mp4", "libx264", "yuv444p"),
        ("clip.mp4", "libx264", "yuv422p10le"),
        ("clip.mp4", "libx264rgb", "rgb24"),
        ("clip.mkv", "ffv1", "gbrp16le"),
        ("clip.mov", "png", "rgba"),
        ("clip.mov", "prores_ks", "yuva444p10le"),
        ("clip.webm", "libvpx-vp9", "yuva420p"),
        ("clip.mpg", "mpeg1video", "yuv420p"),
    ],
)
def test_every_pixel_format_shows_what_was_filmed(name: str, codec: str, pixel_format: str, tmp_path: Path) -> None:
    path = hostile_videos.encoded(tmp_path / name, codec, pixel_format)

    for _, time_s, picture in sampling.sample(path, video.probe(path), 10):
        filmed = videos.empty_scene(hostile_videos.SIZE)(time_s)
        assert np.abs(picture.astype(int) - filmed.astype(int)).mean() < 8


def test_hdr_is_read_at_its_true_brightness_order(tmp_path: Path) -> None:
    """It is not mapped to the tones of a screen, but what is brighter stays brighter."""
    path = hostile_videos.hdr(tmp_path / "clip.mp4")

    _, time_s, picture = next(sampling.sample(path, video.probe(path), 10))
    filmed = videos.empty_scene(hostile_videos.SIZE)(time_s)

    assert np.corrcoef(picture.mean(axis=2).ravel(), filmed.mean(axis=2).ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"preset": "ultrafast"}),
        ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
        ("png", {}),
    ],
)
def test_pictures_that_are_larger_than_was_declared_are_refused_as_that(
    codec: str, options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixel_format = "rgb24" if codec == "png" else "yuv420p"
    path = hostile_videos.encoded(tmp_path / "clip.mov", codec, pixel_format, size=(640, 384), options=options)
    hostile_videos.declare_size(path, (64, 48))
    monkeypatch.setattr(decoding, "EDGE_PIXELS", 0)

    with pytest.raises(DetectorError) as caught:
        video.probe(path, Limits(max_pixels=320 * 200))

    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_a_frame_as_large_as_is_allowed_is_read_though_its_blocks_reach_beyond_it(codec: str, tmp_path: Path) -> None:
    """Decoders fill their blocks, so they take memory for more pixels than the picture has."""
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = hostile_videos.encoded(tmp_path / "clip.mov", codec, size=(322, 178), options=options)
    limits = Limits(max_pixels=322 * 178)

    assert video.probe(path, limits).width == 322
    assert len(list(sampling.sample(path, video.probe(path, limits), 10, limits=limits))) == 10
