"""Limits of requests to services: they take from the same buckets as calls to models, and from those of their route."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from msgspec import Struct

from proxy.caches import LruCache
from proxy.config.limit_schema import Limits
from proxy.identity import Client
from proxy.limits.base import Cost, Verdict
from proxy.limits.limiter import Limiter
from proxy.limits.prepared import Granted, PreparedCosts, part_of
from proxy.limits.reservation import limit_lines, rate_limited
from proxy.limits.rules import bounds_of
from proxy.limits.snapshot import LimiterSnapshot

MOST_ROUTES: Final = 4096


class RequestReservation(Struct, eq=False):
    """What one request has taken. ``settle`` it once."""

    _snapshot: LimiterSnapshot
    _slots: tuple[Cost, ...]
    _lease: int
    _tightest: Granted

    def header_lines(self) -> bytes:
        """``X-RateLimit-...`` of the tightest bucket; ``b""``: there is none."""
        part, limit = self._tightest
        return b"" if limit is None else limit_lines(limit, part, self._snapshot.wall())

    def settle(self) -> None:
        """Release its slots, and count it."""
        snapshot = self._snapshot
        snapshot.tally.admitted.value += 1
        if self._slots:
            snapshot.store.settle((), self._slots, self._lease)


class RequestLimits:
    """Takes for requests to services."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._snapshot: LimiterSnapshot | None = None
        self._routes: LruCache[tuple[str, Limits], PreparedCosts] = LruCache(MOST_ROUTES)  # of this snapshot's store

    def take(
        self, client: Client, route: str, limits: Limits | None
    ) -> RequestReservation | Awaitable[RequestReservation] | None:
        """Take what a request costs. ``None``: nothing limits it. Raises RateLimited.

        Returns an awaitable only if the store has to wait. ``limits``: of the route, for all of its requests together.
        """
        snapshot = self._limiter.snapshot
        prepared = snapshot.client_costs(client)
        if limits is not None and limits.enabled:
            own = self._of_route(snapshot, route, limits)
            prepared = prepared.with_more(own) if prepared.costs else own
        if not prepared.costs:
            return None
        slots = prepared.slots
        lease = next(snapshot.leases) if slots else 0
        answer = snapshot.prepared_store.grant(prepared, lease)
        if isinstance(answer, tuple):
            return RequestReservation(snapshot, slots, lease, answer)
        if isinstance(answer, Verdict):
            return _granted(snapshot, slots, lease, answer)
        return _granted_later(snapshot, slots, lease, answer)

    def _of_route(self, snapshot: LimiterSnapshot, route: str, limits: Limits) -> PreparedCosts:
        if snapshot is not self._snapshot:
            self._snapshot, self._routes = snapshot, LruCache(MOST_ROUTES)
        found = self._routes.get((route, limits))
        if found is None:
            costs = [Cost(limit, route) for limit in bounds_of("route", limits).requests]
            found = snapshot.prepared_store.prepare(costs)
            self._routes.put((route, limits), found)
        return found


async def _granted_later(
    snapshot: LimiterSnapshot, slots: tuple[Cost, ...], lease: int, verdict: Awaitable[Verdict]
) -> RequestReservation:
    return _granted(snapshot, slots, lease, await verdict)


def _granted(snapshot: LimiterSnapshot, slots: tuple[Cost, ...], lease: int, verdict: Verdict) -> RequestReservation:
    if not verdict.admitted:
        fault = rate_limited(verdict)
        snapshot.tally.limited(fault.limit)
        raise fault
    return RequestReservation(snapshot, slots, lease, (part_of(verdict), verdict.limit))
