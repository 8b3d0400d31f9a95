"""Files that want to hurt, or merely to be odd: made on the spot, each by a function that writes one file.

Beside tests/videos.py, whose scenes and pictures they use. Containers are taken apart and put together by hand where
no muxer would write what is wanted.
"""

import io
import itertools
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from tests import videos

SIZE = (160, 96)
RATE = 25
MILLISECOND = Fraction(1, 1000)

Maker = Callable[[Path], Path]


# Encoded as any program might


def encoded(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    *,
    size: tuple[int, int] = SIZE,
    frames: int = 12,
    options: dict[str, str] | None = None,
    changes: Callable[[VideoStream], None] = lambda stream: None,
    container_options: dict[str, str] | None = None,
    scene: videos.Scene | None = None,
) -> Path:
    """``frames`` of ``scene``, else of a moving disc, in any codec and pixel format.

    The ending of the name chooses the container.
    """
    scene = scene or videos.empty_scene(size)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        changes(stream)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(index / RATE), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def hdr(path: Path) -> Path:
    """10-bit HEVC that says of itself it is HDR10: BT.2020 primaries, PQ transfer."""
    x265 = "log-level=none:pools=1:frame-threads=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    return encoded(path, "libx265", "yuv420p10le", options={"preset": "ultrafast", "x265-params": x265})


def interlaced(path: Path) -> Path:
    """H.264 in fields."""
    return encoded(path, options={"preset": "ultrafast", "x264-params": "tff=1:interlaced=1"})


def moov_first(path: Path, frames: int = 50) -> Path:
    """An MP4 whose index comes first, so that it can be read without its end."""
    return encoded(path, frames=frames, options={"preset": "ultrafast"}, container_options={"movflags": "faststart"})


def cover_picture(path: Path) -> Path:
    """Sound with the picture of its cover."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=RATE)
        assert isinstance(cover, VideoStream)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(videos.background(SIZE), format="rgb24").reformat(format="yuvj420p")
        picture.pts, picture.time_base = 0, Fraction(1, RATE)
        for frame in videos.tone(1.0):
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
    return path


# Packets at times of our choice


def packets_at(path: Path, times_ms: Sequence[int], size: tuple[int, int] = SIZE) -> Path:
    """Key frames of one picture at ``times_ms``, in any order that the muxer takes."""
    (packet,) = _still(size)
    is_rising = all(before < after for before, after in itertools.pairwise(times_ms))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = *size, "yuv420p", MILLISECOND
        container.start_encoding()
        for index, time_ms in enumerate(times_ms):
            copy = av.Packet(packet)
            copy.stream, copy.time_base = stream, MILLISECOND
            copy.pts, copy.dts = time_ms, time_ms if is_rising else index - len(times_ms)
            copy.is_keyframe = True
            container.mux(copy)
    return path


def _still(size: tuple[int, int]) -> list[bytes]:
    """One key frame of H.264 with its parameter sets in it."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base = Fraction(1, RATE)
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(videos.background(size), format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    return [bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]]


def day_of_frames(path: Path) -> Path:
    """86,400 frames, one a second."""
    return packets_at(path, range(0, 86_400_000, 1000), size=(16, 16))


def crowded_second(path: Path, frames: int = 100_000) -> Path:
    """So many frames that all want to be shown within a hundred seconds."""
    return packets_at(path, range(frames), size=(16, 16))


# Two seconds, in which one frame says that it is to be shown in eleven days.
OUTLYING_TIMES = [*range(0, 200, 40), 10**9, *range(240, 2000, 40)]


# Bombs


def picture_bomb(path: Path, side: int, declared: tuple[int, int] | None = None) -> Path:
    """A PNG video of ``side`` × ``side`` pixels, of which almost nothing is stored; it may declare another size."""
    width, height = declared or (side, side)
    row = b"\0" + bytes(side)
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    small = encoded(path, "png", "gray", size=(16, 16), frames=1).read_bytes()
    content = Boxes(small)
    content.replace(b"mdat", picture)
    content.set_sample(len(picture), (width, height))
    path.write_bytes(content.joined())
    return path


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def gif_bomb(path: Path, side: int = 30_000) -> Path:
    """A GIF whose screen is so large, with a picture of one pixel in it."""
    size = struct.pack("<HH", side, side)
    screen = b"GIF89a" + size + b"\x80\0\0" + bytes(3) + b"\xff\xff\xff"
    picture = b"\x2c" + bytes(4) + size + b"\0" + b"\x02\x02\x44\x01\0"
    path.write_bytes(screen + (b"\x21\xf9\x04\0\x0a\0\0\0" + picture) * 2 + b"\x3b")
    return path


