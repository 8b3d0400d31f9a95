"""The tables of a model's card: what ``python -m detector evaluate`` measured on each split.

``measured`` holds evaluate's figures by the name of the clips, "validation" and "test".
"""

from typing import Any

from detector.training.markdown_table import NOTHING, interval, number, percent, table

Figures = dict[str, Any]

ANSWERS = ("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE")


def summary(measured: dict[str, Figures]) -> str:
    """Matched AUC first; overall AUC with what metadata alone reach beside it."""
    rows = []
    for name, figures in measured.items():
        overall, baseline = figures["overall"], figures.get("metadata_baseline")
        rows.append(
            [
                name,
                overall["n"],
                interval(figures["matched_auc"], figures["matched_auc_interval"]),
                f"{len(figures['matched_datasets'])} of {figures['matched_sets']}",
                interval(overall["auc"], overall["auc_interval"]),
                number(baseline and baseline["matched_auc"]),
                number(baseline and baseline["auc"]),
                number(overall["equal_error_rate"]),
                number(overall["calibration_error"]),
                number(overall["calibration_error_unweighted"]),
                sum(overall["left_out"].values()),
            ]
        )
    head = [
        "clips",
        "n",
        "matched AUC [95 %]",
        "matched data sets",
        "overall AUC [95 %]",
        "metadata alone: matched",
        "metadata alone: overall",
        "equal error rate",
        "calibration error",
        "calibration error, unweighted",
        "not judged",
    ]
    dropped = "".join(
        f" On {name}, {', '.join(figures['matched_dropped'])} dropped out: no clip of one label was judged there."
        for name, figures in measured.items()
        if figures["matched_dropped"]
    )
    return (
        f"## Measured\n\nWith {measured['test']['frames']} frames a video, through the whole pipeline as it is served. "
        "Matched AUC is the mean of the AUCs inside the data sets with at least two clips of each label, judged or "
        f"not; it is the figure that counts.{dropped} "
        "Overall AUC mixes sources that differ in more than the truth. Metadata alone: a random forest on width, "
        "height, frame rate, duration, bit rate, codec and size of the face, which never sees a picture of it, on the "
        "clips that the model judged. "
        "Intervals by bootstrap over sources. The calibration error is the expected one over ten bins with genuine and "
        "fake weighing the same, as they do in the calibration; unweighted it moves with the share of fakes among the "
        "clips.\n\n" + table(head, rows)
    )


def recall(measured: dict[str, Figures]) -> str:
    """The share of fakes found at few false alarms."""
    rows = [
        [
            name,
            percent(one["false_alarms"]),
            f"{one['allowed']} of {one['genuine']}",
            interval(one["recall"], one["interval"]),
            interval(one["matched_recall"], one["matched_interval"]),
        ]
        for name, figures in measured.items()
        for one in figures.get("recall", [])
    ]
    head = ["clips", "false alarms", "genuine clips allowed", "recall [95 %]", "in the matched data sets [95 %]"]
    if not rows:
        return ""
    return (
        "## Fakes found at few false alarms\n\nThe share of the fakes above the lowest threshold that at most so many "
        "genuine clips reach; no threshold of this model, but what its ranking allows.\n\n" + table(head, rows)
    )


def answers(measured: dict[str, Figures]) -> str:
    """The share of each answer by truth."""
    rows = []
    for name, figures in measured.items():
        for label in ("real", "fake"):
            shares = figures["overall"]["verdicts"][label]
            rows.append([name, label, figures["overall"][label], *(percent(shares[word]) for word in ANSWERS)])
    return "## Answers by truth\n\n" + table(["clips", "truth", "n", *ANSWERS], rows)


def wrong(measured: dict[str, Figures]) -> str:
    """How often verdicts were wrong, in all and by quality band."""
    rows = []
    for name, figures in measured.items():
        for verdict, rate in figures["error_rates"].items():
            rows.append([name, verdict, "all", rate["n"], rate["wrong"]])
            groups = figures.get("quality_bands", {"rates": {}})["rates"].get(verdict, [])
            if len(groups) > 1:
                rows += [[name, verdict, " or ".join(one["bands"]), one["n"], one["wrong"]] for one in groups]
    return "## How often a verdict was wrong\n\n" + table(["clips", "verdict", "pictures", "given", "wrong"], rows)


def bands(measured: dict[str, Figures]) -> str:
    """The quality bands: how they are drawn, and the figures in each."""
    rows, bounds = [], None
    for name, figures in measured.items():
        bounds = figures["quality_bands"]["bounds"] if "quality_bands" in figures else bounds
        for band, values in figures.get("bands", {}).items():
            rows.append(
                [
                    name,
                    band,
                    values["real"],
                    values["fake"],
                    interval(values["auc"], values["auc_interval"]),
                    *(percent(values["verdicts"][label]["FAKE"]) for label in ("real", "fake")),
                    *(percent(values["verdicts"][label]["INCONCLUSIVE"]) for label in ("real", "fake")),
                ]
            )
    if not rows or bounds is None:
        return ""
    head = ["clips", "pictures", "real", "fake", "overall AUC [95 %]", "real called FAKE", "fake called FAKE"]
    head += ["real INCONCLUSIVE", "fake INCONCLUSIVE"]
    return (
        "## By quality of the pictures\n\n"
        f"Small: the face is less than {bounds['small_below_px']:g} px wide (median over the frames). Blurred: it is "
        f"not, and its sharpness is less than {bounds['blurred_below']:g} (median). Clear: the rest.\n\n"
        + table(head, rows)
    )


