"""The contact sheet: drawn from public-domain photographs, with every kind of fake and degradation on it."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest
from torch.nn import functional

from detector.training import contact_sheet
from detector.training.__main__ import main
from detector.training.contact_sheet import CELL, COLUMNS, DEGRADATIONS, FAKES, GAP, LEFT, PLAIN
from detector.training.regenerate import Upscaler
from tests.portraits import crop

if TYPE_CHECKING:
    from detector.training.ncnn_graph import NcnnGraph

DOCUMENTED = Path(__file__).parents[2] / "docs" / "training" / "fakes.jpg"


@pytest.fixture(scope="module")
def sheet() -> np.ndarray:
    return contact_sheet.draw(seed=0)


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[:, :, ::-1]


def edges(picture: np.ndarray) -> float:
    return float(np.abs(np.diff(picture, axis=1)).mean())


def test_another_seed_draws_another_sheet(sheet: np.ndarray) -> None:
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == LEFT + COLUMNS * (CELL + GAP)
    assert not np.array_equal(sheet, contact_sheet.draw(seed=1))


@pytest.mark.parametrize("row", range(len(FAKES)))
def test_every_kind_of_fake_is_shown_beside_its_genuine_picture_and_their_difference(
    sheet: np.ndarray, row: int
) -> None:
    top = contact_sheet.HEAD + row * (CELL + GAP)
    cells = [sheet[top : top + CELL, LEFT + place * (CELL + GAP) :][:, :CELL].astype(int) for place in range(COLUMNS)]

    for genuine, fake, difference in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        assert genuine.std() > 20
        assert np.abs(genuine - fake).max() > 8
        assert np.abs(difference - 128).max() > 20
        assert np.abs(difference[:4] - 128).max() < 8  # above the face


def test_what_networks_draw_again_is_a_strip_of_its_own(sheet: np.ndarray) -> None:
    enlarged = cast("NcnnGraph", lambda x: functional.interpolate(x, scale_factor=4, mode="bilinear"))
    row = contact_sheet.HEAD + len(FAKES) * (CELL + GAP)

    drawn = contact_sheet.draw(seed=0, upscalers=[Upscaler(enlarged)])

    added = drawn[row : row + CELL + GAP]
    assert np.array_equal(np.concatenate([drawn[:row], drawn[row + CELL + GAP :]]), sheet)
    genuine, fake = (added[:CELL, LEFT + place * (CELL + GAP) :][:, :CELL].astype(float) for place in (0, 1))
    assert genuine.std() > 20
    assert 0 < edges(fake) < 0.9 * edges(genuine)  # this network knows no detail


def test_every_degradation_but_none_changes_a_picture() -> None:
    picture, _ = crop(size=224)
    plain = PLAIN.apply(picture, 2.0, CELL, 1.5).astype(int)

    changes = {
        name: np.abs(chain.apply(picture, 2.0, CELL, 1.5) - plain).mean() for name, chain in DEGRADATIONS.items()
    }

    assert len(DEGRADATIONS) == COLUMNS
    assert changes.pop("as cut") == 0
    assert min(changes.values()) > 0.8, changes


def test_the_command_writes_the_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str], sheet: np.ndarray) -> None:
    target = tmp_path / "docs" / "sheet.png"

    assert main(["contact-sheet", "--out", str(target)]) == 0
    assert "written" in capsys.readouterr().out
    assert np.array_equal(read(target), sheet)


def test_another_ending_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "sheet.gif"

    assert main(["contact-sheet", "--out", str(target)]) == 2
    assert "should be named with the ending .png or .jpg" in capsys.readouterr().err
    assert not target.parent.exists()


def test_the_documented_sheet_is_small_and_shows_what_networks_draw_too(sheet: np.ndarray) -> None:
    assert read(DOCUMENTED).shape == (len(sheet) + CELL + GAP, *sheet.shape[1:])
    assert DOCUMENTED.stat().st_size < 400_000
