"""The steps of training's command line that make a model, from train to what int8 needs, and import one."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.inference import load_network
from detector.release import Decision, load_release

DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=48, min_sharpness=6.0, min_frames=5, window=12)

TEMPORAL = "temporal.pt"  # in a run's folder: the temporal head


def add_steps(steps: Any) -> None:
    """Add them to the parsers of ``python -m detector.training``."""
    step = steps.add_parser(
        "train", help="backbone and frame head on pairs of genuine and fake crops; resumes by itself"
    )
    step.add_argument("recipe", type=Path, help="the run's configuration, such as detector/training/recipes/NAME.toml")
    step.add_argument("--videos", type=Path, required=True, help="pack of the training videos")
    step.add_argument("--photographs", type=Path, required=True, help="pack of photographs, all genuine")
    step.add_argument(
        "--regenerated",
        type=Path,
        nargs="+",
        default=[],
        metavar="PACK",
        help="what regenerate drew of those two packs",
    )
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument(
        "--initial", type=Path, help="the backbone to start from: a base, or what initialise or efficientnet wrote"
    )
    step.add_argument(
        "--start", type=Path, help="a run's or a model's folder; a new run begins with its tuned weights and frame head"
    )
    step.add_argument("--teacher", type=Path, help="a model folder whose answers are learnt beside the labels")
    step.add_argument("--seconds", type=float, help="in all, earlier parts of the run included (default: the recipe's)")
    step.add_argument(
        "--workers", type=int, default=1, help="processes that make batches; 16 beside a GPU (default: 1)"
    )
    step.add_argument("--seed", type=int, help="(default: the recipe's)")
    step.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoint.pt and log.jsonl")
    step.set_defaults(run=_train)

    step = steps.add_parser("average", help="the mean of the weights of several runs of one recipe")
    step.add_argument("runs", type=Path, nargs="+", help="folders that train wrote")
    step.add_argument("--out", type=Path, required=True, help="the folder to write, for temporal and export")
    step.set_defaults(run=_average)

    step = steps.add_parser("temporal", help="the LSTM on features of whole tracks")
    step.add_argument("--videos", type=Path, required=True, help="pack of the training videos")
    step.add_argument("--initial", type=Path, help="as given to train")
    step.add_argument("--versions", type=int, default=2, help="degraded versions of every clip (default: 2)")
    step.add_argument("--crops", type=int, help="of each clip, at even distances (default: all)")
    step.add_argument("--width", type=int, help="of the LSTM and of what it reads (default: the recipe's)")
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("run_folder", type=Path, help="what train wrote; gets temporal.pt")
    step.set_defaults(run=_temporal)

    step = steps.add_parser(
        "export", help="a model folder with half-precision weights, calibrated, and compared with what was trained"
    )
    step.add_argument("run_folder", type=Path, help="what temporal completed")
    step.add_argument("--initial", type=Path, help="as given to train")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument(
        "--window", type=int, default=12, help="frames the LSTM reads at a time; those it learnt on (default: 12)"
    )
    step.add_argument("--name", required=True, help="such as resnext50-lstm")
    step.add_argument("--version", required=True)
    step.add_argument("--out", type=Path, required=True, help="the folder of models, such as detector/models")
    step.set_defaults(run=_export)

    step = steps.add_parser("calibrate", help="calibration and thresholds of a model folder, fitted again")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.set_defaults(run=_calibrate)

    step = steps.add_parser("quantise", help="have a model folder served in int8, and say what that changes")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--videos", type=Path, required=True, help="pack of the training videos")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.set_defaults(run=_quantise)

    step = steps.add_parser(
        "import-checkpoint",
        help="a model folder from a student checkpoint: Model(ResNeXt50, nn.LSTM(2048, 2048), linear1)",
    )
    step.add_argument("checkpoint", type=Path, metavar="FILE.pt", help="a state dict; pickled models are not opened")
    step.add_argument("--name", required=True, help="such as student")
    step.add_argument("--version", default="1", help="(default: 1)")
    step.add_argument("--out", type=Path, required=True, help="the folder of models, such as detector/models")
    step.add_argument("--fake-class", type=int, default=0, choices=(0, 1), help="output that means fake (default: 0)")
    step.add_argument(
        "--decides",
        default="last-frame",
        choices=("last-frame", "frame-mean"),
        help="what its forward() hands to linear1: x_lstm[:, -1] (the default) or the mean over the frames",
    )
    step.add_argument(
        "--colours", default="bgr", choices=("bgr", "rgb"), help="bgr: trained on OpenCV's frames (the default)"
    )
    step.add_argument("--size", type=int, default=112, help="side of its crops in pixels (default: 112)")
    step.add_argument("--margin", type=float, default=1.0, help="of its crops (default: 1.0, the finder's box)")
    step.set_defaults(run=_import_checkpoint)


def _train(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import networks, packs, train  # noqa: PLC0415 -- slow import
    from detector.training.recipe import read_recipe  # noqa: PLC0415 -- slow import
    from detector.training.teacher import Teacher  # noqa: PLC0415 -- slow import

    recipe = read_recipe(options.recipe)
    changed = {key: getattr(options, key) for key in ("seconds", "seed") if getattr(options, key) is not None}
    recipe = replace(recipe, learning=replace(recipe.learning, **changed))
    videos, photographs, validation = map(packs.read, (options.videos, options.photographs, options.validation))
    backbone = _backbone(options.initial)
    teacher = None
    if options.teacher is not None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        teacher = Teacher(load_release(options.teacher), device)
    start = None if options.start is None else networks.start_of(options.start)
    regenerated = [packs.read(path) for path in options.regenerated]
    train.train(
        videos, photographs, validation, backbone, recipe, options.out, options.workers, teacher, start, regenerated
    )


def _average(options: argparse.Namespace) -> None:
    from detector.training import soup  # noqa: PLC0415 -- slow import

    soup.average(options.runs, options.out)
    print(f"The mean of {len(options.runs)} runs is in {options.out}.")


def _temporal(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import packs, temporal  # noqa: PLC0415 -- slow import
    from detector.training.networks import load_averaged  # noqa: PLC0415 -- slow import

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, _, crop = load_averaged(options.run_folder, _backbone(options.initial), device)
    plan = temporal.Plan(versions=options.versions, crops=options.crops, width=options.width, seed=options.seed)
    log = temporal.train_temporal(model, packs.read(options.videos), crop, plan, device)
    temporal.save_head(model, options.run_folder / TEMPORAL, log)
    print(f"The head that learnt for {log[-1]['temporal_steps']} steps is kept.")


def _export(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import packs, temporal  # noqa: PLC0415 -- slow import
    from detector.training.export import export  # noqa: PLC0415 -- slow import
    from detector.training.networks import load_averaged  # noqa: PLC0415 -- slow import

    model, _, crop = load_averaged(options.run_folder, _backbone(options.initial), torch.device("cpu"))
    temporal.load_head(model, options.run_folder / TEMPORAL)
    validation = packs.read(options.validation)
    decision = replace(DECISION, window=options.window)
    folder, difference = export(model, crop, validation, options.name, options.version, options.out, decision)
    print(f"Served and trained network differ by at most {difference:.4f} in the logit.")
    print(f"{folder} written; measure it with `python -m detector evaluate`, then write its card.")


def _calibrate(options: argparse.Namespace) -> None:
    from detector.training import calibrate, packs  # noqa: PLC0415 -- slow import
    from detector.training.export import write_config  # noqa: PLC0415 -- slow import

    release = load_release(options.folder)
    network = load_network(release)
    fitted = calibrate.calibrate(network, packs.read(options.validation), release.decision, calibrate.Targets())
    write_config(replace(release, calibration=fitted[0], decision=fitted[1]))
    print(f"{options.folder} calibrated: FAKE from {fitted[1].threshold_fake}, REAL up to {fitted[1].threshold_real}.")


def _quantise(options: argparse.Namespace) -> None:
    from detector.precision import Precision, processor_has  # noqa: PLC0415 -- slow import
    from detector.training import packs, quantise  # noqa: PLC0415 -- slow import

    release, validation = load_release(options.folder), packs.read(options.validation)
    validation.check(release.crop)
    if not processor_has(Precision.INT8):
        raise ValueError("this processor computes nothing in int8, so what it changes could not be measured")
    quantise.quantise(release, packs.read(options.videos))
    try:
        exact, rounded = load_network(release), load_network(release, precision=Precision.INT8)
        found = quantise.compare(exact, rounded, validation)
    except BaseException:
        quantise.take_back(release)  # what was not measured is not served
        raise
    print(
        f"{options.folder} is now served in int8 where nobody asks for something else. On {found.clips} validation "
        f"clips: {found.verdicts} other verdicts, matched AUC "
        f"{found.matched_auc[0]:.3f} in float32 and {found.matched_auc[1]:.3f} in int8, overall {found.auc[0]:.3f} and "
        f"{found.auc[1]:.3f}; probabilities move by {found.mean:.4f} on the average, {found.most:.4f} at most."
    )


def _backbone(path: Path | None) -> Mapping[str, Any] | None:
    """What training starts from: a base (safetensors), or what ``initialise`` or ``efficientnet`` wrote (torch)."""
    import torch  # noqa: PLC0415 -- slow import

    from detector.weights import load_base  # noqa: PLC0415 -- slow import

    if path is None:
        return None
    if path.suffix == ".safetensors":
        return {name: torch.from_numpy(array) for name, array in load_base(path).items()}
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _import_checkpoint(options: argparse.Namespace) -> None:
    from detector.training import student_checkpoint  # noqa: PLC0415 -- slow import

    layout = student_checkpoint.Layout(
        options.fake_class, options.decides.replace("-", "_"), options.colours, options.size, options.margin
    )
    folder = student_checkpoint.import_checkpoint(
        options.checkpoint, options.name, options.version, layout, options.out
    )
    print(student_checkpoint.recurrence_words(layout).replace("**", "").replace("`", ""))
    print(
        f"{folder} written. It cannot be made the active model before it has been measured: fit its thresholds with "
        f"`calibrate`, run `python -m detector evaluate` on validation and test, and write its card with `card "
        f"--description {folder / student_checkpoint.DESCRIPTION}`."
    )
