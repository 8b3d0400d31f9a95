"""A stand-in for the detector, so that what surrounds it can be tested with any outcome and at once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector import pipeline
from detector.report import Report
from tests.analysis.builders import jpeg, make_report


def write_pictures(report: Report, folder: Path) -> None:
    """Every picture that the report names, as a real JPEG."""
    names = [frame.picture for frame in report.frames]
    names += [name for track in report.tracks for sample in track.samples for name in (sample.crop, sample.heatmap)]
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg())


@dataclass
class Detector:
    """What the stand-in does, and what it was asked for."""

    meanwhile: Callable[[], object] = lambda: None  # happens while it works
    error: BaseException | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # of the report
    calls: list[dict[str, Any]] = field(default_factory=list)
    loaded: int = 0
    precision: object = None  # that the network was last loaded in

    def analyze(self, path: Path, network: object, settings: pipeline.Settings, **options: Any) -> Report:
        self.calls.append({"path": path, "network": network, "settings": settings, **options})
        options["on_progress"]("faces", 0.5)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        report = make_report(**{"sha256": sha256} | self.changes)
        write_pictures(report, options["out_dir"])
        return report

    def load(self, *arguments: object, **options: object) -> object:
        self.loaded += 1
        self.precision = options.get("precision")
        return object()
