"""Draws what training makes of genuine pictures: every kind of fake, every degradation, and fakes along a clip.

Two public-domain photographs stand for all others: NASA's portrait of Eileen Collins (``samples/LICENSE.md``), and the
US Navy's of Grace Hopper, which matplotlib carries as sample data.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.random import Generator

from detector import crops, faces
from detector.following import follow
from detector.release import CropShape
from detector.sample_clip import make_clip, read_photograph
from detector.sampling import sample
from detector.training import clip_fakes
from detector.training.clip_fakes import Course, Frames, Kind, manipulated
from detector.training.composites import Landmarks, Picture, swap_face, swap_mouth
from detector.training.degrade import Chain
from detector.training.fakes import restored, self_blend
from detector.training.regenerate import Upscaler
from detector.video import probe

CELL, GAP, LEFT, HEAD = 88, 3, 112, 30  # pixels
COLUMNS = 12
MARGIN, SIZE, SHOWN_MARGIN = 2.0, 224, 1.5
QUALITY = 72  # of a JPEG
AMPLIFIED = 4  # differences are shown so many times as strong
PLAIN = Chain.draw(np.random.default_rng(0), strength=0.0)
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, PAPER = (31, 35, 40), (255, 255, 255)

Face = tuple[Picture, Landmarks]
Maker = Callable[[Face, Face, Generator], tuple[Picture, Picture]]  # of a face and another's: genuine and fake

FAKES: dict[str, Maker] = {
    "self-blended": lambda face, other, random: self_blend(*face, random),
    "swapped face": lambda face, other, random: (face[0], swap_face(*face, *other, random)),
    "other mouth": lambda face, other, random: (face[0], swap_mouth(*face, *face, random)),
    "restored": lambda face, other, random: (face[0], restored(*face, random)),
}
DEGRADATIONS: dict[str, Chain] = {
    "as cut": PLAIN,
    "moved": replace(PLAIN, zoom=1.12, shift=(0.04, -0.04), roll_deg=8.0, flip=True),
    "scaled down": replace(PLAIN, share=0.4),
    "blurred": replace(PLAIN, blur=1.6),
    "noisy": replace(PLAIN, noise=8.0),
    "sharpened": replace(PLAIN, sharpening=1.0),
    "retouched": replace(PLAIN, smoothing=40.0),
    "brighter": replace(PLAIN, gamma=0.65),
    "paler": replace(PLAIN, saturation=0.5),
    "JPEG 35": replace(PLAIN, jpeg=(35,)),
    "H.264 crf 40": replace(PLAIN, crf=40),
    "passed on": replace(PLAIN, share=0.6, crf=34, jpeg=(50, 40), kept_small=True),
}


def write(path: Path, seed: int = 0, upscalers: Sequence[Upscaler] = ()) -> None:
    """Write the sheet as PNG or JPEG, as ``path`` is named. The same seed gives the same sheet. About ten seconds.

    What ``upscalers`` draw again is shown too, where there are any. Raises ValueError for another ending.
    """
    options = {".png": [], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, QUALITY], ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, QUALITY]}
    if path.suffix.lower() not in options:
        raise ValueError(f"The sheet {path} should be named with the ending .png or .jpg.")
    _, encoded = cv2.imencode(path.suffix.lower(), draw(seed, upscalers)[:, :, ::-1], options[path.suffix.lower()])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())


def draw(seed: int = 0, upscalers: Sequence[Upscaler] = ()) -> Picture:
    """The sheet, (H, W, 3) uint8 RGB: a strip for each thing shown, and its name to the left."""
    collins, hopper = _face(read_photograph()), _face(_hopper())
    random = np.random.default_rng(seed)
    strips = [_heading("Fakes made of a picture: genuine, fake, and their difference four times as strong")]
    for name, make in FAKES.items():
        pairs = [make(face, other, random) for face, other in [(collins, hopper), (hopper, collins)] * 2]
        cells = [cell for genuine, fake in pairs for cell in (genuine, fake, _difference(genuine, fake))]
        strips.append(_strip(name, [_cut(cell) for cell in cells]))
    if upscalers:
        cells = [cell for pair in _drawn([collins, hopper], upscalers) for cell in (*pair, _difference(*pair))]
        strips.append(_strip("drawn again", [_cut(cell) for cell in cells]))
    strips.append(_heading("Degradations: the same for both of a pair, in training several at once"))
    fake = swap_face(*collins, *hopper, np.random.default_rng(seed))
    strips.append(_names(list(DEGRADATIONS)))
    for name, picture in (("genuine", collins[0]), ("fake", fake)):
        cells = [chain.apply(picture, MARGIN, CELL, SHOWN_MARGIN) for chain in DEGRADATIONS.values()]
        strips.append(_strip(name, cells))
    strips.append(
        _heading("Fakes along a clip: twelve frames in order; steady, and as real ones waver, with what changed")
    )
    strips += _clip_strips(Frames([hopper[0]], [hopper[1]]), random)
    return np.concatenate(strips)


def _drawn(shown: Sequence[Face], upscalers: Sequence[Upscaler]) -> list[tuple[Picture, Picture]]:
    """Four pairs of a genuine crop and what a network drew of it, the networks in turn."""
    pairs = [(shown[number % len(shown)][0], upscalers[number % len(upscalers)]) for number in range(4)]
    return [(picture, upscaler.drawn_again(picture)) for picture, upscaler in pairs]


def _clip_strips(donor: Frames, random: Generator) -> list[Picture]:
    frames = _demonstration()
    count = len(frames.pictures)
    steady = Course.steady(count)
    shown: list[tuple[str, Kind, Course]] = [
        ("swapped", "swapped", steady),
        ("restored", "restored", steady),
        ("flickering", "swapped", replace(steady, strength=clip_fakes.flicker(count, random))),
        ("trembling", "swapped", replace(steady, offset=clip_fakes.jitter(count, 0.02, random).astype(np.float32))),
        ("drifting", "swapped", replace(steady, offset=clip_fakes.drift(count, 0.06, random).astype(np.float32))),
    ]
    strips = [_strip("genuine", [_cut(picture) for picture in frames.pictures])]
    for name, kind, course in shown:
        made = manipulated(frames, kind, course, np.random.default_rng(0), donor)
        strips.append(_strip(name, [_cut(picture) for picture in made]))
        if course is not steady:
            changes = [_difference(*pair) for pair in zip(frames.pictures, made, strict=True)]
            strips.append(_strip("", [_cut(change) for change in changes]))
    return strips


def _demonstration() -> Frames:
    """Crops of the sample clip, found and followed as those of any video."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        make_clip(path, seconds=2.4, width=640, height=360, frame_rate=10)
        pictures = sample(path, probe(path), COLUMNS)
        seen = follow(pictures, CropShape(SIZE, MARGIN), max_faces=1, max_people=1).tracks[0]
    placed = [(one.landmarks, crops.place(one.landmarks, MARGIN)) for one in seen]
    return Frames([one.crop.pixels for one in seen], [crops.landmarks_in_crop(*points, SIZE) for points in placed])


