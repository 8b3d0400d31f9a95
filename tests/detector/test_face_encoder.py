"""OpenVINO tells people apart exactly as dlib does, whose weights it reads."""

from pathlib import Path
from typing import Any

import dlib
import face_recognition
import face_recognition_models
import numpy as np
import pytest

from detector import face_encoder
from detector.errors import DetectorError, ErrorCode
from detector.face_encoder import FaceEncoder
from detector.hands import Hands
from tests import videos

SIDE = face_encoder.SIDE


@pytest.fixture(scope="module")
def encoder() -> FaceEncoder:
    return FaceEncoder()


@pytest.fixture(scope="module")
def dlibs() -> Any:
    return dlib.face_recognition_model_v1(face_recognition_models.face_recognition_model_location())


def test_any_picture_gets_the_encoding_that_dlib_gives_it(encoder: FaceEncoder, dlibs: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)

    for face in (*noise, flat, np.ascontiguousarray(videos.resized(videos.portrait(), SIDE)[:SIDE, :SIDE])):
        theirs = np.array(dlibs.compute_face_descriptor(face))
        np.testing.assert_allclose(encoder.encode(face), theirs, rtol=0, atol=2e-6)


def test_a_crop_gets_the_encoding_that_face_recognition_gives_it(dlibs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_recognition.api, "face_encoder", dlibs, raising=False)
    canvas = videos.background((640, 360))
    videos.paste(canvas, videos.portrait(), 200, 30)
    crop = np.ascontiguousarray(canvas[40:260, 240:460])
    edge = round(220 * (1 - 1 / 1.45) / 2)
    location = (edge, 220 - edge, 220 - edge, edge)

    (encoding,) = face_encoder.encodings([crop], margin=1.45)

    (theirs,) = face_recognition.face_encodings(crop, known_face_locations=[location], num_jitters=1)
    np.testing.assert_allclose(encoding, theirs, rtol=0, atol=2e-6)


def test_threads_encode_as_one_does(encoder: FaceEncoder) -> None:
    pictures = list(np.random.default_rng(1).integers(0, 256, (7, SIDE, SIDE, 3), dtype=np.uint8))

    with Hands(3) as hands:
        beside = hands.map(encoder.encode, pictures)

    assert np.array_equal(beside, [encoder.encode(picture) for picture in pictures])


def test_every_weight_of_dlibs_file_is_read() -> None:
    path = Path(face_recognition_models.face_recognition_model_location())

    count = sum(array.size for array in face_encoder.read_weights(path))

    assert 0 <= path.stat().st_size - 4 * count < 10_000  # what lies between the layers


@pytest.mark.parametrize("kept", [0, 100, 1_000_000, 22_000_000])
def test_a_damaged_file_is_a_sentence(kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path(face_recognition_models.face_recognition_model_location()).read_bytes()
    (tmp_path / "short.dat").write_bytes(whole[:kept])
    monkeypatch.setattr(face_recognition_models, "face_recognition_model_location", lambda: str(tmp_path / "short.dat"))

    with pytest.raises(DetectorError, match=r"cannot be read; run `make setup` again\.$") as refused:
        FaceEncoder()

    assert refused.value.code is ErrorCode.MODEL_DAMAGED


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        pytest.param(342, 0x0F, id="a number of more bytes"),
        pytest.param(343, 0xFF, id="more weights than there are"),
    ],
)
def test_damage_between_the_weights_is_a_sentence_too(
    place: int, byte: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = bytearray(Path(face_recognition_models.face_recognition_model_location()).read_bytes())
    damaged[place] = byte
    (tmp_path / "damaged.dat").write_bytes(damaged)
    location = str(tmp_path / "damaged.dat")
    monkeypatch.setattr(face_recognition_models, "face_recognition_model_location", lambda: location)

    with pytest.raises(DetectorError, match=r"cannot be read; run `make setup` again\.$"):
        FaceEncoder()


def test_a_missing_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_recognition_models, "face_recognition_model_location", lambda: str(tmp_path / "no.dat"))

    with pytest.raises(DetectorError, match=r"are missing; run `make setup` again\.$") as refused:
        FaceEncoder()

    assert refused.value.code is ErrorCode.MODEL_MISSING
