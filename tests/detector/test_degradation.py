"""Degraded copies: each does what it says, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.degradation import SWEEP, Degradation, _change, write_degraded
from detector.errors import DetectorError, ErrorCode
from detector.sampling import sample
from detector.video import probe
from tests import videos


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.face_clip(tmp_path_factory.mktemp("clips") / "face.mp4", 1.0, (322, 182))


@pytest.fixture(scope="module")
def copy(clip: Path) -> Callable[..., Path]:
    def make(family: str, severity: float) -> Path:
        target = clip.with_name(f"{family}-{severity}.mp4")
        write_degraded(clip, Degradation(family, severity, ""), target)
        return target

    return make


def _pictures(path: Path) -> NDArray[np.float64]:
    return np.stack([picture for _, _, picture in sample(path, probe(path), 60)]).astype(np.float64)


def _detail(pictures: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(pictures, axis=2)).mean())


def test_every_frame_is_kept_at_its_time(clip: Path, copy: Callable[..., Path]) -> None:
    before = [time_s for _, time_s, _ in sample(clip, probe(clip), 60)]
    after = [time_s for _, time_s, _ in sample(copy("brightness", 0.5), probe(copy("brightness", 0.5)), 60)]

    assert len(before) == 25
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_copy_with_no_change_but_its_faithful_compression_is_nearly_the_same(
    clip: Path, copy: Callable[..., Path]
) -> None:
    assert np.abs(_pictures(copy("brightness", 1.0)) - _pictures(clip)).mean() < 2


def test_compression_takes_more_the_higher_the_factor(clip: Path, copy: Callable[..., Path]) -> None:
    errors = [np.abs(_pictures(copy("compression", crf)) - _pictures(clip)).mean() for crf in (23, 32, 40)]
    sizes = [copy("compression", crf).stat().st_size for crf in (23, 32, 40)]

    assert errors == sorted(errors)
    assert errors[2] > 1.5 * errors[0]
    assert sizes == sorted(sizes, reverse=True)


def test_sizes_are_shares_and_even(copy: Callable[..., Path]) -> None:
    half, quarter = probe(copy("size", 0.5)), probe(copy("size", 0.25))

    assert (half.width, half.height) == (160, 90)  # 161 x 91 lose a column and a row
    assert (quarter.width, quarter.height) == (80, 46)


def test_blur_takes_detail_and_noise_adds_its_strength(clip: Path, copy: Callable[..., Path]) -> None:
    given, soft, softer = (_detail(_pictures(path)) for path in (clip, copy("blur", 0.8), copy("blur", 1.6)))

    assert softer < 0.8 * soft < 0.8 * given
    grain = _pictures(copy("noise", 15)) - _pictures(copy("brightness", 1.0))
    assert 8 < grain.std() < 20  # colour is halved by 4:2:0
    assert abs(grain.mean()) < 1


def test_brightness_scales_and_clips(clip: Path, copy: Callable[..., Path]) -> None:
    given = _pictures(clip)

    np.testing.assert_allclose(_pictures(copy("brightness", 0.5)).mean(), 0.5 * given.mean(), rtol=0.03)
    bright = _pictures(copy("brightness", 1.6))
    np.testing.assert_allclose(bright.mean(), np.clip(1.6 * given, 0, 255).mean(), rtol=0.03)


def test_the_same_pictures_are_made_twice(clip: Path) -> None:
    pictures = _pictures(clip).astype(np.uint8)
    noise = Degradation("noise", 15, "")

    first, second = (
        [change(one, index) for index, one in enumerate(pictures)] for change in map(_change, (noise, noise))
    )

    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert not np.array_equal(first[0] - pictures[0], first[1] - pictures[1])


def test_a_turned_video_comes_out_upright(tmp_path: Path) -> None:
    turned = videos.rotated_clip(tmp_path / "turned.mp4", 90)
    write_degraded(turned, Degradation("size", 0.5, ""), tmp_path / "copy.mp4")

    info = probe(tmp_path / "copy.mp4")
    assert (info.width, info.height, info.rotation_deg) == (180, 320, 0)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")

    with pytest.raises(DetectorError) as refusal:
        write_degraded(tmp_path / "broken.mp4", SWEEP[1], tmp_path / "copy.mp4")

    assert refusal.value.code is ErrorCode.UNSUPPORTED
    assert not (tmp_path / "copy.mp4").exists()


def test_names_of_the_sweep_are_its_own() -> None:
    names = [degradation.name for degradation in SWEEP]

    assert names[:3] == ["none", "compression-23", "compression-32"]
    assert len(set(names)) == len(names)
