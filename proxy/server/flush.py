"""Flow control for answers without a provider behind them: pages, errors, lists, the end of a collected answer.

Unsent bytes count against the budget. A client that reads none of them for ``clientStall`` is disconnected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.config.timeouts import PLAIN, Clocks
from proxy.errors import ClientGone
from proxy.net.clocks import Subject, Ticker, Watch

if TYPE_CHECKING:  # both stand on this module
    from proxy.net.budget import Budget
    from proxy.server.outlet import Outlet
    from proxy.server.request import Request

PIECE = 64 * 1024  # bytes of a larger body that are written at a time: as much as any connection may hold


class Flushing:
    """Waits for slow clients of the process. ``client_stall`` is in seconds; 0 means no limit."""

    __slots__ = ("_budget", "_loop", "_ticker", "client_stall")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
        budget: Budget,
        client_stall: float = PLAIN.client_stall,
    ) -> None:
        self._loop = loop
        self._ticker = ticker
        self._budget = budget
        self.client_stall = client_stall

    async def wait(self, request: Request) -> None:
        """Wait until the client of ``request`` reads again. Raises ClientGone if it left, or was disconnected."""
        await Flush(request, self._budget, self._loop).run(self._ticker, self.client_stall)

    def watch(self, subject: Subject, expired: Callable[[str, float], None]) -> Watch:
        """Start the clock ``clientStall`` for ``subject``, which just stopped writing."""
        return _stall_watch(self._ticker, self.client_stall, subject, expired)


async def send(request: Request, outlet: Outlet, status: int, header_lines: bytes, body: bytes) -> None:
    """Write a whole answer of any size, in pieces as the client takes them. Raises ClientGone.

    For bodies that many answers share: each answer holds so little that it need not be refused.
    """
    if len(body) <= PIECE or request.method == "HEAD":
        outlet.send(status, header_lines, body)
        return
    outlet.begin(status, header_lines, body[:PIECE], length=len(body))
    for start in range(PIECE, len(body), PIECE):
        await request.flush()
        outlet.write(body[start : start + PIECE])
    outlet.end()


def _stall_watch(ticker: Ticker, seconds: float, subject: Subject, expired: Callable[[str, float], None]) -> Watch:
    clocks = Clocks(connect=0.0, headers=0.0, first_content=0.0, idle=0.0, total=0.0, client_stall=seconds)
    watch = Watch(ticker, clocks, subject, expired)
    watch.pause()
    return watch


class Flush:
    """Waits, as the request's flow, until no more is unsent than any connection may hold."""

    __slots__ = ("_budget", "_done", "_request", "last_read", "stalled")

    def __init__(self, request: Request, budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self._request = request
        self._budget = budget
        self._done: asyncio.Future[None] = loop.create_future()
        self.last_read = 0.0
        self.stalled = False

    async def run(self, ticker: Ticker, client_stall: float) -> None:
        """Raises ClientGone, with ``stalled`` if the client was disconnected, or the reason of ``interrupt``."""
        request, held = self._request, self._request.unsent
        watch = _stall_watch(ticker, client_stall, self, self._expired)
        request.flow = self
        self._budget.used += held  # too late to refuse it, but it counts for others
        try:
            await self._done
        finally:
            self._budget.give(held)
            request.flow = None
            watch.stop()

    @property
    def unsent(self) -> int:
        return self._request.unsent

    def pause(self) -> None:
        """Nothing is being written."""

    def resume(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def client_gone(self) -> None:
        if not self._done.done():
            self._done.set_exception(ClientGone())

    def interrupt(self, reason: BaseException | None) -> None:
        """Cut the connection, so that the partial answer cannot look complete."""
        if not self._done.done():
            self._done.set_exception(reason or ClientGone())
            self._request.reply.abort()

    def _expired(self, clock: str, seconds: float) -> None:
        self.stalled = True
        self.interrupt(ClientGone())
