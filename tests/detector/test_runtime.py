"""Signals are handled in a process in which networks have come and gone, because it has one Core to its end."""

import os
import re
import signal
from pathlib import Path

import numpy as np

from detector import face_encoder, runtime
from detector.bench.children import in_child
from detector.hands import Hands
from detector.inference import load_network
from detector.release import default_release

DETECTOR = Path(runtime.__file__).parent


def handled() -> int:
    """How many of two signals reach their handler while networks go in the order in which they came."""
    heard: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    networks = [load_network(default_release(), 1) for _ in range(2)]
    networks.pop(0)
    crops = np.random.default_rng(0).integers(0, 256, (4, 160, 160, 3), dtype=np.uint8)
    with Hands(2) as hands:
        face_encoder.encodings(list(crops), 1.45, hands)
    os.kill(os.getpid(), signal.SIGUSR1)
    networks.pop()
    os.kill(os.getpid(), signal.SIGUSR1)
    return len(heard)


def test_signals_are_handled_after_networks_have_gone() -> None:
    assert in_child(handled) == 2


def test_nobody_else_makes_a_core() -> None:
    makers = {path.name for path in DETECTOR.rglob("*.py") if re.search(r"\bCore\(", path.read_text(encoding="utf-8"))}

    assert makers == {"runtime.py"}


def test_there_is_one_core() -> None:
    assert runtime.core() is runtime.core()
