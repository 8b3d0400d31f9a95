"""The floor: which frames must be decoded, how many multiplications a network makes, and what that takes here."""

from pathlib import Path

import av
import numpy as np
import openvino
import pytest
from av.video.frame import PictureType
from openvino import opset13 as ops

from detector import sample_clip, sampling
from detector.bench import floors
from detector.bench.floors import Packet
from detector.release import MODELS_DIR, load_release


def _packets(kinds: str) -> list[Packet]:
    """Frames in the order of decoding, 1 s apart as they are shown: K key, P other reference, b seen by no other.

    A b is shown before the P or K that stands before it, as encoders have it.
    """
    shown = list(range(len(kinds)))
    for place in range(1, len(kinds)):
        if kinds[place] == "b":
            shown[place], shown[place - 1] = shown[place - 1], shown[place]
    return [Packet(float(time), kind == "K", kind != "b") for time, kind in zip(shown, kinds, strict=True)]


@pytest.mark.parametrize(
    ("kinds", "count", "needed"),
    [
        ("KKKK", 2, 2),  # each by itself: those at 1 s and 3 s
        ("KPPP", 1, 3),  # the one at 2 s needs the two before
        ("KPPPKPPP", 2, 6),  # at 2 s and 6 s: three of each group
        ("KPPPKPPP", 1, 1),  # at 4 s: a key frame
        ("KPbPbPb", 1, 4),  # at 4 s, a P: none of the others between is needed
    ],
)
def test_only_what_is_wanted_and_what_that_needs_is_decoded(
    kinds: str, count: int, needed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "SEEK_BEYOND_S", 100.0)
    packets = _packets(kinds)

    assert floors.frames_to_decode(packets, float(len(packets)), count, 0.5) == needed


@pytest.mark.parametrize(
    ("kinds", "count", "needed"),
    [
        ("KPPPKPPP", 1, 1),  # at 4 s
        ("KPPPPKPP", 1, 1),  # at 4 s, and there is a key frame at 5 s
        ("KPPPPPPK", 1, 5),  # at 4 s, and the next key frame is 3 s away
        ("KKPPKPPK", 2, 2),  # at 2 s and 6 s: those at 1 s and 7 s
    ],
)
def test_of_frames_far_apart_a_key_frame_nearby_is_enough(kinds: str, count: int, needed: int) -> None:
    packets = _packets(kinds)

    assert floors.frames_to_decode(packets, float(len(packets)), count, 0.5) == needed


def test_a_frame_that_no_other_needs_is_decoded_where_it_is_wanted() -> None:
    packets = [Packet(0.0, True, True), Packet(2.0, False, True), Packet(1.0, False, False)]

    assert floors.frames_to_decode(packets, 2.0, 1, 0.0) == 3
    assert floors.frames_to_decode(packets, 4.0, 1, 0.0) == 2


def test_a_wanted_time_after_the_last_frame_needs_nothing() -> None:
    assert floors.frames_to_decode([Packet(0.0, True, True)], 10.0, 1, 0.0) == 0


def test_what_x264_encodes_has_frames_that_no_other_needs(tmp_path: Path) -> None:
    sample_clip.make_clip(tmp_path / "clip.mp4", seconds=1.0, width=128, height=96)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(video=0)]

    packets = floors._packets(tmp_path / "clip.mp4")

    assert len(packets) == 25
    assert sum(packet.is_key for packet in packets) == kinds.count("I")
    assert 0 < sum(not packet.is_reference for packet in packets) <= kinds.count("B")


def test_of_other_codecs_every_frame_counts_as_needed(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for level in range(5):
            picture = np.full((64, 64, 3), 40 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())

    assert [packet.is_reference for packet in floors._packets(tmp_path / "clip.mp4")] == [True] * 5


@pytest.mark.parametrize(("name", "billions"), [("resnext50-lstm-0.2.0", 2.157), ("clip-vit-b16-lstm-0.1.0", 17.563)])
def test_multiply_adds_are_those_of_the_published_networks(name: str, billions: float) -> None:
    # ResNeXt50 32x4d is given as 4.23 billion at 224 px, which is 2.16 at 160; ViT-B/16 as 17.56 at 224 px.
    assert floors.multiply_adds(load_release(MODELS_DIR / name)) == pytest.approx(billions * 1e9, rel=0.001)


def test_multiply_adds_of_each_operation_are_counted() -> None:
    x = ops.parameter([1, 4, 8, 8], np.float32)
    plain = ops.convolution(x, np.zeros((6, 4, 3, 3), np.float32), [2, 2], [1, 1], [1, 1], [1, 1])
    groups = ops.group_convolution(x, np.zeros((2, 3, 2, 3, 3), np.float32), [1, 1], [1, 1], [1, 1], [1, 1])
    flat = ops.reshape(x, np.array([4, 64]), special_zero=False)
    turned = ops.matmul(flat, np.zeros((4, 5), np.float32), True, False)  # (64, 4) by (4, 5)
    query = ops.reshape(x, np.array([1, 2, 16, 8]), special_zero=False)
    attention = ops.scaled_dot_product_attention(query, query, query)
    graph = openvino.Model([plain, groups, turned, attention], [x])

    counted = sorted(made for made in map(floors._of_operation, graph.get_ops()) if made)

    assert counted == sorted([16 * 6 * 4 * 9, 64 * 6 * 2 * 9, 64 * 5 * 4, 2 * 16 * 16 * 8 * 2])


def test_rates_are_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "MATRIX_SIDE", 64)
    monkeypatch.setattr(floors, "MULTIPLYING_S", 0.0)
    sample_clip.make_clip(tmp_path / "clip.mp4", seconds=1.0, width=128, height=96)

    found = floors.measure(tmp_path / "clip.mp4", 10, MODELS_DIR / "resnext50-lstm-0.2.0")

    assert found["frames_in_video"] == 25
    assert found["decoded_frame"]["wall_s"] > 0
    assert found["billion_multiply_adds"]["wall_s"] > 0


def test_the_floor_of_a_run_is_counts_times_rates() -> None:
    measured = {
        "frames_to_decode": 100,
        "decoded_frame": {"wall_s": 0.002, "cpu_s": 0.003},
        "multiply_adds_per_crop": 2_000_000_000,
        "billion_multiply_adds": {"wall_s": 0.01, "cpu_s": 0.02},
    }

    found = floors.of_run(measured, 60, {"wall_s": 7.0, "cpu_s": 8.1})

    assert found["decode"] == {"wall_s": 0.2, "cpu_s": 0.3}
    assert found["network"] == {"wall_s": 1.2, "cpu_s": 2.4}
    assert (found["wall_s"], found["cpu_s"]) == (1.4, 2.7)
    assert found["times_floor"] == {"wall_s": 5.0, "cpu_s": 3.0}
