"""A report in a few lines of plain text, for people at a terminal."""

from collections.abc import Sequence
from pathlib import Path

from detector import quality
from detector.precision import suffix
from detector.quality import Band
from detector.release import Release
from detector.report import Reason, Report, Track, Verdict

MOST_SURE = 0.999  # what is said at most; no model may claim certainty
STAGE_WORDS = {
    "reading": "reading",
    "faces": "finding faces",
    "judging": "judging",
    "drawing": "drawing",
}
REASON_WORDS = {
    Reason.FACE_TOO_SMALL: "the face is too small",
    Reason.FACE_TOO_BLURRED: "the face is too blurred",
    Reason.TOO_FEW_FRAMES: "the face is seen in too few frames",
    Reason.SCORE_BETWEEN_THRESHOLDS: "the score lies between the thresholds",
    Reason.ONE_OF_SEVERAL: "the score would be enough for one person, but not among several",
}
BAND_WORDS = {
    Band.SMALL: "a small face",
    Band.BLURRED: "a blurred face",
    Band.CLEAR: "a large and sharp face",
}


def of(report: Report, release: Release, out_dir: Path | None) -> str:
    """The answer, a table of the people, and what was examined with what."""
    lines = [_answer(report)]
    if rate := _error_rate(report, release):
        lines.append(rate)
    if report.tracks:
        heading = ("person", "verdict", "fake", "frames", "from", "to", "why undecided")
        lines += ["", *table([heading, *(_row(track) for track in report.tracks)])]
    video, model = report.video, report.model
    picture = f"{video.width} x {video.height}, {video.duration_s:.1f} s, {video.codec}"
    thresholds = f"FAKE from {model.threshold_fake:.3f}, REAL to {model.threshold_real:.3f}"
    lines += [
        "",
        f"video   {picture}; {report.frames_analyzed} of {report.frames_requested} frames examined",
        f"SHA-256 {video.sha256}",
        f"model   {model.name} {model.version}{suffix(model.precision)}; {thresholds}",
        "time    " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.timings_s.items()),
    ]
    if out_dir is not None:
        lines.append(f"Crops, heatmaps and annotated frames are in {out_dir}.")
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _answer(report: Report) -> str:
    if report.verdict is Verdict.NO_FACE:
        return "NO_FACE: no face was found in the frames that were examined."
    score = "" if report.probability_fake is None else f"probability of fake {report.probability_fake:.3f}"
    if report.confidence is not None:
        return f"{report.verdict}, {min(report.confidence, MOST_SURE):.1%} sure ({score})"
    why = "; ".join(REASON_WORDS[reason] for reason in report.reasons)
    return f"{report.verdict}: {why}" + (f" ({score})" if score else "")


def _error_rate(report: Report, release: Release) -> str:
    """How often this model was wrong when it gave such a verdict of such pictures, where its metrics say so."""
    said = f"that this model called {report.verdict} in its test"
    try:
        metrics = release.metrics()
        banded = quality.rate_of(metrics, report.verdict, quality.of_report(report))
        if banded is not None:
            pictures = " or ".join(BAND_WORDS[band] for band in banded.bands)
            return f"Of the {banded.count} clips with {pictures} {said}, {banded.wrong} were not."
        rate = metrics.get("error_rates", {}).get(str(report.verdict))
        return f"Of the {rate['n']} clips {said}, {rate['wrong']} were not." if rate and rate["n"] else ""
    except (AttributeError, KeyError, OSError, TypeError, ValueError):  # no figures, or figures of another shape
        return ""


def _row(track: Track) -> tuple[str, ...]:
    score = "–" if track.probability_fake is None else f"{track.probability_fake:.3f}"
    times = [sample.time_s for sample in track.samples]
    return (
        str(track.index + 1),
        track.verdict,
        score,
        str(len(times)),
        f"{times[0]:.1f} s" if times else "–",
        f"{times[-1]:.1f} s" if times else "–",
        "; ".join(REASON_WORDS[reason] for reason in track.reasons),
    )
