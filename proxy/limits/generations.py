"""The buckets of one limit's name, which forget themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from proxy.limits.bucket import FULL


class Generations:
    """``full_at`` of every key, in a young and an old generation; what is asked for is moved into the young one.

    The generations turn when twice the ``longest`` refill that anybody asked for has passed. A bucket is full
    again after that time even from the deepest debt, so one that nobody asked for during a whole generation says
    nothing any more, and falls away with its generation: at once, and without anyone looking through the keys.

    Into a young generation of ``most`` keys no further one comes: they turn early, and those that have not been
    asked for since the last turn are forgotten as they are. There are never more than twice ``most`` keys.
    """

    __slots__ = ("_most", "_old", "longest", "turns_at", "young")

    def __init__(self, most: int, longest: float, now: float) -> None:
        self._most = most
        self._old: dict[str, float] = {}
        self.young: dict[str, float] = {}
        self.longest = longest
        self.turns_at = now + 2.0 * longest

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def __repr__(self) -> str:
        return f"<Generations {len(self.young)} young, {len(self._old)} old keys, until {self.turns_at:.3f}>"

    def prepare(self, longest: float, now: float) -> None:
        """Be ready for a bucket that takes ``longest`` to refill. To be called where that, or the moment, is beyond."""
        self.longest = max(self.longest, longest)
        if now >= self.turns_at + 2.0 * self.longest:
            self.young = {}  # nobody came for the whole of the next generation either
        if now >= self.turns_at:
            self._turn(now)

    def recall(self, key: str, now: float) -> float:
        """The ``full_at`` of a key that is not young: moved there if it was old, ``FULL`` if it is unknown."""
        full_at = self._old.pop(key, None)
        if len(self.young) >= self._most:
            self._turn(now)
        if full_at is None:
            return FULL
        self.young[key] = full_at
        return full_at

    def peek(self, key: str) -> float:
        """The ``full_at`` of any key, and nothing is moved."""
        full_at = self.young.get(key)
        return self._old.get(key, FULL) if full_at is None else full_at

    def items(self) -> Iterator[tuple[str, float]]:
        """Every key with its ``full_at``, the last that came first."""
        return chain(reversed(self.young.items()), reversed(self._old.items()))

    def _turn(self, now: float) -> None:
        self._old, self.young = self.young, {}
        self.turns_at = now + 2.0 * self.longest
