"""Which model judges: finds the detector's releases, keeps a row for each, and has exactly one active.

A fresh installation needs no step of its own: the first analysis registers what is there.
"""

import logging
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from analysis.models import ModelVersion
from detector.errors import DetectorError, ErrorCode

if TYPE_CHECKING:
    from detector.release import Release

logger = logging.getLogger(__name__)


class NotActivated(Exception):
    """The version cannot be made the active one; the message is a whole translated sentence."""


def register() -> list[ModelVersion]:
    """A row for every release found on disk; the default one becomes active when none that is on disk is."""
    from detector import release as detector_release  # noqa: PLC0415 -- slow import

    found = detector_release.releases()
    rows = [
        ModelVersion.objects.get_or_create(name=release.name, version=release.version, sha256=release.sha256)[0]
        for release in found
    ]
    active = ModelVersion.objects.filter(is_active=True).first()
    if found and (active is None or active not in rows):
        if active is not None:
            logger.warning("The active model %s is no longer installed; the default one takes its place.", active)
        default = detector_release.default_release()
        _make_active(next(row for row in rows if row.sha256 == default.sha256 and row.version == default.version))
    return list(ModelVersion.objects.filter(pk__in=[row.pk for row in rows]))


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
    """The installed versions that a video can be examined with: the active one, and those that have been evaluated.

    The active one comes first, the others by name and version.
    """
    try:
        rows = register()
    except DetectorError as error:
        logger.warning("The models cannot all be read: %s", error)
        rows = [row for row in ModelVersion.objects.all() if is_installed(row)]
    return sorted((row for row in rows if row.is_active or is_evaluated(row)), key=lambda row: not row.is_active)


def _make_active(model_version: ModelVersion) -> None:
    with transaction.atomic():
        ModelVersion.objects.filter(is_active=True).exclude(pk=model_version.pk).update(is_active=False)
        ModelVersion.objects.filter(pk=model_version.pk).update(is_active=True)


def active() -> "tuple[ModelVersion, Release]":
    """The active row and its release on disk; raises DetectorError (MODEL_MISSING) when there is none."""
    row = ModelVersion.objects.filter(is_active=True).first()
    release = release_of(row) if row is not None else None
    if release is None:
        try:
            register()
        except IntegrityError:  # another worker registered at the same moment
            logger.info("Another process registered the models at the same time.")
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
    """Its release on disk; None when it is gone. Raises DetectorError when its folder cannot be understood."""
    from detector import release as detector_release  # noqa: PLC0415 -- slow import

    wanted = (row.name, row.version, row.sha256)
    try:
        found = detector_release.releases()
    except DetectorError as error:  # one of them is damaged, but perhaps not this one
        logger.warning("The models cannot all be read: %s", error)
        found = [detector_release.load_release(detector_release.MODELS_DIR / str(row))]
    return next((release for release in found if (release.name, release.version, release.sha256) == wanted), None)


def _readable(row: ModelVersion) -> "Release | None":
    try:
        return release_of(row)
    except DetectorError:
        return None
