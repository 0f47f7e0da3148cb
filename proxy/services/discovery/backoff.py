"""When a source of addresses that failed is looked at again."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_SECS: Final = 0.5
LONGEST_SECS: Final = 30.0
_DOUBLINGS: Final = 10  # more would exceed the longest delay anyway


def delay(failures: int, chance: Random) -> float:
    """Seconds until the next try after so many failures in a row, at least 1.

    Half of it is random, so that neither 1,000 services nor the replicas of a fleet come back at once.
    """
    growing = min(FIRST_SECS * 2.0 ** min(failures - 1, _DOUBLINGS), LONGEST_SECS)
    return growing * chance.uniform(0.5, 1.0)
