"""The precision in which a network computes: single, or bfloat16 or int8 where the processor and the model have it.

bfloat16 (8 bits of mantissa) takes about half the time, int8 (int8.py) about a third. Both round otherwise, and so does
another processor: the same video gives slightly other numbers there. A report says which precision it was made in.
"""

from enum import StrEnum
from pathlib import Path

from detector.release import Release

CPU_INFO = Path("/proc/cpuinfo")  # Linux's
VNNI = {"avx512_vnni", "avx_vnni"}  # without them products of bytes may overflow, and bring nothing


class Precision(StrEnum):
    """Of weights and activations alike; sums are single, or exact in int8."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


HINTS = {  # as OpenVINO calls them; of what is not rounded to int8 as well
    Precision.FLOAT32: "f32",
    Precision.BFLOAT16: "bf16",
    Precision.INT8: "f32",
}


def available(wanted: Precision, release: Release) -> Precision:
    """``wanted`` where this processor computes in it and ``release`` can be served in it; FLOAT32 everywhere else.

    A processor that has not got it would only imitate it, slowly.
    """
    return (
        wanted
        if wanted is Precision.FLOAT32 or (on_this_processor(wanted) and served(wanted, release))
        else Precision.FLOAT32
    )


def on_this_processor(wanted: Precision) -> bool:
    match wanted:
        case Precision.BFLOAT16:
            from detector.runtime import core  # noqa: PLC0415 -- 40 MB that most who ask do without

            return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        case Precision.INT8:
            return bool(VNNI & _flags())
        case _:
            return True


def served(wanted: Precision, release: Release) -> bool:
    """Whether ``release`` says how it is served in it."""
    return wanted is not Precision.INT8 or release.int8.is_file()


def _flags() -> set[str]:
    """What this processor says it can do; nothing where the system does not tell."""
    try:
        lines = CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def suffix(precision: str) -> str:
    """What to say behind a model's name: " in bfloat16", or nothing for the usual one."""
    return "" if precision == Precision.FLOAT32 else f" in {precision}"
