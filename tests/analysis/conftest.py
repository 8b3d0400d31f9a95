"""Fixtures of the tests around the detector. Pytest may read this before Django is set up, hence the imports inside."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.analysis.stand_in import Detector


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> "Detector":
    """A stand-in for the detector, with one model installed."""
    from analysis import tasks
    from detector import inference, pipeline, release
    from tests.analysis.builders import stand_in_release
    from tests.analysis.stand_in import Detector

    stand_in = Detector()
    installed = stand_in_release(name="test", version="1", sha256="cd" * 32)
    monkeypatch.setattr(pipeline, "analyze", stand_in.analyze)
    monkeypatch.setattr(inference, "load_network", stand_in.load)
    monkeypatch.setattr(release, "releases", lambda: [installed])
    monkeypatch.setattr(release, "default_release", lambda: installed)
    monkeypatch.setattr(tasks, "_networks", {})
    return stand_in
