"""The installation's secret key: made once, kept in a file that only its owner can read."""

import os
import secrets
from pathlib import Path


def load_or_make(path: Path) -> str:
    """The key in the file; the first caller makes it, and of several at once one wins and all read the same key."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, 0o600)  # a umask may have taken the owner's rights away too
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)  # fails where the file exists by now: nobody's key is overwritten
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = path.read_text(encoding="ascii").strip()
    if len(key) < 50:
        raise RuntimeError(
            f"The secret key in {path} is too short. Delete the file to have a new one made; people log in again."
        )
    return key
