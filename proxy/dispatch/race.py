"""Two attempts for one request: the first content commit wins, and cancels the other attempt.

To the client's connection a race is one flow. Its events go to every running attempt.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.exchange import Attempt
from proxy.server.request import Flow


class Lost(Exception):
    """Another attempt was faster. This one ends without a verdict."""


class Race:
    """The request's flow while attempts race. ``won(attempt)`` is called once, with the winner."""

    __slots__ = ("_running", "_won", "winner")

    def __init__(self, won: Callable[[Attempt], None]) -> None:
        self._won = won
        self._running: dict[Attempt, Flow] = {}
        self.winner: Attempt | None = None

    def __repr__(self) -> str:
        return f"<Race {len(self._running)} running, {'won' if self.winner else 'open'}>"

    def enter(self, attempt: Attempt, upstream_call: Flow) -> Race:
        """Add an attempt before it runs. Returns the request's new flow."""
        self._running[attempt] = upstream_call
        return self

    def leave(self, attempt: Attempt) -> bool:
        """Remove an attempt that has ended. Returns whether it was the last one running."""
        self._running.pop(attempt, None)
        return not self._running

    @property
    def running(self) -> bool:
        """Whether an attempt runs."""
        return bool(self._running)

    def check(self, attempt: Attempt) -> None:
        """Raise Lost if another attempt has won."""
        if self.winner is not None and self.winner is not attempt:
            raise Lost

    def win(self, attempt: Attempt) -> None:
        """Make ``attempt`` the winner, and cancel the other one. Raises Lost if the other one has won."""
        self.check(attempt)
        if self.winner is None:
            self.winner = attempt
            self._won(attempt)
        for other, upstream_call in list(self._running.items()):
            if other is not attempt:
                upstream_call.interrupt(Lost())

    # -- the flow ---------------------------------------------------------------------------------

    def pause(self) -> None:
        for upstream_call in list(self._running.values()):
            upstream_call.pause()

    def resume(self) -> None:
        for upstream_call in list(self._running.values()):
            upstream_call.resume()

    def client_gone(self) -> None:
        for upstream_call in list(self._running.values()):
            upstream_call.client_gone()

    def interrupt(self, reason: BaseException | None) -> None:
        for upstream_call in list(self._running.values()):
            upstream_call.interrupt(reason)
