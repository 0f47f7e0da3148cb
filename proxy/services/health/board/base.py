"""The face of all boards: ``redis.py``, ``database.py`` and ``consul.py`` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

PORTION: Final = 500  # results in one transfer: a millisecond or two
KEEP_SECS: Final = 4 * 86_400.0  # the longest interval of a check is a day, and its result counts for three


class SharedResult(Struct, frozen=True, array_like=True):
    """The health of an address. ``since``: of this state, in Unix seconds. ``why`` the last check failed; ``""``: it
    passed. ``age``: seconds since it was put on the board, by the clock of the board.
    """

    service: str
    url: str
    healthy: bool
    since: float
    why: str = ""
    age: float = 0.0


class HealthBoard(Protocol):
    """Results by address, the latest of each. Both methods raise what their technology raises."""

    async def publish(self, results: Sequence[SharedResult]) -> None:
        """Put up to ``PORTION`` results on the board, in place of earlier ones of the same addresses."""
        ...

    async def read(self) -> list[SharedResult]:
        """What is new since the last call, in order. Fewer than ``PORTION``: that is all. Some may come twice."""
        ...