def _hopper() -> Picture:
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"matplotlib's sample photograph is missing: {path}.")
    return np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)


def _face(photograph: Picture) -> Face:
    face = faces.find(photograph, 1)[0]
    placement = crops.place(face.landmarks, MARGIN)
    pixels = crops.align(photograph, face, SIZE, MARGIN).pixels
    return pixels, crops.landmarks_in_crop(face.landmarks, placement, SIZE)


def _cut(picture: Picture) -> Picture:
    return PLAIN.apply(picture, MARGIN, CELL, SHOWN_MARGIN)


def _difference(genuine: Picture, fake: Picture) -> Picture:
    """Grey where nothing changed."""
    change = fake.astype(np.float32) - genuine
    return np.asarray(np.clip(128 + AMPLIFIED * change, 0, 255), np.uint8)


def _strip(name: str, cells: Sequence[Picture]) -> Picture:
    strip = _paper(CELL + GAP)
    for place, cell in enumerate(cells):
        left = LEFT + place * (CELL + GAP)
        strip[:CELL, left : left + CELL] = cell
    cv2.putText(strip, name, (6, CELL // 2 + 5), FONT, 0.42, INK, 1, cv2.LINE_AA)
    return strip


def _heading(words: str) -> Picture:
    strip = _paper(HEAD)
    cv2.putText(strip, words, (6, HEAD - 10), FONT, 0.5, INK, 1, cv2.LINE_AA)
    return strip


def _names(names: Sequence[str]) -> Picture:
    strip = _paper(18)
    for place, name in enumerate(names):
        cv2.putText(strip, name, (LEFT + place * (CELL + GAP), 12), FONT, 0.38, INK, 1, cv2.LINE_AA)
    return strip


def _paper(height: int) -> Picture:
    return np.full((height, LEFT + COLUMNS * (CELL + GAP), 3), PAPER, np.uint8)
