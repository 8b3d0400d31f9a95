"""How the reader and its child process speak: a message is a length (4 bytes, big-endian) and so much JSON.

The pixels of a frame (height × width × 3 bytes, RGB) follow its message.
"""

import json
import os
import struct
from typing import Any

MAX_MESSAGE_BYTES = 16 * 1024
LENGTH = struct.Struct(">I")


def packed(message: dict[str, Any]) -> bytes:
    """The bytes of ``message``."""
    text = json.dumps(message, allow_nan=False).encode()
    if len(text) > MAX_MESSAGE_BYTES:
        raise ValueError("The message is too long.")
    return LENGTH.pack(len(text)) + text


def write_all(file: int, content: bytes | memoryview) -> None:
    """Write all of ``content`` to a file descriptor."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def read_message(file: int) -> dict[str, Any] | None:
    """The next message, as the child reads it from its parent, whom it trusts; None at the end."""
    head = _read(file, LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    message: dict[str, Any] = json.loads(_read(file, LENGTH.unpack(head)[0]))
    return message


def _read(file: int, count: int) -> bytes:
    content = b""
    while len(content) < count and (more := os.read(file, count - len(content))):
        content += more
    return content
