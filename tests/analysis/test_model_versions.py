"""Which model judges: found, registered, and exactly one active."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis import model_versions
from analysis.models import ModelVersion
from detector import release
from detector.errors import DetectorError, ErrorCode
from tests.analysis.builders import make_model_version, stand_in_release

pytestmark = pytest.mark.django_db

OLD = stand_in_release(version="1")
NEW = stand_in_release(version="2")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """What lies on the disk; the last one is the default."""
    found = [OLD, NEW]
    monkeypatch.setattr(release, "releases", lambda: found)
    monkeypatch.setattr(release, "default_release", lambda: found[-1])
    return found


def active_versions() -> list[str]:
    return [row.version for row in ModelVersion.objects.filter(is_active=True)]


def test_first_registration_activates_the_default(installed: list[SimpleNamespace]) -> None:
    rows = model_versions.register()

    assert [(row.version, row.is_active) for row in rows] == [("1", False), ("2", True)]


def test_registering_again_changes_nothing(installed: list[SimpleNamespace]) -> None:
    model_versions.register()
    model_versions.activate(ModelVersion.objects.get(version="1"))

    model_versions.register()

    assert (ModelVersion.objects.count(), active_versions()) == (2, ["1"])


def test_activating_one_rests_the_other(installed: list[SimpleNamespace]) -> None:
    model_versions.register()

    for version in ("1", "1", "2"):
        model_versions.activate(ModelVersion.objects.get(version=version))
        assert active_versions() == [version]


def test_a_version_without_figures_of_its_own_is_not_activated(installed: list[SimpleNamespace]) -> None:
    installed.insert(0, stand_in_release(version="0", evaluated=False))
    rows = {row.version: row for row in model_versions.register()}

    with pytest.raises(
        model_versions.NotActivated, match=r"no figures from test clips for net-0 .* how often it is wrong"
    ):
        model_versions.activate(rows["0"])
    with pytest.raises(model_versions.NotActivated, match="not installed any more"):
        model_versions.activate(make_model_version())

    assert active_versions() == ["2"]


def test_a_video_can_be_examined_with_what_has_been_evaluated(
    installed: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed[:0] = [stand_in_release(version="0", evaluated=False)]
    make_model_version(name="gone")
    model_versions.register()

    assert [row.version for row in model_versions.choices()] == ["2", "1"]  # the active one first

    unmeasured = stand_in_release(version="3", evaluated=False)
    installed[:] = [OLD, unmeasured]  # the default now, and so the active one
    model_versions.register()
    assert [row.version for row in model_versions.choices()] == ["3", "1"]


def test_asking_what_there_is_to_choose_writes_nothing(installed: list[SimpleNamespace]) -> None:
    model_versions.register()
    installed[:] = [OLD, stand_in_release(version="3")]

    assert [row.version for row in model_versions.choices()] == ["1"]
    assert ([row.version for row in ModelVersion.objects.all()], active_versions()) == (["1", "2"], ["2"])


def test_what_somebody_activates_meanwhile_stays_active(
    installed: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model_version(name="net", version="0", is_active=True)

    def default() -> SimpleNamespace:
        model_versions.activate(ModelVersion.objects.get(version="1"))
        return NEW

    monkeypatch.setattr(release, "default_release", default)
    model_versions.register()

    assert active_versions() == ["1"]


@pytest.mark.parametrize(("measured", "expected"), [(True, "b0"), (False, "c0")])
def test_thresholds_fitted_again_judge_in_a_row_of_their_own(
    installed: list[SimpleNamespace], measured: bool, expected: str
) -> None:
    """The active version stays so when it has been measured again; else the default one judges."""
    model_versions.register()
    model_versions.activate(before := ModelVersion.objects.get(version="1"))
    installed[0] = stand_in_release(version="1", config_sha256="b0" * 32, evaluated=measured)

    row, found = model_versions.active()

    assert row.config_sha256 == found.config_sha256 == expected * 32
    assert row.version == ("1" if measured else "2")
    assert ModelVersion.objects.filter(version="1", sha256=OLD.sha256).count() == 2
    assert not model_versions.is_installed(before)


def test_active_registers_what_a_fresh_installation_has(installed: list[SimpleNamespace]) -> None:
    row, found = model_versions.active()
    assert (row.version, found.sha256) == ("2", NEW.sha256)


def test_default_takes_over_when_the_active_model_is_gone(installed: list[SimpleNamespace]) -> None:
    gone = make_model_version(name="net", version="0", is_active=True)

    row, found = model_versions.active()

    assert (row.version, found.sha256, active_versions()) == ("2", NEW.sha256, ["2"])
    assert not model_versions.is_installed(gone)
    assert model_versions.is_installed(row)


def test_other_weights_under_the_same_name_are_another_model(installed: list[SimpleNamespace]) -> None:
    model_versions.register()
    installed[1] = stand_in_release(version="2", sha256="3" * 64)

    row, _found = model_versions.active()

    assert (row.sha256, ModelVersion.objects.count()) == ("3" * 64, 3)


def test_no_model_has_its_own_code(installed: list[SimpleNamespace]) -> None:
    installed.clear()
    with pytest.raises(DetectorError) as error:
        model_versions.active()
    assert error.value.code == ErrorCode.MODEL_MISSING


def test_damaged_folder_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[object]:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, "The model cannot be understood.")

    monkeypatch.setattr(release, "releases", damaged)
    assert not model_versions.is_installed(make_model_version())


def test_a_damaged_folder_does_not_stop_the_active_model(
    installed: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _found = model_versions.active()

    def damaged() -> list[object]:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, "Another model cannot be understood.")

    def load(folder: Path) -> SimpleNamespace:
        assert folder.name == "net-2"
        return NEW

    monkeypatch.setattr(release, "releases", damaged)
    monkeypatch.setattr(release, "load_release", load)

    again, found = model_versions.active()
    assert (again, found.sha256) == (row, NEW.sha256)
    assert model_versions.is_installed(row)


@pytest.mark.parametrize("damaged", ["metrics.json", "model.toml", "card.md"])
def test_figures_count_for_the_weights_and_thresholds_they_were_measured_with(damaged: str, tmp_path: Path) -> None:
    folder = tmp_path / "net-1"
    shipped = release.default_release().folder
    folder.mkdir()
    for name in ("metrics.json", "model.toml", "card.md", "SHA256SUMS"):
        shutil.copy(shipped / name, folder / name)
    assert release.load_release(folder).is_evaluated()

    changed = {
        "metrics.json": '{"error_rates": {}}',
        "model.toml": (folder / "model.toml").read_text().replace("min_frames = 5", "min_frames = 4"),
        "card.md": " ",
    }
    (folder / damaged).write_text(changed[damaged])
    assert not release.load_release(folder).is_evaluated()
    (folder / damaged).unlink()
    if damaged != "model.toml":
        assert not release.load_release(folder).is_evaluated()


def test_the_model_that_ships_can_be_registered() -> None:
    row, found = model_versions.active()
    assert (row.name, row.version, row.sha256) == (found.name, found.version, found.sha256)
    assert found.folder.is_dir()
