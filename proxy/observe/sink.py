"""Writing log lines to standard error or a file, which may be slow, blocked or full, without delaying requests."""

from __future__ import annotations

import asyncio
import os
import select
import stat
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from proxy.observe.logfile import LogFile

# About 2,000 lines, two seconds of a busy gateway with a blocked output.
LIMIT = 1 << 20
# A writable pipe or terminal accepts this much without blocking, and atomically even if several processes share it
# (POSIX, write(2)).
PIECE = select.PIPE_BUF
NEWLINE = 10
# Seconds that lines are batched: on some machines one write costs as much as formatting the line.
GATHER = 0.02


class LogSink:
    """Batches lines and writes them every ``GATHER`` seconds; at once if no loop is attached.

    Never waits and never raises. Lines beyond ``LIMIT`` while the stream is blocked, and lines that cannot be written,
    are counted. ``notice(count)`` is written as soon as the stream accepts bytes again. The first error of a series is
    passed to ``LogFile.failed``.
    """

    def __init__(self, stream: BinaryIO, notice: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._notice = notice
        self._pending = bytearray()
        self._dropped = 0
        self._noticed = 0  # lost lines that a queued notice reports
        self._cut = False  # a write to a file ended within a line, whose rest is queued first
        self._failing = False  # since the last write that was complete
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        # Warnings of the standard library come from any thread, and from finalizers during put().
        self._lock = threading.RLock()
        self._fd = _descriptor(stream)
        self._poll: select.poll | None = None
        if self._fd is not None and not stat.S_ISREG(os.fstat(self._fd).st_mode):
            # Not O_NONBLOCK, since that flag would also apply to the parent process, which shares the open file.
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Batch on this loop, which runs in the calling thread; ``None``: stop batching."""
        # Kept, because asyncio.get_running_loop() calls getpid() each time.
        self._loop = loop
        self._thread = threading.get_ident()

    def put(self, line: bytes) -> None:
        """Queue one line, including its newline."""
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
        """Write a batch of lines at once, with what is queued. Call it in the loop's thread."""
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
        """Write what is queued; waits at most ``timeout`` seconds for a blocked stream, for the shutdown."""
        with self._lock:
            deadline = time.monotonic() + timeout
            while self._pending or self._dropped:
                if not self._writable(max(0.0, deadline - time.monotonic())):
                    return
                if not self._pending:
                    self._pending += self._notice(self._dropped)
                    self._noticed, self._dropped = self._dropped, 0
                try:
                    written = self._write()
                except BlockingIOError:
                    return
                except (OSError, ValueError) as error:  # the reader is gone, the disk is full, or the stream is closed
                    self._lose(error)
                    return
                if written == len(self._pending):
                    self._pending.clear()
                    self._noticed = 0
                    self._cut = self._failing = False
                else:
                    self._cut = self._poll is None and self._pending[written - 1] != NEWLINE
                    del self._pending[:written]

    def reopen(self) -> None:
        """Continue in a new file after a rotation, if the stream is a ``LogFile``. Queued lines go to the old file."""
        if isinstance(self._stream, LogFile):
            with self._lock:
                self.flush()
                if self._stream.reopen() and self._cut:  # the rest of a line is of no use in another file
                    del self._pending[: self._pending.index(NEWLINE) + 1]
                    self._dropped += 1
                    self._cut = False

    def _lose(self, error: Exception) -> None:
        """Drop and count what is queued, except the rest of a line of which a part is in the file."""
        kept = self._pending.index(NEWLINE) + 1 if self._cut else 0
        self._dropped += self._pending.count(NEWLINE, kept)
        if not kept:
            self._dropped += max(0, self._noticed - 1)
            self._noticed = 0
        del self._pending[kept:]
        if not self._failing and isinstance(self._stream, LogFile):
            self._stream.failed(error)
        self._failing = True

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
