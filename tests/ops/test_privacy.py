"""Nothing leaves the machine: no library that reports its use is installed."""

import importlib.util
import subprocess
import sys

REPORTS = "import sys, openvino; print(sorted(name for name in sys.modules if 'telemetry' in name))"


def test_the_inference_runtime_has_nothing_to_report_with() -> None:
    assert importlib.util.find_spec("openvino_telemetry") is None

    loaded = subprocess.run([sys.executable, "-c", REPORTS], capture_output=True, text=True, check=True).stdout
    assert "openvino_telemetry" not in loaded
