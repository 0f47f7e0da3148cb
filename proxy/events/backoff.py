"""When a webhook that failed is tried again."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_SECS: Final = 1.0
LONGEST_SECS: Final = 300.0
JITTER: Final = 0.2  # of the delay, so that replicas do not all come at once
LONGEST_REQUESTED: Final = 3600.0
_DOUBLINGS: Final = 16  # more would exceed the longest delay anyway


def delay(failures: int, requested: float | None, chance: Random) -> float:
    """Seconds until the next try after so many failures in a row, at least 1.

    ``requested``: by the receiver's Retry-After; a longer time than an hour is not waited for.
    """
    growing = min(FIRST_SECS * 2.0 ** min(failures - 1, _DOUBLINGS), LONGEST_SECS)
    growing *= 1 + chance.uniform(-JITTER, JITTER)
    return growing if requested is None else max(growing, min(requested, LONGEST_REQUESTED))
