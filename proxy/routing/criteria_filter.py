"""Tiers without the deployments that do not satisfy a client's criteria.

Only fixed properties are compared here. The plan checks what changes: breakers, load, ``min_success_rate``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from proxy.caches import LruCache
from proxy.errors import ClientFault
from proxy.routing.deployment import Deployment
from proxy.routing.strategies import LowestLatency, Tier
from proxy.wire.criteria import NONE, Criteria

MOST_CACHED = 256


def _has_tags(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.model is not None and set(criteria.tags) <= set(deployment.model.tags)


def _is_type(deployment: Deployment, criteria: Criteria) -> bool:
    """``fast`` is both a type and a speed tier."""
    model = deployment.model
    return model is not None and (model.kind == criteria.type or criteria.type == "fast" == model.speed_tier)


def _is_large(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.context_size >= criteria.min_context_size


def _gives_json(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.model is not None and deployment.model.json_response


# By field. An unconfigured model satisfies none of them, since its properties are unknown.
FILTERS: dict[str, Callable[[Deployment, Criteria], bool]] = {
    "type": _is_type,
    "tags": _has_tags,
    "min_context_size": _is_large,
    "json_response": _gives_json,
}


class _CacheKey(Struct, frozen=True):
    tier: int  # its id
    criteria: Criteria


class CriteriaFilter:
    """Filters tiers by criteria, with a cache. ``prefer_fast`` replaces the tier's strategy by the lowest latency."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self._sizes = sorted({deployment.context_size for deployment in deployments})
        # The value holds the tier as well, so that its id cannot be reused.
        self._cached: LruCache[_CacheKey, tuple[Tier, Tier | None]] = LruCache(MOST_CACHED)

    def apply(self, tiers: Sequence[Tier], criteria: Criteria) -> tuple[Tier, ...]:
        """The filtered tiers, without empty ones."""
        criteria = self._canonical(criteria)
        if criteria == NONE:
            return tuple(tiers)
        return tuple(left for tier in tiers if (left := self._filtered(tier, criteria)) is not None)

    def _canonical(self, criteria: Criteria) -> Criteria:
        """Equivalent criteria with the next larger context size that a deployment has, to keep cache keys few."""
        sizes, size = self._sizes, criteria.min_context_size
        if size:
            place = bisect_left(sizes, size)
            size = sizes[place] if place < len(sizes) else (sizes[-1] + 1 if sizes else 1)
        return Criteria(criteria.tags, criteria.type, size, criteria.json_response, criteria.prefer_fast)

    def _filtered(self, tier: Tier, criteria: Criteria) -> Tier | None:
        key = _CacheKey(id(tier), criteria)
        found = self._cached.get(key)
        if found is None:
            found = tier, _narrowed(tier, criteria)
            if found[1] is not None:  # do not cache empty results
                self._cached.put(key, found)
        return found[1]


def _narrowed(tier: Tier, criteria: Criteria) -> Tier | None:
    kept = _satisfying(tier.deployments, criteria)
    if not kept:
        return None
    kind = LowestLatency if criteria.prefer_fast else type(tier)
    return tier if kind is type(tier) and len(kept) == len(tier.deployments) else kind(kept)


def _satisfying(deployments: Sequence[Deployment], criteria: Criteria) -> Sequence[Deployment]:
    for field, satisfies in FILTERS.items():
        if getattr(criteria, field):
            deployments = [deployment for deployment in deployments if satisfies(deployment, criteria)]
    return deployments


def nothing_left(tiers: Iterable[Tier], criteria: Criteria) -> ClientFault:
    """The 404 that names the first criterion that no remaining deployment satisfies."""
    left: Sequence[Deployment] = [deployment for tier in tiers for deployment in tier.deployments]
    for field, satisfies in FILTERS.items():
        if getattr(criteria, field):
            left = [deployment for deployment in left if satisfies(deployment, criteria)]
        if not left:
            break
    return no_match(field, getattr(criteria, field))


def no_match(field: str, value: object) -> ClientFault:
    """The 404 for a criterion that no deployment satisfies."""
    text = ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value).lower()
    return ClientFault(
        f"No model matches: none of the requested models satisfies {field!r} ({text}).",
        status=404,
        param=field,
        code="no_model_matches",
    )
