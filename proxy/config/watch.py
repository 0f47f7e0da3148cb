"""Which files have changed since they were read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

# (device, inode, size, time of the last change in ns) of what the path leads to in the end, so that a symlink that
# is turned elsewhere counts (Kubernetes swaps a whole folder's), as does a file that is replaced (most editors do).
Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp | None:
    """The file's stamp; ``None`` while there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class FileWatch:
    """Compares files with their stamps, look by look.

    A file counts as changed once two looks in a row see the same, so that nothing half-written is read. A file that
    is gone does not count: it is about to be replaced, or was lost by accident.
    """

    def __init__(self, stamp: Callable[[Path], Stamp | None] = stamp) -> None:
        self._stamp = stamp
        self._before: dict[Path, Stamp | None] = {}

    def changed(self, read: Mapping[Path, Stamp | None]) -> list[Path]:
        """Of the files that were ``read`` when they had these stamps, those that rest with another."""
        before, self._before = self._before, {path: self._stamp(path) for path in read}
        return [
            path
            for path, now in self._before.items()
            if now is not None and now != read[path] and now == before.get(path)
        ]
