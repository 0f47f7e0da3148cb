"""Which requests may be sent again, and how many at the same time."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.services.live_service import LiveService

SAFE_TO_REPEAT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))  # RFC 9110 9.2.2
ALWAYS: Final = 10  # retries that may run at the same time, however few requests run
FIRST_PAUSE: Final = 0.025  # seconds before the same address gets the request again; doubled each time
LONGEST_PAUSE: Final = 0.25


class RetryBudget:
    """Counts running retries by service, so that they cannot double the load of one that fails."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<RetryBudget {dict(self._running)}>"

    def take(self, service: LiveService, percent: float) -> bool:
        """Whether one more retry may run. If so, ``give`` it back at the end of its request."""
        running, name = self._running, service.name
        if running[name] >= ALWAYS:
            # 1 is for this request: its failed attempt is no longer in flight.
            load = 1 + sum(address.in_flight for address in service.group.addresses)
            if running[name] + 1 > load * percent / 100.0:
                return False
        running[name] += 1
        return True

    def give(self, name: str) -> None:
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]


def pause_before(attempt: int, chance: Random) -> float:
    """Seconds before an address that failed is used again, with a jitter of half. ``attempt``: 1 for the first."""
    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + chance.random() / 2.0)
