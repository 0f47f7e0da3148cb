"""Precomputed costs, and the store protocol that accepts them.

A client or a deployment has the same costs for each request, so their buckets are looked up once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from proxy.budgets.base import Wants
from proxy.limits.base import Cost, Limit, Store, Verdict
from proxy.limits.generations import Generations

# Generations of the limit, key, cost in seconds of refill, seconds to refill an empty bucket, limit.
Bucket: TypeAlias = tuple[Generations, str, float, float, Limit]

# Used part of the tightest bucket, and its limit. It replaces a ``Verdict`` for takes that are granted at once.
Granted: TypeAlias = tuple[float, Limit | None]

NO_COSTS: Granted = (-1.0, None)


class PreparedCosts(Struct, frozen=True, eq=False):
    """``costs`` with their buckets and slots, prepared by one store and valid only there."""

    costs: tuple[Cost, ...]
    buckets: tuple[Bucket, ...] = ()
    slots: tuple[Cost, ...] = ()

    def with_more(self, other: PreparedCosts) -> PreparedCosts:
        """The costs of both."""
        return PreparedCosts(self.costs + other.costs, self.buckets + other.buckets, self.slots + other.slots)


NO_PREPARED: Final = PreparedCosts(())


@runtime_checkable
class PreparedStore(Protocol):
    """A store with a faster ``take``, for prepared costs: ``grant`` returns less if it grants at once."""

    def prepare(self, costs: Sequence[Cost]) -> PreparedCosts: ...
    def grant(
        self, prepared: PreparedCosts, lease: int, wants: Wants = ()
    ) -> Granted | Verdict | Awaitable[Verdict]: ...


class UnpreparedStore:
    """Adapter from ``Store`` to ``PreparedStore``. A take without costs does not reach the store."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, costs: Sequence[Cost]) -> PreparedCosts:
        return PreparedCosts(tuple(costs), slots=tuple(cost for cost in costs if not cost.limit.rate))

    def grant(self, prepared: PreparedCosts, lease: int, wants: Wants = ()) -> Granted | Verdict | Awaitable[Verdict]:
        return self._store.take(prepared.costs, lease, wants) if prepared.costs or wants else NO_COSTS


def part_of(verdict: Verdict) -> float:
    """The used part of the verdict's bucket; above 1 if in debt, -1 without a bucket."""
    limit = verdict.limit
    if limit is None:
        return -1.0
    return verdict.reset_after / limit.refill if limit.rate else 1.0 - verdict.remaining / limit.capacity
