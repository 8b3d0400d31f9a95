"""Draws what was measured: where the time goes by resolution, and how cost grows; the same SVG for the same JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detector.bench.cases import REFERENCE, WIDTHS

INK, QUIET, STRONG = "#1f2328", "#9aa0a6", "#1a5fb4"
STAGES_FILE, GROWTH_FILE = "stages.svg", "growth.svg"
WORDS = {
    STAGES_FILE: "Processor seconds of a warm analysis by stage, one bar for each resolution",
    GROWTH_FILE: "Seconds of a warm analysis against resolution, length, faces and frames, with the floor below",
}

Run = dict[str, Any]


def draw(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures by the name of their file; those for which too little was measured are left out."""
    runs = _of_first_model(result)
    drawn = {}
    by_height = _along(runs, "height")
    if len(by_height) > 1:
        drawn[STAGES_FILE] = _stages(by_height)
    panels = {name: points for name in PANELS if len(points := _along(runs, name)) > 1}
    if panels:
        drawn[GROWTH_FILE] = _growth(panels)
    return drawn


def save(figure: Figure, target: Path) -> None:
    """Without time and random names, so that the file changes only when the measurements do."""
    with mpl.rc_context({"svg.hashsalt": "unmask", "svg.fonttype": "path"}):
        figure.savefig(target, format="svg", metadata={"Date": None})


def _of_first_model(result: dict[str, Any]) -> list[Run]:
    runs: list[Run] = result["runs"]
    return [run for run in runs if run["sample"] and run["model"] == runs[0]["model"]]


def _millions(run: Run) -> float:
    return float(WIDTHS[run["sample"]["height"]] * run["sample"]["height"] / 1e6)


PANELS: dict[str, tuple[str, Callable[[Run], float]]] = {
    "height": ("million pixels in a frame", _millions),
    "seconds": ("length of the video, s", lambda run: float(run["duration_s"])),
    "faces": ("faces in each frame", lambda run: float(run["sample"]["faces"])),
    "frames": ("frames looked at", lambda run: float(run["frames_analyzed"])),
}


def _along(runs: Sequence[Run], name: str) -> list[Run]:
    """The runs in which nothing but ``name`` differs from the reference, each value once, in order."""
    usual = {
        "height": REFERENCE.height,
        "seconds": REFERENCE.seconds,
        "faces": REFERENCE.faces,
        "frames": runs[0]["frames_requested"] if runs else 0,
    }
    found: dict[Any, Run] = {}
    for run in runs:
        facts = {**run["sample"], "frames": run["frames_requested"]}
        if all(facts[other] == value for other, value in usual.items() if other != name):
            found.setdefault(facts[name], run)
    return [found[value] for value in sorted(found)]


def _stages(runs: Sequence[Run]) -> Figure:
    figure = Figure(figsize=(8.4, 0.55 * len(runs) + 1.9), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = list(runs[0]["warm"]["stages"])
    colours = mpl.colormaps["tab20"]
    lefts = [0.0] * len(runs)
    places = range(len(runs))
    for index, name in enumerate(names):
        seconds = [run["warm"]["stages"][name]["cpu_s"] for run in runs]
        axes.barh(places, seconds, left=lefts, height=0.6, color=colours(index), label=name)
        lefts = [left + more for left, more in zip(lefts, seconds, strict=True)]
    for place, run in zip(places, runs, strict=True):
        floor_s = run["floor"]["cpu_s"]
        axes.plot([floor_s, floor_s], [place - 0.42, place + 0.42], color=INK, linewidth=2)
    axes.plot([], [], color=INK, linewidth=2, label="floor")
    axes.set_yticks(places, [f"{run['sample']['height']}p" for run in runs])
    axes.invert_yaxis()
    axes.set_xlabel("seconds of the processor, warm")
    figure.suptitle(f"{runs[0]['model']}, {runs[0]['frames_analyzed']} frames", fontsize=10)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    _plain(axes)
    return figure


def _growth(panels: dict[str, list[Run]]) -> Figure:
    figure = Figure(figsize=(2.5 * len(panels) + 0.8, 3.0), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (name, runs) in zip(every, panels.items(), strict=True):
        words, value = PANELS[name]
        along = [value(run) for run in runs]
        clock, processor = ([run["warm"][unit] for run in runs] for unit in ("wall_s", "cpu_s"))
        axes.plot(along, clock, color=QUIET, marker="o", markersize=4, label="on the clock")
        axes.plot(along, processor, color=STRONG, marker="o", markersize=4, label="of the processor")
        floor = [run["floor"]["cpu_s"] for run in runs]
        axes.plot(along, floor, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="floor, of the processor")
        axes.set_xlabel(words, fontsize=9)
        _plain(axes)
    every[0].set_ylim(bottom=0)  # of all; once limits are set they grow no more
    every[0].set_ylabel("seconds, warm")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(color="#e6e8eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
