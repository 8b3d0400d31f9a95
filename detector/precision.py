"""The precision in which a network computes: single, or bfloat16 where the processor has it.

bfloat16 (8 bits of mantissa) takes about half the time. It rounds otherwise, and so does another processor in it: the
same video gives slightly other numbers there. A report says which precision it was made in.
"""

from enum import StrEnum


class Precision(StrEnum):
    """Of weights and activations alike; sums are single in either."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}  # as OpenVINO calls them


def available(wanted: Precision) -> Precision:
    """``wanted`` where this processor computes in it; FLOAT32 on any other, which would only imitate it, slowly."""
    if wanted is Precision.FLOAT32:
        return wanted
    from detector.runtime import core  # noqa: PLC0415 -- 40 MB that most who ask do without

    can = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return wanted if HINTS[wanted].upper() in can else Precision.FLOAT32


def suffix(precision: str) -> str:
    """What to say behind a model's name: " in bfloat16", or nothing for the usual one."""
    return "" if precision == Precision.FLOAT32 else f" in {precision}"
