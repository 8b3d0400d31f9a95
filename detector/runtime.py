"""OpenVINO, in which every network here runs: one Core for each process, kept to its end; graphs for small pictures.

A Core gives the thread that makes it a stack to handle signals on (sigaltstack), and unmaps it when the Core goes. If
another was made in between, or it goes on another thread, the next signal ends the process. So none ever goes.
"""

import threading
from functools import cache

import numpy as np
import openvino
from numpy.typing import NDArray

from detector.hands import MAX_HANDS


def core() -> openvino.Core:
    """This process's own; not to be carried over a fork. Threads may ask at once."""
    with _one_at_a_time:
        return _core()


@cache
def _core() -> openvino.Core:
    return openvino.Core()


_one_at_a_time = threading.Lock()


class SmallGraph:
    """A graph that judges one small picture at a time, on one core; threads may call it at once, MAX_HANDS of them."""

    def __init__(self, model: openvino.Model) -> None:
        """Compile ``model`` in single precision."""
        options = {
            "NUM_STREAMS": MAX_HANDS,
            "INFERENCE_NUM_THREADS": MAX_HANDS,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core().compile_model(model, "CPU", options)
        self._own = threading.local()  # each thread's request

    def __call__(self, batch: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        """The outputs for ``batch`` (1, …), each without its first axis; good until this thread's next call."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        request: openvino.InferRequest = self._own.request
        request.infer(batch, share_inputs=True)
        return [tensor.data[0] for tensor in request.output_tensors]
