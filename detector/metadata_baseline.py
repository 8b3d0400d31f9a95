"""How far one gets without looking at a face: a random forest on facts about the files (Breiman, 2001).

Genuine and fake clips of a collection differ in size, codec and length as well as in the truth. Whatever a detector
gains by telling collections apart, this gains too; a detector's overall AUC means little unless it lies well above.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from detector import crops, faces, intervals
from detector.errors import DetectorError
from detector.evaluate_rows import Clip, ManifestError
from detector.sampling import sample
from detector.video import probe

FACTS = ("width", "height", "frame_rate", "duration_s", "bit_rate", "codec", "face_px")
TREES, SEED = 500, 0
FRAMES = 3  # looked at for the size of the face where the manifest does not say it

Facts = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """What the forest says of clips, rising towards fake."""

    train: int  # files it learnt from
    clips: tuple[Clip, ...]  # M that could be read
    scores: NDArray[np.float64]  # (M,)
    unreadable: int  # of both

    def figures(self, judged: Collection[str], matched: Collection[str]) -> dict[str, Any]:
        """Its ranking of the clips whose file is among ``judged``, as plain JSON values.

        These are the ones that a model has judged, so that both rank the same clips; ``matched`` names the data sets of
        the matched AUC. None stands for what cannot be measured, such as when all judged clips have one label.
        """
        kept = [place for place, clip in enumerate(self.clips) if clip.file in judged]
        clips = [self.clips[place] for place in kept]
        found = {"facts": list(FACTS), "train": self.train, "judged": len(kept), "unreadable": self.unreadable}
        labels = [clip.label for clip in clips]
        if len(set(labels)) < 2:
            unknown = ("matched_auc", "matched_auc_interval", "auc", "auc_interval")
            return {**found, **dict.fromkeys(unknown), "matched_datasets": {}}
        datasets, sources = [clip.dataset for clip in clips], [clip.source for clip in clips]
        return {**found, **intervals.ranking(labels, self.scores[kept], datasets, sources, among=matched)}


def score(
    train: Sequence[Clip], clips: Sequence[Clip], on_progress: Callable[[int, int], None] | None = None
) -> Scored:
    """Train the forest on the files of ``train`` and score those of ``clips``.

    Files that cannot be read are left out and counted. Costs a probe a file, and three frames where a clip does not say
    how wide its face is. Raises ManifestError unless both labels are among the readable files of both.
    """
    total, done = len(train) + len(clips), 0

    def read(members: Sequence[Clip]) -> tuple[list[Clip], list[Facts]]:
        nonlocal done
        kept, found = [], []
        for clip in members:
            done += 1
            if (facts := facts_of(clip)) is not None:
                kept.append(clip)
                found.append(facts)
            if on_progress is not None:
                on_progress(done, total)
        return kept, found

    known, known_facts = read(train)
    asked, asked_facts = read(clips)
    for members, words in ((known, "training"), (asked, "evaluated")):
        if len({clip.label for clip in members}) < 2:
            raise ManifestError(f"The metadata baseline needs readable {words} videos of both labels.")
    codecs = sorted({facts["codec"] for facts in known_facts})
    forest = RandomForestClassifier(TREES, class_weight="balanced_subsample", random_state=SEED, n_jobs=1)
    forest.fit(_matrix(known_facts, codecs), [clip.label for clip in known])
    scores = np.asarray(forest.predict_proba(_matrix(asked_facts, codecs))[:, 1], np.float64)
    return Scored(len(known), tuple(asked), scores, total - len(known) - len(asked))


def facts_of(clip: Clip) -> Facts | None:
    """The facts about one file; None when it cannot be read."""
    try:
        info = probe(clip.path)
        face_px = _face_px(clip.path) if clip.face_px is None else clip.face_px
    except DetectorError:
        return None
    return {
        "width": info.width,
        "height": info.height,
        "frame_rate": info.frame_rate,
        "duration_s": info.duration_s,
        "bit_rate": 8 * info.size_bytes / max(info.duration_s, 1e-3),
        "codec": info.codec,
        "face_px": face_px,
    }


def _face_px(path: Path) -> float:
    """The median width of the largest face in three frames; 0 without one."""
    widths = []
    for _index, _time_s, picture in sample(path, probe(path), FRAMES):
        found = [crops.face_width(face.landmarks) for face in faces.find(picture, 1)]
        widths += found[:1]
    return float(median(widths)) if widths else 0.0


def _matrix(facts: Sequence[Facts], codecs: Sequence[str]) -> NDArray[np.float64]:
    """(N, 6 + number of codecs): the numbers, then one column for each codec seen in training."""
    numbers = [[float(one[name]) for name in FACTS if name != "codec"] for one in facts]
    kinds = [[float(one["codec"] == codec) for codec in codecs] for one in facts]
    return np.hstack([np.array(numbers), np.array(kinds)])
