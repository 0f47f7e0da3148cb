"""Tiers without the deployments that do not fulfill a condition."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from proxy.caches import LruCache
from proxy.routing.deployment import Deployment
from proxy.routing.strategies import Tier

MOST_CACHED = 1000

K = TypeVar("K", bound=Hashable)


class TierFilter(Generic[K]):
    """Filters tiers by ``condition(deployment, key)``. Results are cached, so that plans share them and their turns."""

    __slots__ = ("_cached", "_condition")

    def __init__(self, condition: Callable[[Deployment, K], bool]) -> None:
        self._condition = condition
        # The value holds the tier as well, so that its id cannot be reused.
        self._cached: LruCache[tuple[int, K], tuple[Tier, Tier | None]] = LruCache(MOST_CACHED)

    def apply(self, tiers: Iterable[Tier], key: K) -> tuple[Tier, ...]:
        """The filtered tiers, without empty ones."""
        return tuple(left for tier in tiers if (left := self._filtered(tier, key)) is not None)

    def _filtered(self, tier: Tier, key: K) -> Tier | None:
        found = self._cached.get((id(tier), key))
        if found is None:
            found = tier, tier.narrowed(lambda deployment: self._condition(deployment, key))
            self._cached.put((id(tier), key), found)
        return found[1]
