"""The end of an answer: it is delivered when the client has taken it, not when we have written it."""

from __future__ import annotations

import asyncio

from proxy.config.timeouts import Clocks
from proxy.errors import ClientGone
from proxy.transport.body import Budget
from proxy.transport.clocks import Ticker, Watch
from proxy.transport.server import Request


class Flush:
    """Waits, as the request's flow, until what is unsent is no more than any connection may hold."""

    __slots__ = ("_budget", "_done", "_request", "last_read", "stalled")

    def __init__(self, request: Request, budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self._request = request
        self._budget = budget
        self._done: asyncio.Future[None] = loop.create_future()
        self.last_read = 0.0
        self.stalled = False

    async def run(self, ticker: Ticker, client_stall: float) -> None:
        """Raises ClientGone (``stalled`` if we left the client), or whatever ``interrupt`` brought."""
        request, held = self._request, self._request.unsent
        clocks = Clocks(connect=0.0, headers=0.0, first_content=0.0, idle=0.0, total=0.0, client_stall=client_stall)
        watch = Watch(ticker, clocks, self, self._expired)
        watch.pause()
        request.flow = self
        self._budget.used += held  # too late to refuse it, but others must see it
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
        """Nothing is written any more."""

    def resume(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def client_gone(self) -> None:
        if not self._done.done():
            self._done.set_exception(ClientGone())

    def interrupt(self, reason: BaseException | None) -> None:
        """Cut the connection: an answer that is not all there must not look whole."""
        if not self._done.done():
            self._done.set_exception(reason or ClientGone())
            self._request.reply.abort()

    def _expired(self, clock: str, seconds: float) -> None:
        self.stalled = True
        self.interrupt(ClientGone())
