"""The precision in which a network computes: single, or bfloat16 or int8 where the processor and the model have it.

bfloat16 (8 bits of mantissa) takes about half the time, int8 (int8.py) about a third. Both round otherwise, and so does
another processor: the same video gives slightly other numbers there. A report says which precision it was made in.
An installation that asks for nothing computes in int8 where it can: what that does to a model's answers was
measured when its plan was made (training/quantise.py).
"""

from enum import StrEnum
from pathlib import Path

from detector.release import Release

CPU_INFO = Path("/proc/cpuinfo")  # Linux's
AUTO = "auto"  # the word for: int8 where processor and model have it, else single precision
VNNI = {"avx512_vnni", "avx_vnni"}  # without, two products are added in 16 bits and cut off, and little is gained


class Precision(StrEnum):
    """Of weights and activations; sums are single, or exact in int8, in which some layers stay single (int8.py)."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


HINTS = {  # as OpenVINO calls them; of what is not rounded to int8 as well
    Precision.FLOAT32: "f32",
    Precision.BFLOAT16: "bf16",
    Precision.INT8: "f32",
}


def asked_for(word: str) -> Precision:
    """What a setting or an option means: the name of a precision, or AUTO, which is int8 where it can be had."""
    return Precision.INT8 if word == AUTO else Precision(word)


def available(wanted: Precision, release: Release) -> Precision:
    """``wanted`` where this processor computes in it and ``release`` can be served in it; FLOAT32 everywhere else.

    A processor that has not got it would only imitate it, slowly.
    """
    if processor_has(wanted) and model_has(wanted, release):
        return wanted
    return Precision.FLOAT32


def processor_has(wanted: Precision) -> bool:
    """Whether this processor computes in it; int8 is used on x86 processors with VNNI alone."""
    match wanted:
        case Precision.BFLOAT16:
            from detector.runtime import core  # noqa: PLC0415 -- 40 MB that most who ask do without

            return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        case Precision.INT8:
            return bool(VNNI & _flags())
        case _:
            return True


def model_has(wanted: Precision, release: Release) -> bool:
    """Whether ``release`` says how it is served in it, where that must be said."""
    return wanted is not Precision.INT8 or release.is_quantised


def _flags() -> set[str]:
    """What this processor says it can do; nothing where the system does not tell."""
    try:
        with CPU_INFO.open(encoding="ascii", errors="replace") as lines:
            return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()


def suffix(precision: str) -> str:
    """What to say behind a model's name: " in bfloat16", or nothing for single precision."""
    return "" if precision == Precision.FLOAT32 else f" in {precision}"
