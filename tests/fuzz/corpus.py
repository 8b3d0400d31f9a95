"""The sound videos that are mutated: small, of every container and many codecs, made anew each time."""

import os
from collections.abc import Callable
from pathlib import Path

from tests import hostile_videos, videos

SIZE = (96, 64)
FRAMES = 12
_FAST = {"preset": "ultrafast", "threads": "1"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def _with_sound(path: Path) -> Path:
    return videos.write_video(path, videos.empty_scene(SIZE), videos.even_times(FRAMES / 25), with_audio=True)


def _plain(
    codec: str,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        return hostile_videos.encoded(
            path,
            codec,
            pixel_format,
            size=SIZE,
            frames=FRAMES,
            options=options,
            container_options=muxer,
        )

    return make


_MAKERS: dict[str, Callable[[Path], Path]] = {
    "h264.mp4": _plain("libx264", options=_FAST),
    "sound.mp4": _with_sound,
    "fragments.mp4": _plain("libx264", options=_FAST, muxer=_FRAGMENTS),
    "av1.mp4": _plain("libsvtav1", options={"preset": "12"}),
    "hevc.mov": _plain("libx265", "yuv420p10le", _X265),
    "prores.mov": _plain("prores_ks", "yuva444p10le"),
    "png.mov": _plain("png", "rgba"),
    "h264.mkv": _plain("libx264", options=_FAST),
    "sound.mkv": _with_sound,
    "ffv1.mkv": _plain("ffv1", "gray16le"),
    "vp8.webm": _plain("libvpx", options={"deadline": "realtime", "cpu-used": "8"}),
    "vp9.webm": _plain("libvpx-vp9", "yuva420p", {"deadline": "realtime", "cpu-used": "8"}),
    "mpeg4.avi": _plain("mpeg4"),
    "mjpeg.avi": _plain("mjpeg", "yuvj420p"),
    "palette.gif": _plain("gif", "rgb8"),
    "mpeg2.ts": _plain("mpeg2video"),
    "mpeg1.mpg": _plain("mpeg1video"),
}


def make(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its name."""
    os.environ.setdefault("SVT_LOG", "0")
    return {name: maker(folder / name).read_bytes() for name, maker in _MAKERS.items()}