def kinds(measured: dict[str, Figures]) -> str:
    """The answers on genuine clips by kind of footage; nothing where no kind is known."""
    rows = [
        [name, kind, values["n"], values["sources"], *(percent(values["verdicts"][word]) for word in ANSWERS)]
        for name, figures in measured.items()
        for kind, values in figures.get("kinds", {}).items()
        if set(figures["kinds"]) != {"not stated"}
    ]
    if not rows:
        return ""
    return "## Genuine videos by kind of footage\n\nGenuine clips alone: every FAKE here is a false alarm.\n\n" + table(
        ["clips", "footage", "n", "sources", *ANSWERS], rows
    )


def sets(name: str, figures: Figures) -> str:
    """The figures of every data set."""
    rows = [
        [
            dataset,
            values["real"],
            values["fake"],
            interval(values["auc"], values["auc_interval"]),
            *(percent(values["verdicts"][label]["FAKE"]) for label in ("real", "fake")),
        ]
        for dataset, values in figures["datasets"].items()
    ]
    head = ["data set", "real", "fake", "AUC [95 %]", "real called FAKE", "fake called FAKE"]
    return f"## By data set: {name}\n\n" + table(head, rows)


def methods(name: str, figures: Figures) -> str:
    """The figures of every way of faking."""
    rows = [
        [
            method or "not stated",
            values["n"],
            interval(values["auc"], values["auc_interval"]),
            *(percent(values["verdicts"][verdict]) for verdict in ("FAKE", "REAL", "INCONCLUSIVE")),
        ]
        for method, values in figures["methods"].items()
    ]
    head = ["method", "n", "AUC against all genuine [95 %]", "FAKE", "REAL", "INCONCLUSIVE"]
    return f"## By method: {name}\n\n" + table(head, rows)


def robustness(swept: Figures) -> str:
    """One sweep of ``python -m detector robustness``."""
    rows = [
        [
            one["words"],
            interval(one["matched_auc"], one["matched_auc_interval"]),
            interval(one["auc"], one["auc_interval"]),
            *(percent(one["verdicts"][label]["FAKE"]) for label in ("real", "fake")),
            " / ".join(percent(one["verdicts"][label]["INCONCLUSIVE"]) for label in ("real", "fake")),
            one["n"] - one["judged"],
        ]
        for one in swept["degradations"]
    ]
    head = ["degraded by", "matched AUC [95 %]", "overall AUC [95 %]", "real called FAKE", "fake called FAKE"]
    return (
        f"## Robustness: {swept['split'] or 'all'}\n\nThe same {swept['clips']} clips of {swept['sources']} sources "
        f"({swept['genuine']} genuine), {swept['frames']} frames each, degraded as a whole before the pipeline sees "
        f"them. The AUC are of the {swept['compared']} clips that were judged under every degradation but those that "
        "left fewer than half of them judged, the answers of all.\n\n"
        + table([*head, "INCONCLUSIVE, real / fake", "not judged"], rows)
    )


def peers(compared: Figures) -> str:
    """What others' ways reach on the same crops."""
    rows = [
        [
            name,
            way,
            interval(values["matched_auc"], values["matched_auc_interval"]),
            interval(values["auc"], values["auc_interval"]),
        ]
        for name, pack in compared["packs"].items()
        for way, values in pack["peers"].items()
    ]
    counted = "; ".join(
        f"{name}: {pack['clips']} clips of {pack['sources']} sources" for name, pack in compared["packs"].items()
    )
    return (
        f"## Beside others\n\nAll on the same crops, at most {compared['crops_per_clip']} of each clip ({counted}), "
        "outside the pipeline. MesoNet has its published weights; the probes were trained on the training clips; the "
        "mean of frame scores is how common student projects judge, with this model's own frame head.\n\n"
        + table(["clips", "way", "matched AUC [95 %]", "overall AUC [95 %]"], rows)
    )


def heads(compared: Figures) -> str:
    """The temporal head against the mean of frames, by number of frames."""
    gains = {(one["head"], one["frames"]): one for one in compared["differences"]}
    rows = []
    for one in compared["heads"]:
        gain = gains.get((one["head"], one["frames"]))
        rows.append(
            [
                one["head"],
                one["frames"],
                interval(one["matched_auc"], one["interval"]),
                NOTHING if gain is None else interval(gain["difference"], gain["interval"], signed=True),
                number(one["auc"]),
            ]
        )
    crops = compared["crops"]
    return (
        "## What the LSTM adds: validation\n\n"
        f"On the usable crops of {compared['judged']} of {compared['clips']} clips, of {compared['sources']} sources: "
        "those with enough of them at every number of frames. Frames lie at even distances; a clip with fewer crops "
        f"gives all it has (clips have {crops['least']} to {crops['most']}, half of them {crops['median']:g} or more). "
        f"Both: {percent(compared['temporal_share'])} the LSTM's logit, the rest the mean of the frames'. "
        "The gain is over the mean of frames, paired: both on the same draws of the bootstrap over sources.\n\n"
        + table(["head", "frames", "matched AUC [95 %]", "gain over the mean [95 %]", "overall AUC"], rows)
    )
