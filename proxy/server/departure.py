"""Clients that leave while their socket is not read: only the kernel knows."""

from __future__ import annotations

import asyncio
import select

INTERVAL = 2.0  # s between two looks at a paused socket


class DepartureWatch:
    """Aborts the transport of a client that closed its connection while reading is paused."""

    __slots__ = ("_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Reading is paused."""
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._look, transport)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, transport: asyncio.Transport) -> None:
        self._timer = None
        if has_left(transport):
            transport.abort()
        else:
            self.start(transport)


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the peer has closed its side, though not all that it sent was read."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    # POLLRDHUP exists on Linux only. Elsewhere only a reset is seen while reading is paused.
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))
