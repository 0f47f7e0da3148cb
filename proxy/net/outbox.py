"""Small writes of one turn of the loop go to the kernel together.

Whoever reads at the other end on the same machine (a client, a sidecar's neighbour, a model) goes to sleep between
writes that come 30 us apart, and to wake it costs as much as the write itself. In a row only the first has to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

MOST = 64  # writes that wait at the same time: about a millisecond of work
SMALL = 16 * 1024  # bytes; what is larger is worth a call of its own, and shows at once when the peer is slow


class Outbox:
    """Writes that wait for the end of the loop's turn, in their order. One serves all connections of a loop."""

    __slots__ = ("_call_soon", "_due", "_turn", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._due = False  # whether the end of the turn will flush
        self._turn = self._turned  # bound once
        self.waiting: list[tuple[Callable[[bytes], None], bytes]] = []

    def __repr__(self) -> str:
        return f"<Outbox {len(self.waiting)} waiting>"

    def post(self, write: Callable[[bytes], None], data: bytes) -> None:
        """``write(data)`` in a moment."""
        waiting = self.waiting
        waiting.append((write, data))
        if not self._due:
            self._due = True
            self._call_soon(self._turn)
        elif len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self.waiting = self.waiting, []
        for write, data in waiting:
            try:
                write(data)
            except RuntimeError:
                pass  # closed meanwhile, as its protocol is told

    def _turned(self) -> None:
        self._due = False
        self.flush()


class BatchedTransport(asyncio.Transport):
    """A transport whose small writes wait in an outbox; whatever else is done with it comes after them.

    ``small(data)`` is ``write`` for who knows that it is bytes, and not many.
    """

    __slots__ = ("_outbox", "_wire", "_write", "small")

    def __init__(self, wire: asyncio.Transport, outbox: Outbox) -> None:
        super().__init__()
        self._wire = wire
        self._write = wire.write
        self.small: Callable[[bytes], None] = partial(outbox.post, wire.write)
        self._outbox = outbox

    def __repr__(self) -> str:
        return f"<Gathering {self._wire!r}>"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) <= SMALL and type(data) is bytes:  # nobody changes bytes while they wait
            self._outbox.post(self._write, data)
        else:
            self._settled().write(data)

    def writelines(self, list_of_data: Any) -> None:
        self._settled().writelines(list_of_data)

    def write_eof(self) -> None:
        self._settled().write_eof()

    def can_write_eof(self) -> bool:
        return self._wire.can_write_eof()

    def close(self) -> None:
        self._settled().close()

    def abort(self) -> None:
        self._settled().abort()

    def is_closing(self) -> bool:
        return self._wire.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._settled().get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._wire.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._wire.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def is_reading(self) -> bool:
        return self._wire.is_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._wire.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._wire.get_protocol()

    def _settled(self) -> asyncio.Transport:
        """The transport below, once it has all that was written."""
        if self._outbox.waiting:
            self._outbox.flush()
        return self._wire
