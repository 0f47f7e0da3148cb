"""Log lines of the recorder, as ``proxy.observe.log`` writes them: the gateway takes them into its own log."""

from __future__ import annotations

import os
import time
from typing import Literal

import msgspec

Level = Literal["info", "warning", "error"]


class LineWriter:
    """Writes to a descriptor without waiting: what it does not take is lost. ``readable``: text instead of JSON."""

    def __init__(self, descriptor: int, *, readable: bool) -> None:
        self._descriptor = descriptor
        self._readable = readable

    def info(self, message: str, **fields: object) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write("error", message, fields)

    def _write(self, level: Level, message: str, fields: dict[str, object]) -> None:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
        if self._readable:
            line = "  ".join((f"{stamp} {level:<7} {message}", *(f"{name}={value}" for name, value in fields.items())))
            data = f"{line}\n".encode("utf-8", "backslashreplace")
        else:
            data = msgspec.json.encode({"time": stamp, "level": level, "event": "log", "message": message, **fields})
            data += b"\n"
        try:
            os.write(self._descriptor, data)
        except OSError:
            pass  # the gateway that read them is gone, or does not read
