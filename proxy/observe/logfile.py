"""The file of ``observe.logFile``: created with mode 0640, appended to, and opened again after a rotation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from io import FileIO
from typing import Final

# Seconds between two reports that the file cannot be written: a disk may be full and have room again many times.
REPORT_EVERY: Final = 60.0

# Not blocked forever by a named pipe without a reader; regular files ignore the flag.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class LogFile(FileIO):
    """The file at ``path``, relative to the working directory. Raises OSError if it cannot be opened.

    ``report(message, **fields)`` takes errors of writing and of opening it again, which raise nothing.
    """

    def __init__(self, path: str, report: Callable[..., None], now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(path, "ab", opener=_open)
        self._path = path
        self._report = report
        self._now = now
        self._report_from = 0.0

    def reopen(self) -> bool:
        """Continue in the file that has the path now; ``False``: it cannot be opened, and the old file is kept."""
        try:
            descriptor = _open(self._path)
        except OSError as error:
            self._report(
                "observe.logFile: the file cannot be opened again; lines are written to the old one.",
                file=self._path,
                why=error.strerror,
            )
            return False
        try:
            # Under the same number and atomically: writes of other threads go to one file or the other.
            os.dup2(descriptor, self.fileno(), inheritable=False)
        finally:
            os.close(descriptor)
        return True

    def failed(self, error: Exception) -> None:
        """Report that a write failed, at most once in ``REPORT_EVERY`` seconds."""
        if (now := self._now()) >= self._report_from:
            self._report_from = now + REPORT_EVERY
            self._report(
                "observe.logFile: the file cannot be written; requests are served, and their log lines are lost.",
                file=self._path,
                why=getattr(error, "strerror", None) or str(error),
            )


def _open(path: str, flags: int = 0) -> int:
    """``flags`` are those of FileIO, which lack two."""
    return os.open(path, _FLAGS, 0o640)
