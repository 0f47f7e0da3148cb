"""The log lines of a recorder, on their way into the gateway's log."""

from __future__ import annotations

import asyncio
import os
from typing import IO, Final

import msgspec

from proxy.observe.log import RANKS, Level, Log

MOST_LINE: Final = 64 << 10  # bytes


class RecorderOutput:
    """Reads ``pipe``, the standard error of a recorder, until its end or ``close``, which closes it."""

    def __init__(self, pipe: IO[bytes], log: Log) -> None:
        self.ended = asyncio.Event()
        self._pipe = pipe
        self._log = log
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def close(self) -> None:
        if self._pipe.closed:
            return
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()
        if self._rest:
            self._take(self._rest)
        self.ended.set()

    def feed(self, data: bytes) -> None:
        """Log the lines that end in ``data``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > MOST_LINE:
            self._take(self._rest)
            self._rest = b""

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), MOST_LINE)
        except BlockingIOError:
            return
        if data:
            self.feed(data)
        else:
            self.close()

    def _take(self, line: bytes) -> None:
        """Anything but a line of ours is of Python itself, as a traceback is."""
        try:
            fields = msgspec.json.decode(line, type=dict[str, object])
            level, message = fields.pop("level"), str(fields.pop("message"))
        except (msgspec.DecodeError, KeyError):
            level, message, fields = "warning", line.decode("utf-8", "replace"), {}
        known: Level = level if level in RANKS else "warning"
        self._log.write(known, message, {**fields, "from": "recorder"})
