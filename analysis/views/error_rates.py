"""How often the model was wrong before, in words: on test clips with pictures like these where that was measured."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from analysis import model_versions
from detector import quality
from detector.errors import DetectorError
from detector.quality import Band
from detector.report import ModelInfo, Report, Verdict

BAND_WORDS = {
    (Band.SMALL,): lazy("with a small face, as in this video"),
    (Band.BLURRED,): lazy("with a blurred face, as in this video"),
    (Band.SMALL, Band.BLURRED): lazy("with a small or blurred face, as in this video"),
    (Band.CLEAR,): lazy("with a large and sharp face, as in this video"),
}


def sentence_of(report: Report) -> str:
    """How often such a verdict was wrong, with counts; empty where the model came with no figures of it."""
    if report.verdict not in (Verdict.REAL, Verdict.FAKE):
        return ""
    metrics = _metrics_of(report.model)
    try:
        banded = quality.rate_of(metrics, report.verdict, quality.of_report(report))
        overall = metrics.get("error_rates", {}).get(str(report.verdict))
        if banded is not None and banded.bands in BAND_WORDS:
            return _counted(report.verdict, banded.count, banded.wrong, str(BAND_WORDS[banded.bands]))
        if not overall:
            return ""
        count, wrong = int(overall["n"]), int(overall["wrong"])
    except (AttributeError, KeyError, TypeError, ValueError):  # figures of another shape say nothing
        return ""
    return _counted(report.verdict, count, wrong, str(_("of every quality"))) if count else _never(report.verdict)


def _metrics_of(model: ModelInfo) -> dict[str, Any]:
    """The metrics of this very model; empty where it has none, is gone, or was measured with other thresholds."""
    try:
        found = model_versions.release_with_weights(model.name, model.version, model.sha256)
        metrics = found.metrics() if found is not None else {}
        measured = metrics.get("test", {}).get("model", {}).get("config_sha256")
    except (AttributeError, DetectorError, OSError, ValueError):
        return {}
    return metrics if not (measured and model.config_sha256) or measured == model.config_sha256 else {}


def _counted(verdict: Verdict, count: int, wrong: int, clips: str) -> str:
    said = ngettext(
        "On its test the model said “%(verdict)s” of %(n)d clip %(clips)s.",
        "On its test the model said “%(verdict)s” of %(n)d clips %(clips)s.",
        count,
    ) % {"verdict": _word(verdict), "n": count, "clips": clips}
    if not wrong:
        return said + " " + (_("None of them was genuine.") if verdict is Verdict.FAKE else _("None of them was fake."))
    if verdict is Verdict.FAKE:
        were = ngettext("%(n)d of them was genuine.", "%(n)d of them were genuine.", wrong)
    else:
        were = ngettext("%(n)d of them was fake.", "%(n)d of them were fake.", wrong)
    return f"{said} {were % {'n': wrong}}"


def _never(verdict: Verdict) -> str:
    return _("On its test the model never said “%(verdict)s”, so how often that is wrong is not known.") % {
        "verdict": _word(verdict)
    }


def _word(verdict: Verdict) -> str:
    return _("Fake") if verdict is Verdict.FAKE else _("Real")
