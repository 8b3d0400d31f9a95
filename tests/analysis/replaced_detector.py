"""Puts a function in the detector's place in a real worker; small, for web processes that import it are measured."""

from collections.abc import Callable
from typing import Any


def replace_detector(detect: Callable[..., Any]) -> None:
    """Let ``detect`` answer for the detector in this process, as a model version of its own."""
    from analysis import model_versions, tasks
    from analysis.models import ModelVersion

    def active() -> tuple[ModelVersion, None]:
        return ModelVersion.objects.get_or_create(name="stand-in", version="1", sha256="ab" * 32)[0], None

    tasks._detect = detect
    model_versions.active = active  # type: ignore[assignment]
