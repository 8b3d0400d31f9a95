"""Lets torchvision be imported beside a CPU build of torch.

torchvision's wheel is linked against CUDA; beside a CPU torch its C++ operators do not load, and importing it stops at
"operator torchvision::nms does not exist". Models and transforms need none of them, so declaring the two schemas that
torchvision registers fake kernels for is enough. Import this module before torchvision.
"""

import torch

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_missing() -> None:
    """Declare each schema of SCHEMAS that no loaded library has registered. Harmless when called again."""
    _load_library()
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema)


def _load_library() -> None:
    """Load torchvision's own operators where its wheel and torch fit together, so that they are not declared twice."""
    import importlib.util  # noqa: PLC0415 -- optional dependency
    from pathlib import Path  # noqa: PLC0415 -- optional dependency

    found = importlib.util.find_spec("torchvision")
    for folder in (found.submodule_search_locations or []) if found else []:
        for library in Path(folder).glob("_C*.so"):
            try:
                torch.ops.load_library(library)  # type: ignore[no-untyped-call]
            except OSError:
                return
