"""STORAGE_URL made into an entry of Django's STORAGES: a folder (file://) or an S3-compatible bucket (s3://)."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

FOLDER = "django.core.files.storage.FileSystemStorage"
BUCKET = "analysis.object_storage.ObjectStorage"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, TRIES = 5, 30, 3
_ON, _OFF = frozenset({"on", "true", "1", "yes"}), frozenset({"off", "false", "0", "no"})
_OPTIONS = frozenset({"region", "tls", "ca", "prefix", "addressing"})


def folder_of(url: str) -> Path | None:
    """The folder that a file:// address names; None for any other. Raises ImproperlyConfigured."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if parts.netloc or not parts.path.startswith("/"):
        raise ImproperlyConfigured("STORAGE_URL names a folder as file:///srv/media, with three slashes.")
    return Path(unquote(parts.path))


def storage(url: str) -> dict[str, Any]:
    """For STORAGES["default"]; raises ImproperlyConfigured with a sentence that does not repeat the secret."""
    if not url or folder_of(url) is not None:
        return {"BACKEND": FOLDER}
    parts = urlsplit(url)
    if parts.scheme != "s3":
        raise ImproperlyConfigured("STORAGE_URL begins with s3:// for a bucket, or with file:// for a folder.")
    return {"BACKEND": BUCKET, "OPTIONS": _options(parts)}


def _options(parts: SplitResult) -> dict[str, Any]:
    from botocore.config import Config  # noqa: PLC0415 -- slow import, which only a bucket needs

    bucket, *more = unquote(parts.path).strip("/").split("/")
    if not bucket or more:
        raise ImproperlyConfigured(
            "STORAGE_URL names one bucket: s3://KEY:SECRET@host:port/bucket; a folder in it is ?prefix=."
        )
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(asked) - _OPTIONS)
    if unknown:
        raise ImproperlyConfigured(
            f"STORAGE_URL has the option {unknown[0]!r}; known are {', '.join(sorted(_OPTIONS))}."
        )
    if bool(parts.username) != bool(parts.password):
        raise ImproperlyConfigured("STORAGE_URL has only one of key and secret; give both or neither.")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ImproperlyConfigured("The port in STORAGE_URL is not a number from 1 to 65535.") from error
    addressing = asked.get("addressing", "path" if parts.hostname else "auto")
    if addressing not in {"path", "virtual", "auto"}:
        raise ImproperlyConfigured("addressing in STORAGE_URL is path, virtual or auto.")
    tls = _switch(asked.get("tls", "on"))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    certificates = asked.get("ca")
    if certificates and not Path(certificates).is_file():
        raise ImproperlyConfigured(f"STORAGE_URL names the certificates {certificates}, and there is no such file.")
    return {
        "bucket_name": bucket,
        "location": asked.get("prefix", "").strip("/"),
        "endpoint_url": f"{'https' if tls else 'http'}://{host}{port}" if host else None,
        "access_key": unquote(parts.username) if parts.username else None,
        "secret_key": unquote(parts.password) if parts.password else None,
        "region_name": asked.get("region") or "us-east-1",
        "use_ssl": tls,
        "verify": certificates or None,
        "default_acl": None,  # private is what a bucket is; an access list of an object's own could only open it
        "file_overwrite": False,
        "object_parameters": {"CacheControl": "private, no-store"},
        "client_config": Config(
            s3={"addressing_style": addressing},
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            # Sums that only newer servers know are sent where a call cannot do without.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    }


def _switch(word: str) -> bool:
    if word.lower() not in _ON | _OFF:
        raise ImproperlyConfigured("tls in STORAGE_URL is on or off.")
    return word.lower() in _ON
