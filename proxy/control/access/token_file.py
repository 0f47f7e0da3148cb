"""The generated admin token: made at the first start and stored in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from proxy.errors import ConfigError

NAME: Final = "admin-token"


def read_or_make(folder: Path) -> str:
    """The token in ``folder``. Raises ConfigError, which names the file, if it cannot be read, made or used."""
    path = folder / NAME
    try:
        if not path.exists():
            _make(path)
        token = path.read_text("ascii").strip()
    except UnicodeDecodeError:
        raise _unusable(path, "it does not hold printable ASCII text") from None
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be read") from None
    if not token:
        raise _unusable(path, "it is empty; remove it, and the next start makes a new one")
    if not token.isprintable() or " " in token:
        raise _unusable(path, "it does not hold printable ASCII text without spaces, on one line")
    return token


def _make(path: Path) -> None:
    """Write a new token atomically. A file that another process wrote meanwhile stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{NAME}-", dir=path.parent)  # created with mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _publish(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(name: str, path: Path) -> None:
    try:
        os.link(name, path)  # unlike a rename it does not replace an existing file
    except FileExistsError:
        pass
    except OSError:  # some file systems have no hard links
        os.rename(name, path)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError([f"admin.token: the token in {path} cannot be used: {why} (or set admin.token yourself)"])
