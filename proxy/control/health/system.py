"""What this process takes of its machine: processor time, memory, open files.

Of Linux's /proc (https://man7.org/linux/man-pages/man5/proc.5.html); what a system does not tell is ``None``.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

_PROC = Path("/proc/self")


class Usage(Struct, frozen=True):
    """``cpu_percent`` is of one processor, since the last look (at first: since the start); memory is in bytes."""

    cpu_seconds: float
    cpu_percent: float | None
    memory: int | None
    open_files: int | None
    most_open_files: int | None


class System:
    """``look`` may take some milliseconds where there are many open files: it is for a thread."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        proc: Path = _PROC,
    ) -> None:
        self._now = now
        self._cpu = cpu
        self._proc = proc
        self._looked = now()
        self._used = cpu()

    def look(self) -> Usage:
        now, used = self._now(), self._cpu()
        passed = now - self._looked
        percent = (used - self._used) / passed * 100.0 if passed > 0.0 else None
        self._looked, self._used = now, used
        return Usage(used, percent, _resident(self._proc), _open_files(self._proc), _most_open_files())


def _resident(proc: Path) -> int | None:
    """The second number of statm is the resident set, in pages."""
    try:
        pages = int((proc / "statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _open_files(proc: Path) -> int | None:
    try:
        return len(os.listdir(proc / "fd")) - 1  # one is the listing's own
    except OSError:
        return None


def _most_open_files() -> int | None:
    """The soft limit."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if most == resource.RLIM_INFINITY else most