# Boxes of the ISO base media format


class Boxes:
    """A file of boxes, taken apart: edited by name, and put together with right sizes."""

    CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf"})

    def __init__(self, content: bytes) -> None:
        self._boxes = self._split(content)

    def _split(self, content: bytes) -> list[tuple[bytes, object]]:
        boxes: list[tuple[bytes, object]] = []
        at = 0
        while at + 8 <= len(content):
            size, name = struct.unpack_from(">I4s", content, at)
            body = content[at + 8 : at + size]
            boxes.append((name, self._split(body) if name in self.CONTAINERS else body))
            at += size
        return boxes

    def replace(self, name: bytes, body: bytes | Callable[[bytes], bytes]) -> None:
        """Every box of that name gets another content."""
        self._boxes = self._replaced(self._boxes, name, body)

    def _replaced(
        self, boxes: list[tuple[bytes, object]], name: bytes, body: bytes | Callable[[bytes], bytes]
    ) -> list[tuple[bytes, object]]:
        found: list[tuple[bytes, object]] = []
        for own, content in boxes:
            if isinstance(content, list):
                found.append((own, self._replaced(content, name, body)))
            elif own == name:
                assert isinstance(content, bytes)
                found.append((own, body(content) if callable(body) else body))
            else:
                found.append((own, content))
        return found

    def set_sample(self, size_bytes: int, picture: tuple[int, int]) -> None:
        """The only sample is of that size, and shows a picture of that size."""
        self.replace(b"stsz", struct.pack(">III", 0, size_bytes, 1))
        self.declare_size(picture)

    def declare_size(self, picture: tuple[int, int]) -> None:
        """The sample description says that size."""
        self.replace(b"stsd", lambda body: body[:40] + struct.pack(">HH", *picture) + body[44:])

    def joined(self) -> bytes:
        """The whole file."""
        return self._joined(self._boxes)

    def _joined(self, boxes: list[tuple[bytes, object]]) -> bytes:
        content = b""
        for name, body in boxes:
            inner = self._joined(body) if isinstance(body, list) else body
            assert isinstance(inner, bytes)
            content += struct.pack(">I4s", len(inner) + 8, name) + inner
        return content


def declare_size(path: Path, picture: tuple[int, int]) -> None:
    """Let the MP4 or MOV at ``path`` say that its pictures have another size."""
    content = Boxes(path.read_bytes())
    content.declare_size(picture)
    path.write_bytes(content.joined())


def with_durations(path: Path, duration: int) -> Path:
    """An MP4 of which every header says that it lasts ``duration`` ticks (32 bits)."""
    encoded(path, frames=50, options={"preset": "ultrafast"})
    content = Boxes(path.read_bytes())
    ticks = struct.pack(">I", duration & 0xFFFFFFFF)
    content.replace(b"mvhd", lambda body: body[:16] + ticks + body[20:])
    content.replace(b"mdhd", lambda body: body[:16] + ticks + body[20:])
    content.replace(b"tkhd", lambda body: body[:20] + ticks + body[24:])
    content.replace(b"edts", lambda body: b"")
    path.write_bytes(content.joined())
    return path


def longer_than_it_says(path: Path) -> Path:
    """A day of frames in an MP4 whose headers say two seconds."""
    day_of_frames(path)
    content = Boxes(path.read_bytes())
    content.replace(b"mvhd", lambda body: body[:16] + _two_seconds(body[12:16]) + body[20:])
    content.replace(b"mdhd", lambda body: body[:16] + _two_seconds(body[12:16]) + body[20:])
    content.replace(b"tkhd", lambda body: body[:20] + struct.pack(">I", 2000) + body[24:])
    path.write_bytes(content.joined())
    return path


def _two_seconds(ticks_a_second: bytes) -> bytes:
    return struct.pack(">I", 2 * int.from_bytes(ticks_a_second, "big"))


def with_matroska_duration(path: Path, duration: float) -> Path:
    """A Matroska file that says it lasts ``duration`` milliseconds (element 0x4489)."""
    encoded(path, frames=50, options={"preset": "ultrafast"})
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3
    content[at : at + 8] = struct.pack(">d", duration)
    path.write_bytes(content)
    return path


# References to other places


def playlist(path: Path, target: str) -> Path:
    """An HLS playlist with a video's name."""
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n", encoding="utf-8")
    return path


def concat_script(path: Path, target: str) -> Path:
    """A script for FFmpeg's concat demuxer."""
    path.write_text(f"ffconcat version 1.0\nfile '{target}'\nduration 2\n", encoding="utf-8")
    return path


