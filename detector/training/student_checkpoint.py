"""Turns a widely shared student checkpoint into a release: ResNeXt50, nn.LSTM(2048, 2048), linear1; see ``KNOWN``.

Read as plain tensors: nothing in the file is run. What its recurrence really does is said in the release's card.
"""

import os
import pickle
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from detector.model import build_backbone
from detector.release import CARD, WEIGHTS, Calibration, CropShape, Decision, NetworkShape, Release
from detector.training.export import write_checksums, write_config

KNOWN = "keys model.* (torchvision's ResNeXt50_32x4d in a Sequential), lstm.* (one layer, one direction) and linear1.*"
PARTS = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}  # of the Sequential
GATES = 4  # input, forget, candidate, output: torch's order
DESCRIPTION = "description.md"
BACKBONE = "resnext50_32x4d"
SIZES, MARGINS = (32, 1024), (0.5, 4.0)  # of crops that this network can have been trained on
UNCALIBRATED = Calibration(1, 0, 1, 0)  # the softmax of the checkpoint's two logits, as it is
DECISION = Decision(
    threshold_fake=0.99, threshold_real=0.01, min_face_px=48, min_sharpness=6.0, min_frames=5, window=12
)


@dataclass(frozen=True)
class Layout:
    """What the file does not say. The defaults are those of the project that most such checkpoints come from."""

    fake_class: int = 0  # of linear1's two outputs
    recurrence: str = "last_frame"  # or "frame_mean": which frames its forward() takes into linear1
    colours: str = "bgr"  # pictures read with OpenCV and never turned into RGB
    size: int = 112  # pixels of the square crop's side
    margin: float = 1.0  # crop over the landmarks' extent; theirs are the boxes of face_recognition's finder


