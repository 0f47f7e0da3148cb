"""The bound of the outbox, and what happens beyond it."""

from __future__ import annotations

from typing import Literal

from proxy.ledger.recorder.base import Notices

OnFull = Literal["wait", "forget"]


class OutboxBound:
    """``full`` is set by what sends the outbox, and read by what writes into it.

    ``wait``: the recorder writes no rows while it is full; they wait in the spool. ``forget``: it writes rows without
    their events.
    """

    def __init__(self, on_full: OnFull = "wait") -> None:
        self.on_full = on_full
        self.full = False
        """Whether as many events wait as may wait."""
        self.forgotten = 0
        """Events that were not put into the outbox."""
        self._logged = False  # ``forgets``

    @property
    def holds(self) -> bool:
        return self.full and self.on_full == "wait"

    @property
    def forgets(self) -> bool:
        return self.full and self.on_full == "forget"

    def log_forgetting(self, log: Notices) -> None:
        """One log line a change of ``forgets``."""
        if self.forgets == self._logged:
            return
        self._logged = self.forgets
        if self._logged:
            log.warning("The outbox of events is full. New events are dropped (events.onFull).")
        else:
            log.info("The outbox of events has room again.", dropped=self.forgotten)
