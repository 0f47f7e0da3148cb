"""Resources that this process uses: processor time, memory, open files.

From Linux's /proc (https://man7.org/linux/man-pages/man5/proc.5.html); ``None`` where a system does not have it.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

_PROC: Final = Path("/proc/self")


class ProcessUsage(Struct, frozen=True):
    """``cpu_percent``: of one processor, since the previous reading (at first: since the start). Memory in bytes."""

    cpu_seconds: float
    cpu_percent: float | None
    memory: int | None
    open_files: int | None
    max_open_files: int | None


class ProcessStats:
    """``read`` takes milliseconds with many open files, so call it in a thread."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        proc: Path = _PROC,
    ) -> None:
        self._now = now
        self._cpu = cpu
        self._proc = proc
        self._read_at = now()
        self._cpu_seconds = cpu()

    def read(self) -> ProcessUsage:
        now, used = self._now(), self._cpu()
        elapsed = now - self._read_at
        percent = (used - self._cpu_seconds) / elapsed * 100.0 if elapsed > 0.0 else None
        self._read_at, self._cpu_seconds = now, used
        return ProcessUsage(used, percent, _resident(self._proc), _open_files(self._proc), _max_open_files())


def _resident(proc: Path) -> int | None:
    """The second number of statm is the resident set, in pages."""
    try:
        pages = int((proc / "statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _open_files(proc: Path) -> int | None:
    try:
        return len(os.listdir(proc / "fd")) - 1  # without the descriptor of the listing itself
    except OSError:
        return None


def _max_open_files() -> int | None:
    """The soft limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit
