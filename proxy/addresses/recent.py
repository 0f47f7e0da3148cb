"""How an address did lately, from the counts of all time that the relay keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.addresses.live import LiveAddress

HALF_LIFE: Final = 10.0  # seconds after which an outcome counts half
FAILURE_SECS: Final = 5.0  # a failed request is as bad as one that takes so long
LEAST_SECS: Final = 0.001  # below it, latencies make no difference


class Recent:
    """Sums of requests and failures in which each counts half after ``HALF_LIFE``."""

    __slots__ = ("_at", "_failed", "_failures", "_number", "_requests")

    def __init__(self) -> None:
        self._at = 0.0
        self._requests = self._failures = 0  # of all time, at ``_at``
        self._number = self._failed = 0.0

    def seconds(self, address: LiveAddress, now: float) -> float:
        """What a request there costs: its latency, and the share of failures times ``FAILURE_SECS``.

        One imagined request that succeeded at once counts too. So an address that had no requests for a while counts
        as one of the best, and gets some.
        """
        kept = 0.5 ** ((now - self._at) / HALF_LIFE) if now > self._at else 1.0
        self._number = number = self._number * kept + (address.requests - self._requests)
        self._failed = failed = self._failed * kept + (address.failures - self._failures)
        self._at, self._requests, self._failures = now, address.requests, address.failures
        return LEAST_SECS + (address.latency * number + FAILURE_SECS * failed) / (number + 1.0)
