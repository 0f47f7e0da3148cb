"""Buckets of one limit, which expire in two generations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from proxy.limits.bucket import FULL


class Generations:
    """``full_at`` by key, in a young and an old generation. A key that is used moves into the young one.

    The generations turn after twice the ``longest`` refill: the young one becomes old, and the old one is dropped
    as a whole. By then its buckets are full, even from the deepest debt, so nothing is lost and no scan is needed.

    A young generation of ``most`` keys turns early, which drops buckets that may not be full. There are never more
    than twice ``most`` keys.
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
        """Prepare for a refill of ``longest`` seconds. Call it if that, or ``now``, exceeds the present values."""
        self.longest = max(self.longest, longest)
        if now >= self.turns_at + 2.0 * self.longest:
            self.young = {}  # unused for the whole of the next generation as well
        if now >= self.turns_at:
            self._turn(now)

    def recall(self, key: str, now: float) -> float:
        """``full_at`` of a key that is not young; moves an old one there. ``FULL`` for an unknown key."""
        full_at = self._old.pop(key, None)
        if len(self.young) >= self._most:
            self._turn(now)
        if full_at is None:
            return FULL
        self.young[key] = full_at
        return full_at

    def peek(self, key: str) -> float:
        """``full_at`` of any key, without moving it."""
        full_at = self.young.get(key)
        return self._old.get(key, FULL) if full_at is None else full_at

    def items(self) -> Iterator[tuple[str, float]]:
        """Every key with its ``full_at``, newest first."""
        return chain(reversed(self.young.items()), reversed(self._old.items()))

    def _turn(self, now: float) -> None:
        self._old, self.young = self.young, {}
        self.turns_at = now + 2.0 * self.longest
