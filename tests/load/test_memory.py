"""Memory over time: what belongs together, and what counts as growth."""

import os
from pathlib import Path

import pytest

from tests.load import memory
from tests.load.memory import Process


def test_a_job_is_counted_with_its_worker_and_web_processes_by_themselves() -> None:
    found = [
        Process(10, 1, "supervisor", 1024),
        Process(20, 10, "worker", 2048),
        Process(21, 20, "worker", 1024),  # its job
        Process(30, 10, "worker", 4096),
        Process(40, 10, "web process", 512),
        Process(42, 40, "web process", 6144),
        Process(41, 40, "web process", 5120),
    ]

    assert memory.measured(found) == {
        "supervisor": (10, 1.0),
        "worker 1 and its job": (20, 3.0),
        "worker 2 and its job": (30, 4.0),
        "web server's main process": (40, 0.5),
        "web process 1": (41, 5.0),
        "web process 2": (42, 6.0),
    }


def test_growth_is_told_from_medians_and_the_peak_from_all() -> None:
    samples = [10.0, 10, 90, 20, 20, 20, 20, 30, 30, 31]

    growth = memory.growth_of("x", samples)

    assert (growth.start, growth.middle, growth.end, growth.peak) == (10.0, 20.0, 30.5, 90.0)
    assert growth.second_half == 10.5


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_samples_are_enough(count: int) -> None:
    assert memory.growth_of("x", [5.0] * count).second_half == 0


def test_this_process_takes_memory_and_an_ended_one_is_an_error() -> None:
    assert memory.pss_kibibytes(os.getpid()) > 1000
    with pytest.raises(OSError, match="2147483647"):
        memory.pss_kibibytes(2**31 - 1)


def test_a_folder_without_a_site_has_no_processes(tmp_path: Path) -> None:
    assert memory.processes(tmp_path) == []
