"""Makes demonstration clips from one public-domain photograph: for benchmarks, the installation check and tests.

The photographed face moves, turns and comes nearer over a blurred, grainy background, so that decoding, finding and
following faces all have real work to do. No footage of anybody is needed; see ``samples/LICENSE.md``.
"""

import itertools
import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

PHOTOGRAPH = Path(__file__).parent / "samples" / "astronaut.jpg"

# Head and shoulders in the photograph, (x0, y0, x1, y1); the face itself is about 110 px wide.
_HEAD = (92, 0, 352, 260)
MAX_FACES = 4
_GRAINS = 4  # backgrounds with different grain, shown in turn

Picture = npt.NDArray[np.uint8]


def read_photograph() -> Picture:
    """The sample photograph, (512, 512, 3) uint8 RGB."""
    picture = cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"The sample photograph is missing: {PHOTOGRAPH}.")
    return np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)


def make_clip(
    path: Path,
    *,
    seconds: float = 3.0,
    width: int = 640,
    height: int = 360,
    frame_rate: float = 25,
    faces: int = 1,
    bit_rate: int | None = None,
) -> None:
    """Write an H.264 clip (yuv420p, no sound) to ``path``; the suffix chooses the container (.mp4, .mov, .mkv).

    Every second face from the left is the mirrored, darker photograph. ``bit_rate`` is the most that a second may take,
    in bits; without it the grain is kept whole, whatever that takes. The same arguments give the same pictures.
    Raises ValueError for odd or tiny sizes, and for anything but one to MAX_FACES faces. A 10 s clip at 1080p takes
    some thirty seconds of processor time.
    """
    if width % 2 or height % 2 or min(width, height) < 64:
        raise ValueError(f"Width and height must be even and at least 64, not {width} x {height}.")
    if not 1 <= faces <= MAX_FACES:
        raise ValueError(f"A clip shows one to {MAX_FACES} faces, not {faces}.")
    if seconds <= 0 or frame_rate <= 0:
        raise ValueError("Seconds and frame rate must be above zero.")
    rate = Fraction(frame_rate).limit_denominator(1001)
    options = {"crf": "20", "preset": "veryfast"}
    if bit_rate is not None:
        options |= {"maxrate": str(bit_rate), "bufsize": str(bit_rate)}
    backgrounds = _backgrounds(width, height)
    heads = list(itertools.islice(itertools.cycle(_heads()), faces))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(max(1, round(seconds * rate))):
            picture = backgrounds[index % len(backgrounds)].copy()
            for place, head in enumerate(heads):
                _draw_head(picture, head, place, faces, index / float(rate))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def repeat_clip(clip: Path, times: int, target: Path) -> None:
    """Write what ``clip`` shows ``times`` times over to ``target``, without encoding it anew: a long clip at no cost.

    Raises ValueError where ``times`` is below 1.
    """
    if times < 1:
        raise ValueError(f"A clip is shown at least once, not {times} times.")
    with av.open(str(clip)) as source, av.open(str(target), "w") as container:
        video = source.streams.video[0]
        stream = container.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.size]
        once = sum(packet.duration or 0 for packet in packets)
        for turn in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = (packet.pts or 0) + turn * once, (packet.dts or 0) + turn * once
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, stream
                container.mux(again)


def _backgrounds(width: int, height: int) -> list[Picture]:
    """A few pictures of the same soft, coloured, out-of-focus background, each with its own fine grain."""
    random = np.random.default_rng(20)
    soft = np.full((height, width, 3), (150, 150, 158), np.float32)
    for cells, strength in ((3, 26.0), (7, 13.0), (19, 7.0), (53, 3.0)):
        shape = (max(2, cells * height // width), cells)
        light = random.standard_normal((*shape, 1)) + 0.25 * random.standard_normal((*shape, 3))
        soft += strength * cv2.resize(light.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    soft = np.clip(soft, 8, 247)
    grain = random.normal(0, 5, (height, width, 1)).astype(np.float32)
    grains = [np.roll(grain, (37 * turn, 101 * turn), (0, 1)) for turn in range(_GRAINS)]
    return [np.clip(soft + each, 0, 255).astype(np.uint8) for each in grains]


def _heads() -> list[npt.NDArray[np.float32]]:
    """Head and shoulders with a soft round edge, and the same mirrored and darker.

    Each is (260, 260, 4) float32 RGBA between 0 and 1, its colours premultiplied.
    """
    x0, y0, x1, y1 = _HEAD
    colour = read_photograph()[y0:y1, x0:x1].astype(np.float32) / 255
    size = x1 - x0
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1) * 2 - 1
    alpha = np.clip((1 - np.hypot(rows, columns)) / 0.18, 0, 1)[:, :, None].astype(np.float32)
    first = np.concatenate([colour * alpha, alpha], axis=2)
    second = np.concatenate([colour[:, ::-1] ** 1.3 * alpha, alpha], axis=2)
    return [first, second]


def _draw_head(picture: Picture, head: npt.NDArray[np.float32], place: int, faces: int, time_s: float) -> None:
    """Blend ``head`` into ``picture`` in place where it is at ``time_s``."""
    height, width = picture.shape[:2]
    size = head.shape[0]
    room = width / faces
    scale = min(1.1 * math.sqrt(height / 360), 0.82 * room / size, 0.82 * height / size)
    phase = 2 * math.pi * time_s / 4 + 2.1 * place
    scale *= 1 + 0.06 * math.sin(0.7 * phase)
    centre_x = room * (place + 0.5) + 0.5 * (room - 0.88 * size * scale) * 0.7 * math.sin(phase)
    centre_y = height / 2 + 0.5 * (height - 0.88 * size * scale) * 0.7 * math.sin(1.3 * phase + 0.5)
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), 5 * math.sin(0.9 * phase), scale)
    left, top = math.floor(centre_x - size * scale / 2), math.floor(centre_y - size * scale / 2)
    extent = math.ceil(size * scale) + 1
    turn[:, 2] += np.array([centre_x - left, centre_y - top]) - (size - 1) / 2
    drawn = cv2.warpAffine(head, turn, (extent, extent), flags=cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + extent, width), min(top + extent, height)
    part = drawn[y0 - top : y1 - top, x0 - left : x1 - left]
    below = picture[y0:y1, x0:x1].astype(np.float32)
    picture[y0:y1, x0:x1] = np.clip(below * (1 - part[:, :, 3:]) + part[:, :, :3] * 255, 0, 255).astype(np.uint8)
