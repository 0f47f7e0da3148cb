"""Kernel locks that last as long as their process, however it ends.

These are of flock(2). Such a lock belongs to the open file. Unlike a POSIX record lock, it stays when another
descriptor of the file is closed, and it excludes other parts of the same process. Containers that share a
volume see it, since the kernel keeps it at the inode. On NFS, Linux asks the server for a record lock of the whole file
instead. Open file description locks do the same, but take a packed C struct, and macOS has none.

A forked child shares the open file, and would keep the lock after its parent died. Exec closes the descriptors;
``close_in_child`` is for a fork without exec.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakMethod

RECORDER: Final = "recorder.lock"


def lock(descriptor: int) -> bool:
    """Take the lock of an open file; ``False``: somebody has it. Raises OSError if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Whether somebody else holds the lock. Takes a shared lock for a moment, which no other reader notices."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def close_in_child(close: Callable[[], None]) -> None:
    """Call a bound method in each child that is forked, as long as its object lives."""
    os.register_at_fork(after_in_child=partial(_call, WeakMethod(close)))


def _call(method: WeakMethod[Callable[[], None]]) -> None:
    if (close := method()) is not None:
        close()


class RecorderLock:
    """Held by the one recorder of a spool folder. Raises OSError if its file cannot be made or locked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORDER
        self._descriptor = -1
        close_in_child(self.release)

    def acquire(self) -> bool:
        """``False``: another recorder works in this folder."""
        if self._descriptor >= 0:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not lock(descriptor):
                return False
            self._descriptor, descriptor = descriptor, -1
            return True
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def release(self) -> None:
        """The file stays: a lock of a removed file would exclude nobody."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
