"""The steps of training's command line that measure: heads, peers and card of a finished model, and the usual way."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

EVERY_S = 30  # between lines that say how far it is


def add_steps(steps: Any) -> None:
    """Add them to the parsers of ``python -m detector.training``."""
    step = steps.add_parser("heads", help="LSTM against the mean of the frames, at several numbers of frames")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument(
        "--frames", type=int, nargs="+", help="(default: 6, 12, 24, 48, 96 as far as the pack goes, and all it has)"
    )
    step.add_argument("--out", type=Path, required=True, help="the JSON to write")
    step.set_defaults(run=_heads)

    step = steps.add_parser(
        "peers", help="what others' ways reach on the same crops: MesoNet, frame means, a CLIP probe"
    )
    step.add_argument("folder", type=Path, help="our model's folder")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument("--test", type=Path, help="pack of the test videos, cut as served")
    step.add_argument("--mesonet", type=Path, metavar="DIR", help="folder with MesoNet's four published .h5 files")
    step.add_argument(
        "--clip", type=Path, metavar="FILE", help="CLIP's image tower, such as models/bases/clip-vit-b16…"
    )
    step.add_argument("--videos", type=Path, metavar="PACK", help="pack of the training videos, for the CLIP probe")
    step.add_argument("--cache", type=Path, metavar="DIR", help="keeps CLIP's features, which take longest")
    step.add_argument("--crops", type=int, default=12, metavar="N", help="of each clip at most (default: 12)")
    step.add_argument("--out", type=Path, required=True, help="the JSON to write")
    step.set_defaults(run=_peers)

    step = steps.add_parser("card", help="card.md and metrics.json of a model folder, from what was measured")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--description", type=Path, required=True, help="Markdown that opens the card")
    step.add_argument("--validation", type=Path, required=True, help="evaluate's JSON of the validation split")
    step.add_argument("--test", type=Path, required=True, help="evaluate's JSON of the test split")
    step.add_argument("--robustness", type=Path, nargs="+", default=[], metavar="JSON", help="robustness' JSON")
    step.add_argument("--peers", type=Path, metavar="JSON", help="peers' JSON")
    step.add_argument("--heads", type=Path, metavar="JSON", help="heads' JSON")
    step.set_defaults(run=_card)

    step = steps.add_parser("usual-way", help="one video as most programs judge it, for `python -m detector bench`")
    step.add_argument("video", type=Path)
    step.add_argument("--frames", type=int, default=60, help="how many, from the first on (default: 60)")
    step.add_argument("--out", type=Path, required=True, help="gets crops, heatmaps and annotated frames")
    step.set_defaults(run=_usual_way)


def _heads(options: argparse.Namespace) -> None:
    from detector.inference import load_network  # noqa: PLC0415 -- slow import
    from detector.release import load_release  # noqa: PLC0415 -- slow import
    from detector.training import heads, packs  # noqa: PLC0415 -- slow import

    network, pack = load_network(load_release(options.folder)), packs.read(options.validation)
    found = heads.measure(network, pack, options.frames)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for row in found["heads"]:
        print(f"{row['head']}, {row['frames']} frames: matched AUC {row['matched_auc']} {row['interval'] or ''}")
    for row in found["differences"]:
        words = f"{row['head']} less {row['against']}, {row['frames']} frames"
        print(f"{words}: {row['difference']} {row['interval'] or ''}")


def _peers(options: argparse.Namespace) -> None:
    from detector.inference import load_network  # noqa: PLC0415 -- slow import
    from detector.release import load_release  # noqa: PLC0415 -- slow import
    from detector.training import packs, peers  # noqa: PLC0415 -- slow import

    if (options.clip is None) != (options.videos is None):
        raise ValueError("the CLIP probe needs both --clip and --videos")
    if options.crops < 1:
        raise ValueError(f"at least one crop of each clip is needed, not {options.crops}")
    measured = {"validation": options.validation, **({"test": options.test} if options.test else {})}
    found = peers.compare(
        peers.Peers(
            load_network(load_release(options.folder)),
            options.mesonet,
            options.clip,
            packs.read(options.videos) if options.videos else None,
            options.cache,
            options.crops,
        ),
        {name: packs.read(path) for name, path in measured.items()},
        _Lines().tell,
    )
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name, pack in found["packs"].items():
        for way, figures in pack["peers"].items():
            print(f"{name}: {way}: matched AUC {figures['matched_auc']}, overall {figures['auc']}")


def _card(options: argparse.Namespace) -> None:
    from detector.training.card import More, write_card  # noqa: PLC0415 -- slow import

    more = More(options.robustness, options.peers, options.heads)
    write_card(options.folder, options.description, options.validation, options.test, more)


def _usual_way(options: argparse.Namespace) -> None:
    from detector.bench.measure import Meter, peak_memory_bytes  # noqa: PLC0415 -- slow import
    from detector.training import usual_way  # noqa: PLC0415 -- slow import

    usual_way.check_memory(options.video)
    model = usual_way.load()
    meter = Meter()
    found = usual_way.examine(options.video, options.frames, model, options.out)
    print(json.dumps({**usual_way.told(found), **meter.read(), "peak_memory_bytes": peak_memory_bytes()}))


class _Lines:
    """A line on stderr every half minute, and at the end of each part."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def tell(self, words: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told_at > EVERY_S:
            print(f"peers: {words}: {done} of {total} clips", file=sys.stderr, flush=True)
            self._told_at = time.monotonic()
