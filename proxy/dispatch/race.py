"""Two attempts for one request: the first that commits wins, the other is closed.

To the client's connection the race is one flow; what is told to it is passed on to whoever still runs.
"""

from __future__ import annotations

from proxy.exchange import Attempt
from proxy.server.connection import Flow


class Lost(Exception):
    """Another attempt was faster. The attempt that hears it ends without a verdict."""


class Race:
    """The request's flow while it lasts. An attempt enters before it runs, and leaves when it ended."""

    __slots__ = ("_running", "winner")

    def __init__(self) -> None:
        self._running: dict[Attempt, Flow] = {}
        self.winner: Attempt | None = None

    def __repr__(self) -> str:
        return f"<Race {len(self._running)} running, {'won' if self.winner else 'open'}>"

    def entered_by(self, attempt: Attempt, upstream_call: Flow) -> Race:
        """Itself, for it is the request's flow from now on."""
        self._running[attempt] = upstream_call
        return self

    def left_by(self, attempt: Attempt) -> bool:
        """Whether nobody runs any more."""
        self._running.pop(attempt, None)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether anybody does."""
        return bool(self._running)

    def goes_on_for(self, attempt: Attempt) -> None:
        """Raises Lost where the other was faster."""
        if self.winner is not None and self.winner is not attempt:
            raise Lost

    def won_by(self, attempt: Attempt) -> None:
        """It has the answer: nothing of the other may reach the client. Raises Lost where the other was faster."""
        self.goes_on_for(attempt)
        self.winner = attempt
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
