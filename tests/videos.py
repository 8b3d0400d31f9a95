"""Video files made on the spot for tests: small, reproducible, and showing nobody but a public-domain photograph.

The face is NASA's portrait of Eileen Collins (public domain), which ships with scikit-image. Every function writes one
file and returns its path; times are in seconds, sizes are (width, height) in pixels, pictures are RGB uint8.
"""

import functools
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from av.video.stream import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Scene = Callable[[float], Picture]  # the picture at a time

SIZE = (640, 360)
RATE = 25
TIME_BASE = Fraction(1, 90_000)


@functools.cache
def portrait() -> Picture:
    """The head of the public-domain portrait, 300 x 300; the face is about 110 px wide and in the middle."""
    picture: Picture = np.ascontiguousarray(skimage.data.astronaut()[0:300, 75:375])  # type: ignore[no-untyped-call]
    return picture


def background(size: tuple[int, int] = SIZE) -> Picture:
    """A calm gradient with some texture: no face, and not so flat that a codec throws everything away."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    red = 70 + 60 * columns / width
    green = 90 + 40 * rows / height
    blue = 120 + 20 * np.sin(columns / 17.0) * np.cos(rows / 23.0)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def paste(canvas: Picture, picture: Picture, left: int, top: int) -> None:
    """Put ``picture`` onto ``canvas`` in place; what lies outside is cut off."""
    height, width = canvas.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + picture.shape[1]), min(height, top + picture.shape[0])
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]


def face_scene(size: tuple[int, int] = SIZE, portrait_px: int = 300) -> Scene:
    """One face that sways slowly from side to side. The face itself is about a third of ``portrait_px`` wide."""
    width, height = size
    head = resized(portrait(), portrait_px)

    def at(time_s: float) -> Picture:
        canvas = background(size)
        left = int((width - portrait_px) * (0.5 + 0.35 * math.sin(time_s * 1.3)))
        top = int((height - portrait_px) * (0.5 + 0.3 * math.cos(time_s * 0.9)))
        paste(canvas, head, left, top)
        return canvas

    return at


def two_faces_scene(size: tuple[int, int] = SIZE, portrait_px: int = 260) -> Scene:
    """Two faces side by side, the right one mirrored and darker; they never overlap."""
    width, height = size
    head = resized(portrait(), portrait_px)
    other = np.ascontiguousarray((head[:, ::-1].astype(np.float32) * 0.8).astype(np.uint8))

    def at(time_s: float) -> Picture:
        canvas = background(size)
        top = (height - portrait_px) // 2
        sway = int(width * 0.02 * math.sin(time_s * 1.7))
        paste(canvas, head, width // 4 - portrait_px // 2 + sway, top)
        paste(canvas, other, 3 * width // 4 - portrait_px // 2 - sway, top + sway)
        return canvas

    return at


def empty_scene(size: tuple[int, int] = SIZE) -> Scene:
    """A moving disc on a gradient: motion, but no face."""
    width, height = size

    def at(time_s: float) -> Picture:
        canvas = background(size)
        centre = (int(width * (0.5 + 0.3 * math.sin(time_s))), height // 2)
        cv2.circle(canvas, centre, height // 8, (200, 180, 60), thickness=-1)
        return canvas

    return at


def resized(picture: Picture, side: int) -> Picture:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def even_times(duration_s: float, rate: float = RATE) -> list[float]:
    return [index / rate for index in range(round(duration_s * rate))]


def write_video(
    path: Path,
    scene: Scene,
    times: Sequence[float],
    *,
    codec: str = "libx264",
    with_audio: bool = False,
    audio_s: float | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encode ``scene`` at ``times`` (rising, from 0) into ``path``; the ending of its name chooses the container.

    ``pixel_aspect`` is a pixel's width over its height, as the file says. The sound lasts ``audio_s``, else as long as
    the picture.
    """
    pixel_format = {"gif": "rgb8"}.get(codec, "yuv420p")
    rate = round(1 / (times[1] - times[0])) if len(times) > 1 else RATE
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        assert isinstance(video, VideoStream)
        first = scene(times[0])
        video.width, video.height, video.pix_fmt = first.shape[1], first.shape[0], pixel_format
        if pixel_aspect is not None:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "20"}
        if codec in {"libx264", "libvpx"}:  # the others accept frame-rate ticks only
            video.codec_context.time_base = TIME_BASE
        if codec == "libvpx":
            video.options = {"deadline": "realtime", "cpu-used": "8"}
        if codec == "mpeg4":
            video.bit_rate = 4_000_000
        base = video.codec_context.time_base or Fraction(1, rate)
        audio = container.add_stream("aac", rate=48_000, layout="mono") if with_audio else None
        for time_s in times:
            frame = av.VideoFrame.from_ndarray(scene(time_s), format="rgb24").reformat(format=pixel_format)
            frame.time_base, frame.pts = base, round(time_s / base)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for sound in tone(audio_s or times[-1] + 1 / rate):
                container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path


def tone(duration_s: float, rate: int = 48_000) -> Iterator[av.AudioFrame]:
    """A quiet 440 Hz tone in frames of 1024 samples."""
    for start in range(0, round(duration_s * rate), 1024):
        wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(start, start + 1024) / rate)
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame


def face_clip(path: Path, duration_s: float = 2.0, size: tuple[int, int] = SIZE, *, with_audio: bool = False) -> Path:
    """One person, moving; the usual upload. Name it .mp4, .mov or .mkv."""
    scene = face_scene(size, portrait_px=round(size[1] * 0.83))
    return write_video(path, scene, even_times(duration_s), with_audio=with_audio)


def small_face_clip(path: Path, duration_s: float = 2.0) -> Path:
    """One person far away: a face of about 15 px, too small to be judged."""
    return write_video(path, face_scene(portrait_px=44), even_times(duration_s))


def two_faces_clip(path: Path, duration_s: float = 2.0) -> Path:
    """Two persons at the same time."""
    return write_video(path, two_faces_scene(), even_times(duration_s))


def no_face_clip(path: Path, duration_s: float = 2.0, size: tuple[int, int] = SIZE) -> Path:
    """Motion, but nobody in the picture."""
    return write_video(path, empty_scene(size), even_times(duration_s))


def cut_clip(path: Path, duration_s: float = 3.0) -> Path:
    """One person, an empty scene in the middle third, the same person again: tracks to be joined across cuts."""
    faces, empty = face_scene(), empty_scene()

    def at(time_s: float) -> Picture:
        return empty(time_s) if duration_s / 3 <= time_s < 2 * duration_s / 3 else faces(time_s)

    return write_video(path, at, even_times(duration_s))


def variable_rate_clip(path: Path, duration_s: float = 3.0) -> Path:
    """The first half at 25 frames a second, the second half at 5: frame numbers say nothing about time here."""
    half = duration_s / 2
    times = even_times(half) + [half + time_s for time_s in even_times(half, 5)]
    return write_video(path, face_scene(), times)


def rotated_clip(
    path: Path, rotation_deg: int = 90, duration_s: float = 1.0, pixel_aspect: Fraction | None = None
) -> Path:
    """A person filmed with a turned phone: stored lying (SIZE), to be shown turned clockwise by ``rotation_deg``.

    Shown upright, the picture is (360, 640) for 90 and 270 degrees. ``path`` must be .mp4 or .mov.
    """
    upright_size = SIZE[::-1] if rotation_deg % 180 else SIZE
    upright = face_scene(upright_size, portrait_px=300)

    def stored(time_s: float) -> Picture:
        return np.ascontiguousarray(np.rot90(upright(time_s), k=rotation_deg // 90))  # rot90 turns anticlockwise

    write_video(path, stored, even_times(duration_s), pixel_aspect=pixel_aspect)
    _write_display_matrix(path, rotation_deg)
    return path


def _write_display_matrix(path: Path, rotation_deg: int) -> None:
    """Put a clockwise rotation into the track header (ISO 14496-12, 8.3.2), as phones do."""
    cosine = round(math.cos(math.radians(rotation_deg)))
    sine = round(math.sin(math.radians(rotation_deg)))
    one, unit = 1 << 16, 1 << 30
    matrix = struct.pack(">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, unit)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4  # version and flags follow the name of the box
    offset = start + (52 if content[start] == 1 else 40)  # version 1 has 64-bit times
    content[offset : offset + len(matrix)] = matrix
    path.write_bytes(content)


def audio_only(path: Path, duration_s: float = 1.0) -> Path:
    """Sound in a video container, without any picture. Name it .mp4."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        for sound in tone(duration_s):
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return path


def truncated_clip(path: Path, kept: float = 0.5) -> Path:
    """A video cut off on its way. As .mkv its first part still decodes; as .mp4 the index at the end is gone."""
    face_clip(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    return path


def empty_file(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def renamed_text(path: Path) -> Path:
    """Words in a file whose name claims to be a video."""
    path.write_text("This is a shopping list, not a video.\n" * 200, encoding="utf-8")
    return path


def noise_file(path: Path, size_bytes: int = 50_000) -> Path:
    """Random bytes in a file whose name claims to be a video."""
    path.write_bytes(np.random.default_rng(7).bytes(size_bytes))
    return path


def still_picture(path: Path) -> Path:
    """A photograph whose name claims to be a video."""
    ok, encoded = cv2.imencode(".jpg", cv2.cvtColor(portrait(), cv2.COLOR_RGB2BGR))
    assert ok
    path.write_bytes(encoded.tobytes())
    return path


def unknown_codec(path: Path) -> Path:
    """A video whose codec nobody has heard of."""
    face_clip(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    return path


CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx", ".avi": "mpeg4", ".gif": "gif"}


def clip_in_container(folder: Path, ending: str, duration_s: float = 1.0) -> Path:
    """The same moving face in each of the containers a person may upload (``ending`` is a key of CODECS)."""
    return write_video(folder / f"clip{ending}", face_scene(), even_times(duration_s), codec=CODECS[ending])


def decoded(path: Path) -> Iterable[tuple[float, Picture]]:
    """Every frame of ``path`` as stored (rotation not applied), with its time: the oracle for the sampler."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float(frame.time or 0.0), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
