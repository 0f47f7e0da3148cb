"""Lines on their way to standard output, which may be slow, blocked or gone without a client noticing."""

from __future__ import annotations

import asyncio
import os
import select
import stat
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

# About 2,000 lines: two seconds of a busy gateway whose log nobody reads.
LIMIT = 1 << 20
# A pipe or a terminal that reports itself writable takes this much without blocking, and in one piece even
# where several processes share it (POSIX, write(2)).
PIECE = select.PIPE_BUF
# Lines wait this long (seconds) for company: on some machines one write costs as much as the line itself.
GATHER = 0.02


class LogSink:
    """Gathers lines and writes them every ``GATHER`` seconds, at once as long as no loop is attached.

    It never waits and never raises. What exceeds ``LIMIT`` while the stream is blocked, or cannot be
    written, is counted, and ``notice(count)`` is written as soon as the stream takes bytes again.
    """

    def __init__(self, stream: BinaryIO, notice: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._notice = notice
        self._pending = bytearray()
        self._dropped = 0
        self._told = 0  # lines that a notice among the pending ones tells about
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        # Warnings of the standard library may come from any thread, and from a finalizer within put().
        self._lock = threading.RLock()
        self._fd = _descriptor(stream)
        self._poll: select.poll | None = None
        if self._fd is not None and not stat.S_ISREG(os.fstat(self._fd).st_mode):
            # Not O_NONBLOCK: that flag belongs to the open file, which we share with whoever started us.
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Gather on this loop, which runs in the calling thread, from now on; ``None``: no more."""
        # Asking for the running loop with every line would cost a getpid() each time.
        self._loop = loop
        self._thread = threading.get_ident()

    def put(self, line: bytes) -> None:
        """Take one line, its newline included."""
        with self._lock:
            if len(self._pending) + len(line) > LIMIT:
                self._dropped += 1
                return
            self._pending += line
            loop = self._loop
            if loop is None or threading.get_ident() != self._thread:
                self.flush()
            else:
                self._schedule(loop)

    def write(self, lines: bytes) -> None:
        """Take lines that have been gathered elsewhere, and write at once what is pending. In the loop's thread."""
        with self._lock:
            if len(self._pending) + len(lines) <= LIMIT:
                self._pending += lines
            else:  # as many as there is room for
                for line in lines.splitlines(keepends=True):
                    self.put(line)
            self.flush()
            if self._pending and self._loop is not None:
                self._schedule(self._loop)

    def flush(self, timeout: float = 0.0) -> None:
        """Write what is pending; a blocked stream is waited for at most ``timeout`` seconds (at the stop)."""
        with self._lock:
            deadline = time.monotonic() + timeout
            while self._pending or self._dropped:
                if not self._writable(max(0.0, deadline - time.monotonic())):
                    return
                if not self._pending:
                    self._pending += self._notice(self._dropped)
                    self._told, self._dropped = self._dropped, 0
                try:
                    del self._pending[: self._write()]
                except BlockingIOError:
                    return
                except (OSError, ValueError):  # the reader left, the disk is full, the stream was closed
                    self._dropped += self._pending.count(b"\n") + max(0, self._told - 1)
                    self._told = 0
                    self._pending.clear()
                    return
                if not self._pending:
                    self._told = 0

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_later(GATHER, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._scheduled = False
            self.flush()
            if self._pending:
                self._schedule(loop)

    def _writable(self, timeout: float) -> bool:
        return self._poll is None or bool(self._poll.poll(timeout * 1000))

    def _write(self) -> int:
        if self._fd is None:
            self._stream.write(self._pending)
            return len(self._pending)
        if self._poll is None:
            return os.write(self._fd, self._pending)
        end = len(self._pending)
        if end > PIECE:
            end = self._pending.rfind(b"\n", 0, PIECE) + 1 or PIECE
        return os.write(self._fd, self._pending[:end])


def _descriptor(stream: BinaryIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a stream in memory
        return None