def dash_manifest(path: Path, target: str) -> Path:
    """A DASH manifest."""
    path.write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        encoding="utf-8",
    )
    return path


def session_description(path: Path, target: str) -> Path:
    """An SDP, which asks for a stream from the network."""
    port = target.rpartition(":")[2].partition("/")[0]
    path.write_text(f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n", encoding="utf-8")
    return path


def data_reference(path: Path, target: str) -> Path:
    """A QuickTime film whose samples lie in another file: an entry of its data references names ``target``."""
    encoded(path, frames=12, options={"preset": "ultrafast"})
    content = Boxes(path.read_bytes())
    place = target.encode() + b"\0"
    entry = struct.pack(">I4sI", 12 + len(place), b"url ", 0) + place
    content.replace(b"dref", struct.pack(">II", 0, 1) + entry)
    content.replace(b"mdat", lambda body: bytes(len(body)))
    path.write_bytes(content.joined())
    return path


def alias_reference(path: Path, target: str) -> Path:
    """The same as a Macintosh alias, which FFmpeg knows how to follow where it is allowed to."""
    encoded(path, frames=12, options={"preset": "ultrafast"})
    content = Boxes(path.read_bytes())
    place = target.encode()
    record = bytearray(150)
    record[4:6] = struct.pack(">H", 150)
    record[50:52] = bytes([min(27, len(place)), 0])
    tail = struct.pack(">hH", 2, len(place)) + place + bytes(len(place) % 2) + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(record) + len(tail), b"alis", 0) + bytes(record) + tail
    content.replace(b"dref", struct.pack(">II", 0, 1) + entry)
    content.replace(b"mdat", lambda body: bytes(len(body)))
    path.write_bytes(content.joined())
    return path


def reference_movie(path: Path, target: str) -> Path:
    """A QuickTime reference movie: nothing but the address of another."""
    place = target.encode() + b"\0"
    rdrf = struct.pack(">I4sI", 0, b"url ", len(place)) + place
    inner = struct.pack(">I4s", 8 + len(rdrf), b"rdrf") + rdrf
    rmda = struct.pack(">I4s", 8 + len(inner), b"rmda") + inner
    rmra = struct.pack(">I4s", 8 + len(rmda), b"rmra") + rmda
    moov = struct.pack(">I4s", 8 + len(rmra), b"moov") + rmra
    path.write_bytes(struct.pack(">I4s4sI4s", 20, b"ftyp", b"qt  ", 0, b"qt  ") + moov)
    return path


REFERENCES = (
    playlist,
    concat_script,
    dash_manifest,
    session_description,
    data_reference,
    alias_reference,
    reference_movie,
)


# No videos


def picture(path: Path, kind: str) -> Path:
    """A photograph in the format ``kind`` (of Pillow) with a video's name."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(videos.portrait()).save(buffer, kind)
    path.write_bytes(buffer.getvalue())
    return path


def polyglot(path: Path) -> Path:
    """A video that is a web page and an archive as well: markup in a box that is skipped, a ZIP behind the end."""
    import zipfile

    encoded(path, frames=12, options={"preset": "ultrafast"})
    content = path.read_bytes()
    markup = b"<html><script>alert(document.cookie)</script></html>"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.html", markup)
    box = struct.pack(">I4s", 8 + len(markup), b"free") + markup
    boxes = Boxes(content)
    moved = len(box)
    boxes.replace(b"stco", lambda body: _moved(body, moved))
    content = boxes.joined()
    path.write_bytes(box + content + archive.getvalue())
    return path


def _moved(table: bytes, by: int) -> bytes:
    (count,) = struct.unpack_from(">I", table, 4)
    offsets = struct.unpack_from(f">{count}I", table, 8)
    return table[:8] + struct.pack(f">{count}I", *(offset + by for offset in offsets))


def sparse(path: Path, beginning: bytes = b"", size_bytes: int = 4 * 1024**3) -> Path:
    """So many bytes, of which none but the ``beginning`` takes room on the disk."""
    path.write_bytes(beginning)
    os.truncate(path, size_bytes)
    return path


def sparse_mp4(path: Path) -> Path:
    """The start of an MP4 whose media data are 4 GiB of nothing."""
    start = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    return sparse(path, start + struct.pack(">I4sQ", 1, b"mdat", 4 * 1024**3 - 20))


def noise_pictures(path: Path) -> Path:
    """A GIF of noise: nothing in it can be predicted."""
    random = np.random.default_rng(11)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "rgb8"
        for index in range(5):
            pixels = random.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="rgb8")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
