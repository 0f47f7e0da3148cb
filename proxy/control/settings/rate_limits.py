"""The route of the limits: what they allow, and who has used how much of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from proxy.config.schema import Config, RateLimiting
from proxy.control.http.replies import send
from proxy.limits.base import Level, Limit, Store, Unit
from proxy.limits.failover import Failover, StoreDown
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.reservation import remaining
from proxy.limits.rules import Bounds, Rules
from proxy.server.connection import Request

MOST = 200  # buckets of one limit
SURVEY_SECS = 2.0


class StoreView(Struct, rename="camel"):
    """``since`` in Unix seconds."""

    status: Literal["up", "down"]
    since: float
    latency_ms: float | None


class LimitView(Struct, rename="camel"):
    """``limit`` is the configured number. ``capacity`` at once, and ``perSecond`` more; slots (``concurrent``) gain
    none, they are given back."""

    level: Level
    unit: Unit
    limit: int
    capacity: float
    per_second: float


class BucketView(Struct, rename="camel"):
    """``limit`` and ``remaining`` are what clients read in ``X-RateLimit-Limit`` and ``X-RateLimit-Remaining``.
    ``used`` of ``capacity``, up to twice as much in debt; full again after ``resetAfter`` seconds, ``null`` for slots.
    A client with limits of its own that has asked nothing for long is shown as if it had those of the configuration."""

    level: Level
    unit: Unit
    key: str
    limit: int
    remaining: int
    used: float
    capacity: float
    reset_after: float | None


class LimitsView(Struct, rename="camel"):
    """``enabled``: the levels of the configuration hold. ``credentialLimits``: the own limits of a key or token hold,
    which is so wherever authentication is on. ``storeState`` is that of a store that is reached over a network. Of each
    limit the fullest buckets are told."""

    enabled: bool
    credential_limits: bool
    store: Literal["memory", "redis"]
    store_state: StoreView | None
    on_store_failure: Literal["local", "open", "closed"]
    limits: list[LimitView]
    buckets: list[BucketView]


class RateLimits:
    def __init__(self, config: Callable[[], Config], limiter: Limiter) -> None:
        self._config = config
        self._limiter = limiter

    async def show(self, request: Request) -> None:
        """GET /admin/rate-limits."""
        limits = _limits(self._limiter.rules)
        buckets = await self._buckets(limits)
        send(request, 200, self._view(self._config().rate_limiting, limits, buckets))

    def _view(self, settings: RateLimiting, limits: Sequence[Limit], buckets: list[BucketView]) -> LimitsView:
        return LimitsView(
            enabled=settings.enabled,
            credential_limits=self._limiter.rules.credentials,
            store="redis" if isinstance(self._limiter.store, Failover) else "memory",
            store_state=_state(self._limiter.store),
            on_store_failure=settings.on_store_failure,
            limits=[LimitView(each.level, each.unit, each.quota, each.capacity, each.rate) for each in limits],
            buckets=buckets,
        )

    async def _buckets(self, limits: Sequence[Limit]) -> list[BucketView]:
        own = self._limiter.own_limits()
        # A store finds buckets by the name of a limit and tells how much of that very limit is used.
        named = {limit.name: limit for limit in (*own.values(), *limits)}
        found = await self._found(list(named.values()))
        return [
            _bucket(limit, key, part * _size(asked) / _size(limit))
            for asked, keys in zip(named.values(), found, strict=True)
            for key, part in keys
            if (limit := own.get((asked.name, key), asked if asked in limits else None)) is not None
        ]

    async def _found(self, limits: Sequence[Limit]) -> list[list[tuple[str, float]]]:
        store = self._limiter.store
        if isinstance(store, Memory):
            found = []
            for limit in limits:
                found.append(store.top_usage(limit, MOST))
                await asyncio.sleep(0)  # a million clients take some time
            return found
        if not isinstance(store, Failover):
            return [[] for _ in limits]
        try:
            return await store.survey(limits, MOST, SURVEY_SECS)
        except StoreDown:
            return [[] for _ in limits]


def _limits(rules: Rules) -> list[Limit]:
    levels: tuple[Bounds, ...] = (rules.shared, rules.client(None), rules.address, rules.model, rules.provider)
    return [limit for level in levels for limit in level.all]


def _size(limit: Limit) -> float:
    """What a part is a part of: seconds of refilling, or slots."""
    return limit.refill or limit.capacity


def _bucket(limit: Limit, key: str, part: float) -> BucketView:
    used = part * limit.capacity
    reset_after = round(used / limit.rate, 3) if limit.rate else None
    return BucketView(
        level=limit.level,
        unit=limit.unit,
        key=key,
        limit=limit.quota,
        remaining=remaining(limit, part),
        used=round(used, 3),
        capacity=limit.capacity,
        reset_after=reset_after,
    )


def _state(store: Store) -> StoreView | None:
    if not isinstance(store, Failover):
        return None
    state = store.state
    latency = round(state.latency * 1000, 3) if state.latency is not None else None
    return StoreView("up" if state.up else "down", state.since, latency)
