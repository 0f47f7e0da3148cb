"""Two attempts for one request: the first that commits wins, the other is closed.

To the client's connection the race is one flow; what is told to it is passed on to whoever still runs.
"""

from __future__ import annotations

from proxy.exchange import Trial
from proxy.transport.server import Flow


class Lost(Exception):
    """Another attempt was faster. The attempt that hears it ends without a verdict."""


class Race:
    """The request's flow while it lasts. An attempt enters before it runs, and leaves when it ended."""

    __slots__ = ("_running", "winner")

    def __init__(self) -> None:
        self._running: dict[Trial, Flow] = {}
        self.winner: Trial | None = None

    def __repr__(self) -> str:
        return f"<Race {len(self._running)} running, {'won' if self.winner else 'open'}>"

    def entered_by(self, trial: Trial, attempt: Flow) -> Race:
        """Itself, for it is the request's flow from now on."""
        self._running[trial] = attempt
        return self

    def left_by(self, trial: Trial) -> bool:
        """Whether nobody runs any more."""
        self._running.pop(trial, None)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether anybody does."""
        return bool(self._running)

    def goes_on_for(self, trial: Trial) -> None:
        """Raises Lost where the other was faster."""
        if self.winner is not None and self.winner is not trial:
            raise Lost

    def won_by(self, trial: Trial) -> None:
        """It has the answer: nothing of the other may reach the client. Raises Lost where the other was faster."""
        self.goes_on_for(trial)
        self.winner = trial
        for other, attempt in list(self._running.items()):
            if other is not trial:
                attempt.interrupt(Lost())

    # -- the flow ---------------------------------------------------------------------------------

    def pause(self) -> None:
        for attempt in list(self._running.values()):
            attempt.pause()

    def resume(self) -> None:
        for attempt in list(self._running.values()):
            attempt.resume()

    def client_gone(self) -> None:
        for attempt in list(self._running.values()):
            attempt.client_gone()

    def interrupt(self, reason: BaseException | None) -> None:
        for attempt in list(self._running.values()):
            attempt.interrupt(reason)
