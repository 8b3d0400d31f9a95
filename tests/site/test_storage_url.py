"""STORAGE_URL: what each part of it comes to, and which sentence meets a mistake."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from deepfakesite import storage_url


def test_nothing_and_a_folder_are_djangos_own() -> None:
    assert storage_url.storage("") == storage_url.storage("file:///srv/me%20dia") == {"BACKEND": storage_url.FOLDER}
    assert storage_url.folder_of("file:///srv/me%20dia") == Path("/srv/me dia")
    assert storage_url.folder_of("s3://bucket") is None


def test_a_bucket_on_a_server_of_ones_own(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()

    options = storage_url.storage(f"s3://k%2Fey:s%3Aecret@h.example:9000/videos?region=eu&ca={authority}&prefix=/a/b/")[
        "OPTIONS"
    ]

    assert options["endpoint_url"] == "https://h.example:9000"
    assert (options["access_key"], options["secret_key"]) == ("k/ey", "s:ecret")
    assert (options["bucket_name"], options["location"], options["region_name"]) == ("videos", "a/b", "eu")
    assert options["verify"] == str(authority)
    assert options["default_acl"] is None
    assert options["file_overwrite"] is False
    assert options["client_config"].s3 == {"addressing_style": "path"}


def test_amazons_own_is_the_one_without_a_host() -> None:
    options = storage_url.storage("s3:///videos?region=eu-central-1")["OPTIONS"]

    assert options["endpoint_url"] is None
    assert options["access_key"] is None
    assert options["client_config"].s3 == {"addressing_style": "auto"}


def test_without_tls_only_when_it_is_said() -> None:
    assert storage_url.storage("s3://k:s@[::1]:9/b?tls=off")["OPTIONS"]["endpoint_url"] == "http://[::1]:9"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gs://bucket", "begins with s3://"),
        ("file://srv/media", "three slashes"),
        ("s3://k:hidden@host", "names one bucket"),
        ("s3://k:hidden@host/a/b", "a folder in it is ?prefix="),
        ("s3://k:hidden@host/a?regoin=x", "the option 'regoin'; known are addressing, ca,"),
        ("s3://k@host/a", "only one of key and secret"),
        ("s3://k:hidden@host:99999/a", "The port"),
        ("s3://k:hidden@host/a?tls=maybe", "tls in STORAGE_URL is on or off."),
        ("s3://k:hidden@host/a?addressing=up", "path, virtual or auto"),
        ("s3://k:hidden@host/a?ca=/nowhere", "there is no such file"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_without_the_secret(url: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        storage_url.storage(url)

    assert words in str(raised.value)
    assert "hidden" not in str(raised.value)