def import_checkpoint(path: Path, name: str, version: str, layout: Layout, out: Path) -> Path:
    """Write the release ``out``/NAME-VERSION with weights, configuration, a card and DESCRIPTION; its folder.

    Raises ValueError with a sentence when the file is not such a checkpoint, FileExistsError when the folder is there,
    and leaves nothing behind in either case.
    """
    for word in (name, version):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", word):
            raise ValueError(f"{word!r} cannot name a model; use letters, digits, dots, hyphens and underscores.")
    _check_crop(layout)
    folder = out / f"{name}-{version}"
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; choose another version.")
    tensors = convert(read(path), layout)
    shape = NetworkShape(
        backbone=BACKBONE,
        feature_channels=tensors["temporal_head.lstm.weight"].shape[1],
        projected=0,
        hidden=tensors["temporal_head.classify.weight"].shape[1],
        dropout=0.0,
        recurrence=layout.recurrence,
        colours=layout.colours,
    )
    out.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=out))
    try:
        stored = {key: value.to(torch.float16 if value.ndim > 1 else torch.float32) for key, value in tensors.items()}
        save_file({key: value.contiguous() for key, value in stored.items()}, draft / WEIGHTS)
        words = description(path.name, layout)
        (draft / DESCRIPTION).write_text(words, encoding="utf-8")
        (draft / CARD).write_text(f"# {name} {version}\n\n{words}\n{NOT_EVALUATED}", encoding="utf-8")
        crop = CropShape(layout.size, layout.margin)
        write_config(Release(name, version, draft, "", shape, crop, UNCALIBRATED, DECISION))
        write_checksums(draft)
        draft.chmod(0o777 & ~_umask())  # mkdtemp keeps a folder to its owner, safetensors a file
        (draft / WEIGHTS).chmod(0o666 & ~_umask())
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in ``path``, also where it is wrapped or was saved from DataParallel. Raises ValueError."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of old pickle protocols; what does not fit is refused below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ValueError(f"There is no file {path}; check the path.") from error
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} holds more than tensors, and opening it could run what somebody else wrote; it was not "
            "opened. Ask for a file saved with torch.save(model.state_dict(), …)."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{path.name} is no file of torch.save, or is damaged; get it again.") from error
    for wrapper in ("state_dict", "model_state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path.name} holds no state dict; expected are {KNOWN}.")
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def convert(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The checkpoint's weights under the names that inference.py reads. Raises ValueError when they do not fit."""
    if layout.fake_class not in (0, 1):
        raise ValueError(f"The class of fake is output 0 or 1, not {layout.fake_class}.")
    if any("_l1" in key or "_reverse" in key for key in state if key.startswith("lstm.")):
        raise ValueError(f"This checkpoint's LSTM has several layers or directions; expected are {KNOWN}.")
    backbone = _backbone(state)
    channels = backbone["backbone.layer4.2.bn3.weight"].shape[0]
    gates, hidden = _gates(state, channels)
    order = [1 - layout.fake_class, layout.fake_class]
    classify = _tensor(state, "linear1.weight", (2, hidden))[order]
    bias = _tensor(state, "linear1.bias", (2,))[order]
    if hidden != channels:
        raise ValueError(f"The LSTM has {hidden} outputs, the backbone {channels}: no class activation map fits both.")
    tensors = {
        **backbone,
        "frame_head.weight": (classify[1] - classify[0])[None],  # the maps' weights, as that project draws them
        "frame_head.bias": (bias[1] - bias[0])[None],
        **gates,
        "temporal_head.classify.weight": classify,
        "temporal_head.classify.bias": bias,
    }
    for key, value in tensors.items():
        if not torch.isfinite(value).all() or value.abs().max() > torch.finfo(torch.float16).max:
            raise ValueError(f"The weights {key} hold numbers that are not finite or too large; the file is damaged.")
    return tensors


def description(source: str, layout: Layout) -> str:
    """What the card opens with: where it comes from, and what its recurrence and its heatmaps really are."""
    return (
        f"Imported from the checkpoint `{source}`: a ResNeXt50_32x4d, an LSTM and a linear layer over crops of "
        f"{layout.size} px, in the form that many student projects share. Output {layout.fake_class} of the linear "
        f"layer was taken for fake, and the channels for {layout.colours.upper()}. Its training data are "
        "not known here.\n\n"
        f"{recurrence_words(layout)}\n\n"
        "Its heatmaps lay the linear layer's weights (fake less genuine) over the feature maps, as that project does, "
        "although the LSTM lies between the two: they do not add up to the score.\n"
    )


def recurrence_words(layout: Layout) -> str:
    """What the checkpoint's recurrence does, plainly."""
    decides = {
        "last_frame": "The last frame of a person alone decides; all earlier ones are ignored.",
        "frame_mean": "The mean over a person's frames decides; their order has no effect.",
    }[layout.recurrence]
    return (
        "**Its recurrence carries nothing from frame to frame.** The LSTM was built without `batch_first` and is "
        "handed (batch, time, features), so that with one video at a time it takes the frames for sequences of their "
        "own, each one step long. Every frame starts from a zero state, and the recurrent weights never act. "
        f"{decides} The network is served here as it was made."
    )


NOT_EVALUATED = (
    "\n## Not evaluated\n\nNothing was measured yet, so nothing can be said about how often it is wrong. Its "
    "probabilities are not calibrated, and FAKE is said only from 0.990, REAL up to 0.010.\n"
)


def _check_crop(layout: Layout) -> None:
    if not SIZES[0] <= layout.size <= SIZES[1]:
        raise ValueError(
            f"Crops are {SIZES[0]} to {SIZES[1]} pixels wide, not {layout.size}; give the size of training."
        )
    if not MARGINS[0] <= layout.margin <= MARGINS[1]:  # no number either
        raise ValueError(
            f"The margin is the crop's side over the face's extent, {MARGINS[0]:g} to {MARGINS[1]:g}, not "
            f"{layout.margin:g}; 1 is the face as a finder boxes it."
        )


def _backbone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    expected = {key: value for key, value in build_backbone(BACKBONE).state_dict().items() if _is_kept(key)}
    found = {}
    for key, value in state.items():
        head, _, rest = key.partition(".")
        place, _, tail = rest.partition(".")
        if head == "model" and _is_kept(key):
            found[f"{PARTS.get(place, place)}.{tail}"] = value
        elif head not in ("model", "lstm", "linear1"):
            raise ValueError(f"This checkpoint has weights called {key}; expected are {KNOWN}.")
    wrong = sorted(found.keys() ^ expected.keys())
    if wrong:
        raise ValueError(f"This checkpoint's backbone is no ResNeXt50_32x4d: {wrong[0]} is missing or unknown.")
    return {f"backbone.{key}": _tensor(found, key, tuple(expected[key].shape)) for key in expected}


def _gates(state: Mapping[str, Tensor], channels: int) -> tuple[dict[str, Tensor], int]:
    """The weights of the gates that act at the first step, where the state is zero; biases are often left out."""
    rows = state["lstm.weight_ih_l0"].shape[0] if "lstm.weight_ih_l0" in state else 0
    weight = _tensor(state, "lstm.weight_ih_l0", (rows, channels))
    if not rows or rows % GATES:
        raise ValueError(f"This checkpoint's LSTM has {rows} rows of weights, which is no multiple of {GATES}.")
    _tensor(state, "lstm.weight_hh_l0", (rows, rows // GATES))
    bias = torch.zeros(rows)
    for key in ("lstm.bias_ih_l0", "lstm.bias_hh_l0"):
        if key in state:
            bias = bias + _tensor(state, key, (rows,))
    kept = [0, 2, 3]  # all but the forget gate
    return {
        "temporal_head.lstm.weight": torch.cat([weight.chunk(GATES)[gate] for gate in kept]),
        "temporal_head.lstm.bias": torch.cat([bias.chunk(GATES)[gate] for gate in kept]),
    }, rows // GATES


def _tensor(state: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    if key not in state:
        raise ValueError(f"This checkpoint lacks {key}; expected are {KNOWN}.")
    if tuple(state[key].shape) != shape:
        raise ValueError(f"This checkpoint's {key} has the shape {tuple(state[key].shape)}, not {shape}.")
    return state[key].detach().to(torch.float32)


def _is_kept(key: str) -> bool:
    return not key.endswith("num_batches_tracked")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
