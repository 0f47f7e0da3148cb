"""The folder of a spool: names of its files, how much they take, and the folder in memory that replaces it."""

from __future__ import annotations

import os
import re
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from proxy.ledger.spool.locks import is_locked

SHARED_MEMORY: Final = Path("/dev/shm")

_SEGMENT: Final = re.compile(r"([0-9a-f]{16})-([0-9]{8,10})\.seg")
_SUFFIXES: Final = (".seg", ".new")


class SegmentName(NamedTuple):
    """One segment: the nonce of the process that writes it, and its number there, from 1."""

    gateway: str
    number: int

    @property
    def file(self) -> str:
        return f"{self.gateway}-{self.number:08d}.seg"

    @property
    def unfinished(self) -> str:
        """Its name until it has a header and a lock. Readers do not look at such files."""
        return f"{self.gateway}-{self.number:08d}.new"


def spool_folder(data_dir: str | Path) -> Path:
    """Where the gateways of a data directory have their spool."""
    return Path(data_dir).absolute() / "spool"


def segment_names(folder: Path) -> list[SegmentName]:
    """Names of all segments, each gateway's in the order of writing. Raises OSError."""
    found = (_SEGMENT.fullmatch(name) for name in os.listdir(folder))
    return sorted(SegmentName(match[1], int(match[2])) for match in found if match)


def used_bytes(folder: Path) -> int:
    """Size of all segments in the folder, those of other gateways and those being made included. Raises OSError."""
    used = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIXES):
                try:
                    used += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    pass  # removed meanwhile
    return used


def remove_unfinished(folder: Path, before: float) -> None:
    """Remove segments whose gateway died while it made them: unlocked, and last changed ``before`` (Unix seconds).

    Raises OSError.
    """
    for path in folder.glob("*.new"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # finished meanwhile
        try:
            if os.fstat(descriptor).st_mtime < before and not is_locked(descriptor):
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make it, for its owner only. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def memory_folder(folder: Path) -> Path:
    """Where the spool of ``folder`` is if its disk cannot be written: the same path for gateway and recorder."""
    digest = sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return SHARED_MEMORY / f"sluice-{os.geteuid()}-{digest}"


def make_memory_folder(folder: Path) -> Path:
    """Make the memory folder of ``folder``. Raises OSError, also if another user made it: anyone may write there."""
    if not SHARED_MEMORY.is_dir():
        raise FileNotFoundError(f"{SHARED_MEMORY} is missing")
    path = memory_folder(folder)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path} is not a folder that only user {os.geteuid()} can use")
    return path
