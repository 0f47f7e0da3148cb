"""The admin token that nobody configured: made at the first start, and kept in a file that only its owner reads."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from proxy.errors import ConfigError

NAME = "admin-token"


def read_or_make(folder: Path) -> str:
    """The token in ``folder``. Raises ConfigError, which names the file, where it cannot be read, made or used."""
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
    """Whole or not at all, and never in place of one that another process has made by now."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, name = tempfile.mkstemp(prefix=f".{NAME}-", dir=path.parent)  # 0600 from its beginning
    try:
        with open(made, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _publish(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(name: str, path: Path) -> None:
    try:
        os.link(name, path)  # unlike a rename it leaves alone what is there
    except FileExistsError:
        pass
    except OSError:  # some file systems know no links
        os.rename(name, path)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError([f"admin.token: the token kept in {path} cannot be used: {why} (or set admin.token yourself)"])
