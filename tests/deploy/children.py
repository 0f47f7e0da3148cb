"""The pytest processes of the stages that run at the same time, and how all of them end at an interrupt."""

from __future__ import annotations

import signal
import subprocess
from os import killpg
from pathlib import Path
from threading import Lock
from typing import IO

END_SECS = 60.0  # for a child's clean-up after an interrupt


class Children:
    """Threads run one child each. ``interrupt`` ends them all, and prevents more."""

    def __init__(self, folder: Path) -> None:
        """``folder``: the working directory of the children."""
        self._folder = folder
        self._lock = Lock()  # of the attributes below
        self._running: set[subprocess.Popen[bytes]] = set()
        self._interrupted = False

    def run(self, command: list[str], seconds: float, output: IO[bytes] | None) -> int | None:
        """Return the exit status; ``None`` if it took longer than ``seconds``. ``output``: ``None`` is our own.

        The child cleans up at SIGINT, so it is always waited for. Raises InterruptedError after ``interrupt``.
        """
        with self._lock:
            if self._interrupted:
                raise InterruptedError
            # A session of its own: a Ctrl-C reaches it only from here, once.
            child = subprocess.Popen(
                command,
                cwd=self._folder,
                start_new_session=True,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
            )
            self._running.add(child)
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            _end([child])
            return None
        finally:
            with self._lock:
                self._running.discard(child)

    def interrupt(self) -> None:
        """Return once all have ended."""
        with self._lock:
            self._interrupted = True
            running = list(self._running)
        _end(running)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.send_signal(signal.SIGINT)  # does nothing if it has ended
    for child in children:
        try:
            child.wait(END_SECS)
        except subprocess.TimeoutExpired:
            killpg(child.pid, signal.SIGKILL)
            child.wait()
