"""What the benchmark gives, made up, for tests of what becomes of it."""

from typing import Any

from detector.bench.cases import Clip
from detector.bench.run import FORMAT


def floor(**other: Any) -> dict[str, Any]:
    return {
        "frames_in_video": 300,
        "frames_to_decode": 150,
        "multiply_adds_per_crop": 1_000_000_000,
        "decode": {"wall_s": 0.5, "cpu_s": 0.9},
        "network": {"wall_s": 0.5, "cpu_s": 0.6},
        "wall_s": 1.0,
        "cpu_s": 1.5,
        "times_floor": {"wall_s": 2.0, "cpu_s": 2.0},
        **other,
    }


def measured_run(clip: Clip | None = None, **other: Any) -> dict[str, Any]:
    clip = clip or Clip()
    stages = {"detect": {"wall_s": 0.5, "cpu_s": 1.0}, "network": {"wall_s": 1.2, "cpu_s": 1.8}}
    loading = {"import": {"wall_s": 1.0, "cpu_s": 1.0}, "load": {"wall_s": 0.5, "cpu_s": 0.7}}
    return {
        "video": clip.name,
        "sample": {"height": clip.height, "seconds": clip.seconds, "faces": clip.faces},
        "frames_requested": 60,
        "width": 1920,
        "height": clip.height,
        "duration_s": clip.seconds,
        "frames_analyzed": 60,
        "people": clip.faces,
        "crops": 60,
        "model": "resnext50-lstm 0.2.0",
        "verdict": "INCONCLUSIVE",
        "probability_fake": 0.5,
        "cold": {
            "wall_s": 4.0,
            "cpu_s": 6.0,
            "stages": {**loading, **stages, "detect": {"wall_s": 0.6, "cpu_s": 1.2}},
        },
        "warm": {"wall_s": 2.0, "cpu_s": 3.0, "stages": stages},
        "peak_memory_bytes": 650_000_000,
        "floor": floor(),
        "workers": None,
        "baseline": None,
        **other,
    }


def result(*runs: dict[str, Any], others_share: float | None = 0.4) -> dict[str, Any]:
    facts = {
        "cores": 2,
        "processor": "A processor",
        "memory_bytes": 24 * 1024**3,
        "system": "Linux",
        "python": "3.11.7",
        "others_share": others_share,
    }
    return {"format": FORMAT, "measured_on": "2026-11-28", "machine": facts, "runs": list(runs)}
