"""Whether the database, or the broker, takes rows: when to try again, and one log line a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.ledger.recorder.base import Notices

FIRST_PAUSE: Final = 0.1  # seconds; twice as long after each failure
LONGEST_PAUSE: Final = 5.0
GRACE: Final = 1.0  # seconds of failures that are not reported: a lock, a failover


class HealthWords(NamedTuple):
    """The log lines of a change."""

    down: str
    again: str


DATABASE: Final = HealthWords(
    "The ledger's database takes no rows. They wait in the spool.", "The ledger's database takes rows again."
)

BROKER: Final = HealthWords(
    "The broker takes no rows of the ledger. They wait in the spool.", "The broker takes rows of the ledger again."
)


class WriteHealth:
    """``now`` is monotonic."""

    def __init__(self, log: Notices, now: Callable[[], float], words: HealthWords = DATABASE) -> None:
        self.up = True
        """As it was reported."""
        self.error = ""
        """The last failure."""
        self.failures = 0
        """Since the recorder started."""
        self._log = log
        self._now = now
        self._words = words
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE
        self._try_at = 0.0

    @property
    def failing(self) -> bool:
        return self._failing_since is not None

    @property
    def failing_secs(self) -> float:
        return 0.0 if self._failing_since is None else self._now() - self._failing_since

    @property
    def can_try(self) -> bool:
        return self._failing_since is None or self._now() >= self._try_at

    @property
    def pause(self) -> float:
        """Seconds until the next try."""
        return 0.0 if self._failing_since is None else max(0.0, self._try_at - self._now())

    def failed(self, why: str) -> None:
        now = self._now()
        self.error = why
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = now
            self._pause = FIRST_PAUSE
        self._try_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self.up and now - self._failing_since >= GRACE:
            self.up = False
            self._log.warning(self._words.down, why=why)

    def answered(self) -> None:
        if not self.up:
            self.up = True
            self._log.info(self._words.again, seconds=round(self.failing_secs, 1))
        self._failing_since = None
