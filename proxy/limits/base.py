"""What a store of buckets is asked, and what it answers.

A bucket is found by its limit's ``name`` and a key (whose bucket it is). Amounts are requests, tokens or slots,
moments and durations seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import force_setattr

Level = Literal["global", "client", "address", "model", "provider"]
Unit = Literal["requestsPerMinute", "requestsPerHour", "tokensPerMinute", "concurrent"]

MINUTE, HOUR = 60.0, 3600.0


class Limit(Struct, frozen=True, eq=False):
    """One bound, for every key on its level. ``name`` is ``level:unit``.

    A bucket of requests or tokens holds ``capacity`` and gains ``rate`` a second; of ``concurrent`` there are
    ``capacity`` slots, and ``rate`` is 0. ``refill`` is how long an empty bucket takes to be full, 0 for slots.
    ``quota`` is the configured number: so many each minute or hour, or so many slots. The burst is in ``capacity``.
    """

    level: Level
    unit: Unit
    name: str
    capacity: float
    rate: float
    refill: float = 0.0  # follows from the others
    quota: int = 0  # follows from the others

    def __post_init__(self) -> None:
        force_setattr(self, "refill", self.capacity / self.rate if self.rate else 0.0)
        period = HOUR if self.unit == "requestsPerHour" else MINUTE
        force_setattr(self, "quota", round(self.rate * period) if self.rate else int(self.capacity))


class Cost(Struct, frozen=True, gc=False):
    """``amount`` out of the bucket of ``key``: requests 1, tokens an estimate, a slot 1."""

    limit: Limit
    key: str
    amount: float = 1.0


class Verdict(Struct, frozen=True, gc=False):
    """All was taken, or nothing.

    ``limit`` is the tightest of the buckets that were asked for (the smallest part of its capacity left), or the one
    that refused; ``remaining`` is what is left in it, ``reset_after`` how long until it is full again and
    ``retry_after`` how long until the refused amount is there (0 where it was granted, 1 for a slot, since nobody
    knows when one gets free). With nothing asked for ``limit`` is ``None``.
    """

    admitted: bool
    limit: Limit | None
    remaining: float
    reset_after: float
    retry_after: float


class Store(Protocol):
    """Holds buckets. ``lease`` names the holder of slots: whoever takes them gives them back under the same number."""

    def take(self, costs: Sequence[Cost], lease: int) -> Verdict | Awaitable[Verdict]:
        """All of ``costs`` at once, or none of them. A store that needs not wait answers at once.

        No two costs name the same bucket. No amount is larger than its capacity.
        """

    def settle(self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int) -> None:
        """Synchronously, and never with an error: whatever this needs to wait for is queued.

        A correction takes ``amount`` without asking (more was used than was taken; the bucket may be in debt, by its
        capacity at most), or with a negative one gives back (never beyond full). ``slots`` are given back; a slot
        that the lease does not hold is none.
        """

    async def close(self) -> None:
        """Nothing is asked afterwards. What is queued is sent, within 2 seconds."""
