"""What is to be measured: which clips, how many frames of them, with which models."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTHS = {360: 640, 720: 1280, 1080: 1920, 2160: 3840}  # of a sample clip, by height
FRAME_RATE = 30
# Bits a second, by height: what an iPhone writes as H.264 at 30 frames a second by its settings (60, 130 and 350 MB
# a minute); for 360p a quarter of what it writes in 720p.
BIT_RATES = {360: 2_000_000, 720: 8_000_000, 1080: 17_300_000, 2160: 46_700_000}
ENCODED_S = 10.0  # a longer clip shows so much again and again: encoding ten minutes would take an hour


@dataclass(frozen=True)
class Clip:
    """A sample clip that is made for the measurement."""

    height: int = 1080
    seconds: float = 10.0
    faces: int = 1

    @property
    def name(self) -> str:
        return f"sample-{self.height}p-{self.seconds:g}s-{self.faces}.mp4"

    @property
    def words(self) -> str:
        faces = f" with {self.faces} faces" if self.faces > 1 else ""
        return f"{self.seconds:g} s at {self.height}p{faces}"

    @property
    def turns(self) -> int:
        """How often what was encoded is shown.

        Once more than would do for ten minutes: 60 samples of 60 turns of a clip would all be the same frame of it.
        """
        return 1 if self.seconds <= ENCODED_S else int(-(-self.seconds // ENCODED_S)) + 1


@dataclass(frozen=True)
class Case:
    """One measurement: an analysis cold and warm, and what is set beside it."""

    source: Clip | Path
    frames: int = 60
    model: Path | None = None  # the folder; None for the one installed
    workers: int = 2  # so many at once are measured too; 1 for none
    baseline: bool = False  # whether the usual way is measured too
    precision: str = "float32"

    @property
    def name(self) -> str:
        return self.source.name


REFERENCE = Clip()


def product(
    clips: Sequence[Clip | Path],
    frames: int,
    models: Sequence[Path | None],
    workers: int,
    baseline: bool,
    precision: str = "float32",
) -> Iterator[Case]:
    """Each clip with each model; the usual way, which has a model of its own, once for each clip."""
    for clip, (place, model) in itertools.product(clips, enumerate(models)):
        yield Case(clip, frames, model, workers, baseline and place == 0, precision)


def sweep(
    frames: int, models: Sequence[Path | None], workers: int, baseline: bool, precision: str = "float32"
) -> Iterator[Case]:
    """How cost grows: from the reference clip on by resolution, length, faces and frames, with the first model.

    The other models are measured where the budget speaks of them: on the reference clip, in 4K and over ten minutes.
    Several workers and the usual way are measured on the reference clip alone.
    """
    larger, longer = Clip(height=2160), Clip(seconds=600.0)
    yield Case(REFERENCE, frames, models[0], workers, baseline, precision)
    for height in (360, 720):
        yield Case(Clip(height=height), frames, models[0], 1, precision=precision)
    for clip in (larger, Clip(seconds=60.0), longer, Clip(faces=2), Clip(faces=4)):
        yield Case(clip, frames, models[0], 1, precision=precision)
    for other in (20, 120):
        yield Case(REFERENCE, other, models[0], 1, precision=precision)
    for model in models[1:]:
        yield Case(REFERENCE, frames, model, workers, precision=precision)
        for clip in (larger, longer):
            yield Case(clip, frames, model, 1, precision=precision)
