"""Sends private files: parts of them (RFC 9110, section 14), conditionally, with flat memory, from any storage.

Who may have a file is decided by the caller, which found its row through ``queries.visible_to``.
"""

import errno
import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags

from analysis.files import StorageDown

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 128 * 1024
_KEPT_FOR_S = 300
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)
# A file opened by its address is shown as nothing but a picture or a film, whatever it holds.
_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": f"private, max-age={_KEPT_FOR_S}",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class _Part:
    """Bytes first..last, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class _Unsatisfiable(Exception):
    """The range that was asked for lies outside the file."""


def serve(
    request: HttpRequest, field_file: FieldFile, content_type: str, download_name: str | None = None
) -> HttpResponseBase:
    """The file or the part of it that was asked for: 200, 206, 304 or 416; 404 when it is not in the storage.

    ``download_name`` makes the browser save it under that name. HEAD gets the headers that GET would have.
    """
    try:
        if not field_file:
            raise FileNotFoundError
        size = field_file.size
    except FileNotFoundError as error:
        raise Http404 from error
    etag = _etag(field_file, size)
    response: HttpResponseBase
    if _matches(request.headers.get("If-None-Match"), etag):
        response = HttpResponseNotModified()
    else:
        try:
            part = _part(request, etag, size)
        except _Unsatisfiable:
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        else:
            response = _content(request, field_file, content_type, size, part)
            response.headers["Content-Disposition"] = (
                content_disposition_header(download_name is not None, download_name or "") or "inline"
            )
    _set_headers(response, etag)
    return response


def serve_made(
    request: HttpRequest,
    field_file: FieldFile,
    content_type: str,
    make: Callable[[bytes], bytes],
    made_with: str,
) -> HttpResponseBase:
    """What ``make`` makes of the whole file: 200 or 304; 404 when it is not in the storage or is nothing to make it of.

    ``made_with`` stands for all that goes into it besides the file. ``make`` raises ValueError for a file that is
    damaged. Held in memory, so for pictures alone; parts are not to be had.
    """
    try:
        if not field_file:
            raise FileNotFoundError
        etag = _etag(field_file, field_file.size, made_with)
        response: HttpResponseBase
        if _matches(request.headers.get("If-None-Match"), etag):
            response = HttpResponseNotModified()
        else:
            with field_file.storage.open(field_file.name or "", "rb") as file:
                response = HttpResponse(make(file.read()), content_type=content_type)
            response.headers["Content-Disposition"] = "inline"
    except FileNotFoundError as error:
        raise Http404 from error
    except ValueError as error:
        logger.warning("A stored picture is damaged and cannot be shown: %s: %s", field_file.name, error)
        raise Http404 from error
    _set_headers(response, etag)
    response.headers["Accept-Ranges"] = "none"
    return response


def _set_headers(response: HttpResponseBase, etag: str) -> None:
    for name, value in (*_HEADERS.items(), ("ETag", etag)):
        response.headers[name] = value


def _content(
    request: HttpRequest, field_file: FieldFile, content_type: str, size: int, part: _Part | None
) -> HttpResponseBase:
    sent = part or _Part(0, size - 1)
    headers = {"Content-Length": str(sent.length)}
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    try:
        blocks = _Blocks(field_file, sent)
        return StreamingHttpResponse(blocks, status=status, content_type=content_type, headers=headers)
    except FileNotFoundError as error:
        raise Http404 from error


class _Blocks(Iterator[bytes]):
    """The part of the file, block by block; opened at once, so that a missing file is noticed in time."""

    def __init__(self, field_file: FieldFile, part: _Part) -> None:
        self._file = field_file.storage.open(field_file.name or "", "rb")
        self._left = part.length
        if part.first:
            self._file.seek(part.first)

    def __next__(self) -> bytes:
        try:
            block = self._file.read(min(_BLOCK_BYTES, self._left)) if self._left > 0 else b""
        except StorageDown as error:  # too late for another answer: the connection is broken off, as readers understand
            self.close()
            logger.warning("A file was sent in part only: %s", error)
            raise ConnectionResetError(errno.ECONNRESET, "The storage fell silent.") from error
        if not block:
            self.close()
            raise StopIteration
        self._left -= len(block)
        return bytes(block)

    def close(self) -> None:
        """Called by Django when the answer is over, also when the browser went away."""
        self._file.close()


def _etag(field_file: FieldFile, size: int, made_with: str = "") -> str:
    """Stored files are never written to again, so a name and a size stand for the content."""
    return '"' + hashlib.sha256(f"{field_file.name}:{size}{made_with}".encode()).hexdigest()[:32] + '"'


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or etag in {known.removeprefix("W/") for known in parse_etags(header)}


def _part(request: HttpRequest, etag: str, size: int) -> _Part | None:
    """The single range that was asked for; None for the whole file, also when the header is not understood."""
    header = request.headers.get("Range")
    if header is None or request.headers.get("If-Range", etag) != etag:
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None  # several ranges, another unit, or nonsense: RFC 9110 allows to ignore it
    first_text, last_text = match.groups()
    if not first_text:  # the last so many bytes
        count = min(int(last_text), size)
        if count == 0:
            raise _Unsatisfiable
        return _Part(size - count, size - 1)
    first = int(first_text)
    last = min(int(last_text), size - 1) if last_text else size - 1
    if last_text and int(last_text) < first:
        return None
    if first >= size:
        raise _Unsatisfiable
    return _Part(first, last)
