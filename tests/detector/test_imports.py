"""torchvision loads beside any torch, and serving loads neither."""

import subprocess
import sys

import torch

from detector import torchvision_schemas


def test_torchvision_loads_beside_this_torch_and_its_schemas_are_declared_once() -> None:
    torchvision_schemas.declare_missing()
    torchvision_schemas.declare_missing()

    from torchvision.models import resnext50_32x4d
    from torchvision.transforms import v2

    network = resnext50_32x4d(weights=None)
    assert sum(weight.numel() for weight in network.parameters()) == 25_028_904
    assert v2.functional.horizontal_flip(torch.arange(3).view(1, 1, 3)).flatten().tolist() == [2, 1, 0]
    for name in torchvision_schemas.SCHEMAS:
        assert hasattr(torch.ops.torchvision, name)


def test_an_analysis_loads_no_torch() -> None:
    program = (
        "import sys, detector.pipeline, detector.cli; print('torch' in sys.modules or 'torchvision' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
