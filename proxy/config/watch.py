"""Detecting files that have changed since they were read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

# (device, inode, size, modification time in ns) of the target of the path. So a changed symlink counts (Kubernetes
# swaps whole folders), and a replaced file as well (most editors write a new one).
Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp | None:
    """The file's stamp; ``None`` if it does not exist."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class FileWatch:
    """Compares files with their stamps at each call.

    A file counts as changed after two calls in a row with the same new stamp, so that no half-written file is read. A
    deleted file does not count: it is being replaced, or was deleted by accident.
    """

    def __init__(self, stamp: Callable[[Path], Stamp | None] = stamp) -> None:
        self._stamp = stamp
        self._before: dict[Path, Stamp | None] = {}

    def changed(self, read: Mapping[Path, Stamp | None]) -> list[Path]:
        """Files that now have another stamp than when they were ``read``, and the same one as at the last call."""
        before, self._before = self._before, {path: self._stamp(path) for path in read}
        return [
            path
            for path, now in self._before.items()
            if now is not None and now != read[path] and now == before.get(path)
        ]
