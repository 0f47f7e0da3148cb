"""Whether a receiver takes events, and one log line a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.events.sending.base import EventLog

GRACE: Final = 1.0  # seconds of failures that are not reported: an event that is refused, a connection that broke


class ReceiverHealth:
    """``now`` is monotonic, ``wall`` Unix time. ``noun``: what the receiver is."""

    def __init__(
        self, name: str, noun: str, log: EventLog, now: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.up = True
        """As it was reported."""
        self.since = wall()
        """The last change of ``up``, in Unix seconds."""
        self.error = ""
        """The last failure."""
        self.failures = 0
        """In a row."""
        self._name = name
        self._noun = noun
        self._log = log
        self._now = now
        self._wall = wall
        self._failing_since: float | None = None

    @property
    def failing(self) -> bool:
        return self._failing_since is not None

    @property
    def failing_secs(self) -> float:
        return 0.0 if self._failing_since is None else self._now() - self._failing_since

    def failed(self, why: str) -> None:
        now = self._now()
        self.error = why
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = now
        if self.up and now - self._failing_since >= GRACE:
            self._change(False)
            text = f"A {self._noun} takes no events. They wait in the outbox."
            self._log.warning(text, receiver=self._name, why=why)

    def answered(self) -> None:
        if not self.up:
            self._change(True)
            text = f"A {self._noun} takes events again."
            self._log.info(text, receiver=self._name, seconds=round(self.failing_secs, 1))
        self._failing_since = None
        self.failures = 0

    def gone(self) -> None:
        """It wants no more events."""
        self.error = "it answered 410 Gone"
        self._failing_since = self._now()
        self._change(False)
        text = f"A {self._noun} answered 410 Gone. It gets no events until its address changes or the gateway restarts."
        self._log.warning(text, receiver=self._name)

    def _change(self, up: bool) -> None:
        self.up = up
        self.since = self._wall()
