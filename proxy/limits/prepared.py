"""Wants with all found out that does not change from one take to the next, and the face of a store that takes them so.

The same client and the same deployment want the same again and again: what is found out once is not looked up by
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

NOTHING_WANTED: Granted = (-1.0, None)


class PreparedCosts(Struct, frozen=True, eq=False):
    """``wants``, and what one store made of them: it means nothing to another."""

    wants: tuple[Cost, ...]
    buckets: tuple[Bucket, ...] = ()
    slots: tuple[Cost, ...] = ()

    def with_more(self, other: PreparedCosts) -> PreparedCosts:
        """Both at once."""
        return PreparedCosts(self.wants + other.wants, self.buckets + other.buckets, self.slots + other.slots)


@runtime_checkable
class Prepared(Protocol):
    """A store by its quicker face. ``grant`` is ``Store.take``, but says less of what was granted at once."""

    def prepare(self, wants: Sequence[Cost]) -> PreparedCosts: ...
    def grant(self, demand: PreparedCosts, lease: int) -> Granted | Verdict | Awaitable[Verdict]: ...


class Unprepared:
    """The quicker face of a store that has none of its own: it is not bothered with nothing, and else just asked."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, wants: Sequence[Cost]) -> PreparedCosts:
        return PreparedCosts(tuple(wants))

    def grant(self, demand: PreparedCosts, lease: int) -> Granted | Verdict | Awaitable[Verdict]:
        return self._store.take(demand.wants, lease) if demand.wants else NOTHING_WANTED


def part_of(verdict: Verdict) -> float:
    """The part that is in use of the bucket that it tells of; beyond 1 where that is in debt."""
    limit = verdict.limit
    if limit is None:
        return -1.0
    return verdict.reset_after / limit.refill if limit.rate else 1.0 - verdict.remaining / limit.capacity
