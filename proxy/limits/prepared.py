"""Costs with all found out that does not change from one take to the next, and the face of a store that takes them so.

The same client and the same deployment cost the same again and again: what is found out once is not looked up by
every request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from proxy.limits.base import Cost, Limit, Store, Verdict
from proxy.limits.generations import Generations

# Where the bucket is found, whose it is, how many seconds of refilling it costs, and how many an empty one takes.
Bucket: TypeAlias = tuple[Generations, str, float, float, Limit]

# Of what was granted at once: the part that is in use of the tightest bucket, and its limit. From it alone follows
# what a client is told, so that no verdict is made for a take that goes well.
Granted: TypeAlias = tuple[float, Limit | None]

NO_COSTS: Granted = (-1.0, None)


class PreparedCosts(Struct, frozen=True, eq=False):
    """``costs``, and what one store made of them: it means nothing to another."""

    costs: tuple[Cost, ...]
    buckets: tuple[Bucket, ...] = ()
    slots: tuple[Cost, ...] = ()

    def with_more(self, other: PreparedCosts) -> PreparedCosts:
        """Both at once."""
        return PreparedCosts(self.costs + other.costs, self.buckets + other.buckets, self.slots + other.slots)


@runtime_checkable
class PreparedStore(Protocol):
    """A store by its quicker face. ``grant`` is ``Store.take``, but says less of what was granted at once."""

    def prepare(self, costs: Sequence[Cost]) -> PreparedCosts: ...
    def grant(self, prepared: PreparedCosts, lease: int) -> Granted | Verdict | Awaitable[Verdict]: ...


class UnpreparedStore:
    """The quicker face of a store that has none of its own: it is not bothered with nothing, and else just asked."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, costs: Sequence[Cost]) -> PreparedCosts:
        return PreparedCosts(tuple(costs))

    def grant(self, prepared: PreparedCosts, lease: int) -> Granted | Verdict | Awaitable[Verdict]:
        return self._store.take(prepared.costs, lease) if prepared.costs else NO_COSTS


def part_of(verdict: Verdict) -> float:
    """The part that is in use of the bucket that it tells of; beyond 1 where that is in debt."""
    limit = verdict.limit
    if limit is None:
        return -1.0
    return verdict.reset_after / limit.refill if limit.rate else 1.0 - verdict.remaining / limit.capacity
