"""ImageNet's ResNet50, read from the archive of the package that carries it."""

import io
import tarfile
from pathlib import Path

import pytest

from detector.training import keras_resnet50


def test_an_archive_of_something_else_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    archive = tmp_path / "other.tgz"
    with tarfile.open(archive, "w:gz") as written:
        member = tarfile.TarInfo("package/package.json")
        member.size = 2
        written.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(KeyError, match=r"model\.json"):
        keras_resnet50.load(archive)
