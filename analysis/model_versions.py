"""Which model judges: finds the detector's releases, keeps a row for each, and has exactly one active.

A fresh installation needs no step of its own: the first analysis registers what is there.
"""

import logging
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from analysis.models import ModelVersion
from audit import trail
from audit.models import Action
from detector.errors import DetectorError, ErrorCode

if TYPE_CHECKING:
    from detector.release import Release

logger = logging.getLogger(__name__)


class NotActivated(Exception):
    """The version cannot be made the active one; the message is a whole translated sentence."""


def register() -> list[ModelVersion]:
    """A row for every release found on disk; harmless when another process does the same at that moment.

    When none that is on disk is active, one takes its place: the same version with thresholds fitted again, if it has
    been measured since, and else the default one.
    """
    from detector import release as detector_release  # noqa: PLC0415 -- slow import

    found = detector_release.releases()
    rows = [ModelVersion.objects.get_or_create(**_identity(release))[0] for release in found]
    active = ModelVersion.objects.filter(is_active=True).first()
    if found and (active is None or active not in rows):
        refitted = _refitted(active, found) if active is not None else None
        new = ModelVersion.objects.get_or_create(**_identity(refitted or detector_release.default_release()))[0]
        if active is not None:
            logger.warning("The active model %s is no longer installed as it was; %s takes its place.", active, new)
        _replace(active, new)
    return list(ModelVersion.objects.filter(pk__in=[row.pk for row in rows]))


def _refitted(active: ModelVersion, found: "list[Release]") -> "Release | None":
    """The release with the name, version and weights of ``active`` but another configuration, if it was measured."""
    for release in found:
        if _identity(release) | {"config_sha256": active.config_sha256} == _identity(active) and release.is_evaluated():
            return release
    return None


def _identity(one: "ModelVersion | Release") -> dict[str, Any]:
    """What tells model versions apart: name, version, weights, and configuration with its thresholds."""
    return {
        "name": one.name,
        "version": one.version,
        "sha256": one.sha256,
        "config_sha256": one.config_sha256,
    }


def activate(model_version: ModelVersion) -> None:
    """Makes this the one that judges from now on; runs that have started keep theirs.

    Raises NotActivated when its files are gone, or when it was not measured on test clips as it stands: nobody could
    say then how often its verdicts are wrong.
    """
    if not is_installed(model_version):
        raise NotActivated(_("The files of this model version are not installed any more."))
    if not is_evaluated(model_version):
        raise NotActivated(
            _(
                "There are no figures from test clips for %(model)s with its weights and thresholds as they stand, so "
                "nobody could say how often it is wrong. Measure it with “python -m detector evaluate” and write its "
                "card with “python -m detector.training card”, then activate it."
            )
            % {"model": model_version}
        )
    _make_active(model_version)


def choices() -> list[ModelVersion]:
    """The registered and installed versions that a video can be examined with: the active one, and the evaluated ones.

    The active one comes first, the others by name and version. Writes nothing, so a page may ask.
    """
    found = [(row, release) for row in ModelVersion.objects.all() if (release := _readable(row)) is not None]
    rows = [row for row, release in found if row.is_active or release.is_evaluated()]
    return sorted(rows, key=lambda row: not row.is_active)


def _make_active(model_version: ModelVersion) -> None:
    with transaction.atomic():
        ModelVersion.objects.filter(is_active=True).exclude(pk=model_version.pk).update(is_active=False)
        ModelVersion.objects.filter(pk=model_version.pk).update(is_active=True)
        _note_activation(model_version)


def _note_activation(row: ModelVersion) -> None:
    trail.record(
        Action.MODEL_ACTIVATED,
        "model version",
        row.pk,
        model=str(row),
        sha256=row.sha256,
        config_sha256=row.config_sha256,
    )


def _replace(old: ModelVersion | None, new: ModelVersion) -> None:
    """Makes ``new`` active instead of ``old``, unless somebody has made another one active meanwhile."""
    try:
        with transaction.atomic():
            if old is None or ModelVersion.objects.filter(pk=old.pk, is_active=True).update(is_active=False):
                ModelVersion.objects.filter(pk=new.pk).update(is_active=True)
                _note_activation(new)
    except IntegrityError:
        logger.info("Another model was made active at the same time and stays so.")


def active() -> "tuple[ModelVersion, Release]":
    """The active row and its release on disk; raises DetectorError (MODEL_MISSING) when there is none."""
    row = ModelVersion.objects.filter(is_active=True).first()
    release = release_of(row) if row is not None else None
    if release is None:
        register()
        row = ModelVersion.objects.filter(is_active=True).first()
        release = release_of(row) if row is not None else None
    if row is None or release is None:
        raise DetectorError(
            ErrorCode.MODEL_MISSING, "No model is installed under detector/models; install one and try again."
        )
    return row, release


def is_installed(model_version: ModelVersion) -> bool:
    """Whether its files are there and can be read."""
    return _readable(model_version) is not None


def is_evaluated(model_version: ModelVersion) -> bool:
    """Whether it is installed and came with a card and figures of these very weights and thresholds."""
    release = _readable(model_version)
    return release is not None and release.is_evaluated()


def release_of(row: ModelVersion) -> "Release | None":
    """Its release on disk; None when it is gone or has another configuration now.

    Raises DetectorError when its folder cannot be understood.
    """
    release = release_with_weights(row.name, row.version, row.sha256)
    return release if release is not None and release.config_sha256 == row.config_sha256 else None


def release_with_weights(name: str, version: str, sha256: str) -> "Release | None":
    """The release on disk with this name, version and hash of weights, whatever its configuration; None when gone.

    Raises DetectorError when its folder cannot be understood; that of another model harms nothing.
    """
    from detector import release as detector_release  # noqa: PLC0415 -- slow import

    try:
        found = detector_release.releases()
    except DetectorError as error:  # one of them is damaged, but perhaps not this one
        logger.warning("The models cannot all be read: %s", error)
        found = [detector_release.load_release(detector_release.MODELS_DIR / f"{name}-{version}")]
    wanted = (name, version, sha256)
    return next((release for release in found if (release.name, release.version, release.sha256) == wanted), None)


def _readable(row: ModelVersion) -> "Release | None":
    try:
        return release_of(row)
    except DetectorError:
        return None
