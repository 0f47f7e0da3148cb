"""The store of rate limit buckets: its interface, limits, costs and verdicts.

A bucket is identified by its limit's ``name`` and a key: a client, a model, a provider. Amounts are requests, tokens
or slots. Times and durations are seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import force_setattr

from proxy.budgets.base import Charge, Shortfall, Wants

Level = Literal["global", "client", "address", "model", "provider", "route"]
Unit = Literal["requestsPerMinute", "requestsPerHour", "tokensPerMinute", "concurrent"]

MINUTE, HOUR = 60.0, 3600.0


class Limit(Struct, frozen=True, eq=False):
    """One limit, for every key on its level. ``name`` is ``level:unit``.

    A bucket of requests or tokens holds ``capacity`` (the burst) and gains ``rate`` per second. ``concurrent`` has
    ``capacity`` slots and a ``rate`` of 0. ``refill``: seconds until an empty bucket is full, 0 for slots.
    ``quota``: the configured number per minute or hour, or of slots.
    """

    level: Level
    unit: Unit
    name: str
    capacity: float
    rate: float
    refill: float = 0.0  # computed
    quota: int = 0  # computed

    def __post_init__(self) -> None:
        force_setattr(self, "refill", self.capacity / self.rate if self.rate else 0.0)
        period = HOUR if self.unit == "requestsPerHour" else MINUTE
        force_setattr(self, "quota", round(self.rate * period) if self.rate else int(self.capacity))


class Cost(Struct, frozen=True, gc=False):
    """An amount to take from the bucket of ``key``: 1 request, 1 slot, or an estimate of tokens."""

    limit: Limit
    key: str
    amount: float = 1.0


class Verdict(Struct, frozen=True, gc=False):
    """Result of a take: all costs were taken, or none.

    ``limit``: of the bucket that refused, else of the tightest one (the smallest share of its capacity left); ``None``
    if there were no costs. ``remaining`` and ``reset_after`` (seconds until full) describe that bucket.
    ``retry_after``: seconds until the refused amount is available; 0 if admitted, 1 for a slot, as its end is unknown.
    ``budget``: that refused; then ``limit`` is ``None``.
    """

    admitted: bool
    limit: Limit | None
    remaining: float
    reset_after: float
    retry_after: float
    budget: Shortfall | None = None


class Store(Protocol):
    """Holds buckets. ``lease`` identifies the holder of slots, which are released under the same number."""

    def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict | Awaitable[Verdict]:
        """Take all costs, and hold all wants, or none. Returns an awaitable only if the store has to wait.

        The costs must name different buckets. No amount may exceed its capacity.
        """

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        """Correct what was taken, release slots, and bill what was held.

        Synchronous, and never raises: remote work is queued.

        A positive correction takes more than was reserved, and may leave the bucket in debt by at most its capacity.
        A negative one returns what was not used, up to a full bucket. Slots that the lease does not hold are ignored.
        """

    async def close(self) -> None:
        """Send what is queued, within 2 seconds. Nothing may be called afterwards."""
