"""Show the cache of answers, and invalidate answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.cache.base import ALL, model_group, tag_group
from proxy.cache.cache import ResponseCache
from proxy.config.cache_schema import CacheScope
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.errors import ClientFault
from proxy.pricing.rates import NANO
from proxy.server.request import Request

_CacheName = Annotated[str, Meta(min_length=1, max_length=400)]
_CacheNames = Annotated[list[_CacheName], Meta(max_length=100)]


class CacheSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """Either ``all`` answers, or those of any of ``models`` (as clients name them, or a deployment's name) and
    ``tags``.
    """

    models: _CacheNames = []
    tags: _CacheNames = []
    all: bool = False


class InvalidatedView(Struct, rename="camel"):
    """How many answers were removed."""

    invalidated: int


class CacheView(Struct, rename="camel"):
    """``answers``, ``bytes`` of ``maxBytes``: in the store, which all replicas share if it is Redis. ``up``: the store
    answers. The rest is of this process: requests by what the cache did. ``waited``: hits that waited for the first of
    equal requests. ``stored``: answers that were passed to the store. ``evicted``: answers removed to make room.
    ``inputs``: inputs of calls for embeddings that were cached. ``savedUsd``, ``savedInput`` and ``savedOutput``
    (tokens): what hits have saved, as far as it is known.
    """

    enabled: bool
    store: Literal["memory", "redis"]
    scope: CacheScope
    up: bool
    answers: int
    bytes: int
    max_bytes: int
    hit: int
    stale: int
    miss: int
    bypass: int
    waited: int
    stored: int
    evicted: int
    inputs: int
    saved_usd: float
    saved_input: int
    saved_output: int


class CacheHandler:
    def __init__(self, cache: ResponseCache, live: LiveConfig, bodies: RequestBodies) -> None:
        self._cache = cache
        self._live = live
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        show = Operation("operator", "Show the cache of answers, and what it has saved", CacheView)
        invalidate = Operation(
            "operator",
            "Invalidate cached answers",
            InvalidatedView,
            body=CacheSelection,
            example={"models": ["gpt-4o"], "tags": ["prices"]},
            errors=(503,),
        )
        return (
            ControlRoute("GET", "/admin/cache", "admin", self.show, show),
            ControlRoute("POST", "/admin/cache/invalidate", "admin", self.invalidate, invalidate),
        )

    async def show(self, request: Request) -> None:
        """GET /admin/cache."""
        survey, counters, settings = await self._cache.store.survey(), self._cache.counters, self._live.config.cache
        view = CacheView(
            settings.enabled,
            settings.store,
            settings.scope,
            survey.up,
            survey.answers,
            survey.size,
            survey.most,
            counters.hit,
            counters.stale,
            counters.miss,
            counters.bypass,
            counters.waited,
            counters.stored,
            survey.evicted,
            counters.inputs,
            counters.cost / NANO,
            counters.input,
            counters.output,
        )
        send_json(request, 200, view)

    async def invalidate(self, request: Request) -> None:
        """POST /admin/cache/invalidate."""
        given = await self._bodies.decode(request, CacheSelection)
        groups = [*map(model_group, given.models), *map(tag_group, given.tags)]
        if given.all == bool(groups):
            raise ClientFault("models: give either models, tags, or all: true.", param="models", code="invalid_value")
        number = await self._cache.store.invalidate([ALL] if given.all else groups)
        send_json(request, 200, InvalidatedView(number))
