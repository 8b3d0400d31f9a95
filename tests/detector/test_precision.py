"""A network computes in what was asked for where the processor can, else in single precision, and says which."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from detector import evaluate, precision, runtime
from detector.bench.children import in_child
from detector.cli import _parser, main
from detector.cli_options import precision_of
from detector.inference import load_network
from detector.pipeline import Settings, analyze
from detector.precision import AUTO, HINTS, Precision, asked_for, available
from detector.release import default_release
from detector.report import Report
from tests import videos


def pretend(monkeypatch: pytest.MonkeyPatch, *capabilities: str) -> None:
    """A processor with these alone."""

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return [*capabilities]

    monkeypatch.setattr(runtime, "core", Core)


@pytest.mark.parametrize(
    ("capabilities", "bfloat16_becomes"),
    [(("FP32", "INT8", "BF16"), Precision.BFLOAT16), (("FP32", "INT8"), Precision.FLOAT32)],
)
def test_bfloat16_is_had_where_the_processor_has_it(
    capabilities: tuple[str, ...], bfloat16_becomes: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, *capabilities)

    assert available(Precision.BFLOAT16, default_release()) is bfloat16_becomes
    assert available(Precision.FLOAT32, default_release()) is Precision.FLOAT32


def test_where_nobody_asks_it_is_the_fastest_that_was_measured() -> None:
    assert asked_for(AUTO) is Precision.INT8
    assert [asked_for(one.value) for one in Precision] == list(Precision)


@pytest.mark.parametrize(("command", "chosen"), [("analyze", AUTO), ("bench", AUTO), ("evaluate", "float32")])
def test_a_model_is_measured_as_it_was_trained_and_served_as_is_fastest(command: str, chosen: str) -> None:
    given = [command] if command == "bench" else [command, "one.mp4"]
    assert _parser().parse_args(given).precision == chosen


def test_auto_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "processor_has", lambda wanted: False)

    assert precision_of(Namespace(precision=AUTO), default_release()) is Precision.INT8


def test_figures_carry_the_precision_that_they_were_computed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[Precision] = []

    def note(order: evaluate.Order, *_rest: object) -> dict[str, object]:
        ordered.append(order.precision)
        return {}

    monkeypatch.setattr(evaluate, "evaluate", note)
    for wanted, has_int8 in (("auto", False), ("auto", True), ("float32", True)):
        monkeypatch.setattr(precision, "processor_has", lambda _precision, has_int8=has_int8: has_int8)
        main(
            ["evaluate", str(tmp_path / "videos.csv"), "--split", "val", "--out", str(tmp_path), "--precision", wanted]
        )

    assert ordered == [Precision.FLOAT32, Precision.INT8, Precision.FLOAT32]


def judged(precision: Precision) -> tuple[Precision, str, np.ndarray]:
    """What a network says it computes in, what OpenVINO calls that, and its logits of three crops of noise."""
    network = load_network(default_release(), 2, precision)
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    hint = network._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return network.precision, hint, network.frames(crops).logits


def examined(path: Path) -> Report:
    return analyze(path, load_network(default_release(), 2, Precision.BFLOAT16), Settings(frames=10))


def test_bfloat16_gives_nearly_the_numbers_of_float32() -> None:
    """To a tenth of a logit on noise; to the bit where this processor has only the one."""
    _, _, exact = in_child(judged, Precision.FLOAT32)
    precision, hint, rounded = in_child(judged, Precision.BFLOAT16)

    assert precision is available(Precision.BFLOAT16, default_release())
    assert hint == HINTS[precision]
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=0.1)
    assert np.array_equal(rounded, exact) is (precision is Precision.FLOAT32)


def test_a_report_says_in_what_it_was_made(tmp_path: Path) -> None:
    report = in_child(examined, videos.face_clip(tmp_path / "clip.mp4", duration_s=0.5))

    assert report.model.precision == available(Precision.BFLOAT16, default_release())
    earlier = report.to_json()
    del earlier["model"]["precision"]
    assert Report.from_json(earlier).model.precision == "float32"


def test_a_command_does_not_measure_something_else_than_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, "FP32")

    assert main(["bench", "--precision", "bfloat16"]) == 2
    assert capsys.readouterr().err == "On this processor nothing is computed in bfloat16; leave --precision out.\n"
