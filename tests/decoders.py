"""Puts a program of a test's own in the place of the decoder, in the same child process under the same limits."""

import sys
from pathlib import Path

import pytest

from detector import reader_process

_BEGINNING = """
import dataclasses, json, os, resource, signal, struct, sys, time
from detector import sandbox
from detector.reader_messages import packed, read_message, write_all

def say(**message):
    write_all(1, packed(message))

INFO = {
    "kind": "info", "container": "mov", "codec": "h264", "width": 4, "height": 2, "rotation_deg": 0, "duration_s": 1.0,
    "frame_rate": 25.0, "pixel_aspect": 1.0, "is_joined": False,
}
FRAME = {"kind": "frame", "index": 0, "time_s": 0.0, "width": 4, "height": 2}
told = read_message(0)
sandbox.die_with_parent(told["parent"])
sandbox.limit(sandbox.Bounds(**told["bounds"]))
"""
READY = 'say(kind="ready", seccomp=False, landlock=0)\n'
PROBED = READY + "say(**INFO)\nread_message(0)\n"


def replace(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Have every Reader start ``program``, to which ``say``, INFO, FRAME and what it was ``told`` are known."""
    script = folder / "decoder.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(reader_process.ROOT)!r})\n{_BEGINNING}{program}\n")
    monkeypatch.setattr(reader_process, "COMMAND", (sys.executable, str(script)))
