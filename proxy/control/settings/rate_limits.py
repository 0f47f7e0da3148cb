"""Show the rate limits, and the buckets of clients that use most of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from proxy.config.schema import RateLimiting
from proxy.control.clock import milliseconds
from proxy.control.http.operation import Operation
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.limits.base import Level, Limit, Store, Unit
from proxy.limits.failover import Failover, StoreDown
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.reservation import remaining
from proxy.limits.rules import Bounds, Rules
from proxy.server.request import Request

MAX_BUCKETS: Final = 200  # of one limit
SURVEY_SECS: Final = 2.0


class StoreView(Struct, rename="camel"):
    """The connection to a remote store; ``since`` in Unix seconds."""

    status: Literal["up", "down"]
    since: float
    latency_ms: float | None


class LimitView(Struct, rename="camel"):
    """``limit``: the configured number. ``capacity``: of a full bucket, refilled by ``perSecond``; slots
    (``concurrent``) are returned instead."""

    level: Level
    unit: Unit
    limit: int
    capacity: float
    per_second: float


class BucketView(Struct, rename="camel"):
    """``limit`` and ``remaining``: as in ``X-RateLimit-Limit`` and ``X-RateLimit-Remaining``. ``used`` of
    ``capacity``, or up to twice as much while in debt. ``resetAfter``: seconds until full; ``null`` for slots.
    An idle client with its own limits may be shown with those of the configuration."""

    level: Level
    unit: Unit
    key: str
    limit: int
    remaining: int
    used: float
    capacity: float
    reset_after: float | None


class LimitsView(Struct, rename="camel"):
    """``enabled``: the limits of the configuration are enforced. ``credentialLimits``: the limits of keys and tokens
    are enforced, as always with authentication. ``storeState``: of a remote store. ``buckets``: of each limit, those
    with the highest use."""

    enabled: bool
    credential_limits: bool
    store: Literal["memory", "redis"]
    store_state: StoreView | None
    on_store_failure: Literal["local", "open", "closed"]
    limits: list[LimitView]
    buckets: list[BucketView]


class RateLimitHandler:
    def __init__(self, live: LiveConfig, limiter: Limiter) -> None:
        self._live = live
        self._limiter = limiter

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "Show the rate limits and their use", LimitsView)
        return (ControlRoute("GET", "/admin/rate-limits", "admin", self.show, operation),)

    async def show(self, request: Request) -> None:
        """GET /admin/rate-limits."""
        limits = _limits(self._limiter.rules)
        buckets = await self._buckets(limits)
        send_json(request, 200, self._view(self._live.config.rate_limiting, limits, buckets))

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
        # A store finds buckets by the name of a limit, and returns the part of that limit that is used.
        named = {limit.name: limit for limit in (*own.values(), *limits)}
        found = await self._found(list(named.values()))
        buckets = []
        for queried, keys in zip(named.values(), found, strict=True):
            configured = queried if queried in limits else None
            for key, part in keys:
                limit = own.get((queried.name, key), configured)
                if limit is not None:
                    buckets.append(_bucket(limit, key, part * _size(queried) / _size(limit)))
        return buckets

    async def _found(self, limits: Sequence[Limit]) -> list[list[tuple[str, float]]]:
        store = self._limiter.store
        if isinstance(store, Memory):
            found = []
            for limit in limits:
                found.append(store.top_usage(limit, MAX_BUCKETS))
                await asyncio.sleep(0)  # a million clients take a while
            return found
        if not isinstance(store, Failover):
            return [[] for _ in limits]
        try:
            return await store.survey(limits, MAX_BUCKETS, SURVEY_SECS)
        except StoreDown:
            return [[] for _ in limits]


def _limits(rules: Rules) -> list[Limit]:
    levels: tuple[Bounds, ...] = (rules.shared, rules.client(None), rules.address, rules.model, rules.provider)
    return [limit for level in levels for limit in level.all]


def _size(limit: Limit) -> float:
    """The whole that a part refers to: seconds of refilling, or slots."""
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
    return StoreView("up" if state.up else "down", state.since, milliseconds(state.latency))
