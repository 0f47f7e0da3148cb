"""A request that is looked up in the cache."""

from __future__ import annotations

from collections.abc import Awaitable

from msgspec import Struct

from proxy.cache.base import CachedAnswer
from proxy.cache.directives import Directives
from proxy.cache.flights import Flight, NotShared
from proxy.cache.rules import CachePolicy
from proxy.dialects.call import Call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.responder import Responder
from proxy.routing.plan import Plan


class Lookup(Struct, eq=False, gc=False):
    """``moment``: of the look at the store. ``stale``: an answer that is given if no provider answers.

    ``leads``: whether this process leads for others; ``None`` is not known.
    ``flight``: what equal requests wait for; ``None``: none waits.
    ``outdated``: the answer was refreshed meanwhile, so that this one is not stored.
    ``stored``: what a provider answered, if others may get it, or why equal requests that wait get nothing else.
    """

    dispatcher: Dispatcher
    responder: Responder
    plan: Plan
    call: Call
    key: bytes
    policy: CachePolicy
    directives: Directives
    tags: tuple[str, ...]
    moment: int = 0
    leads: bool | None = None
    stale: CachedAnswer | None = None
    flight: Flight[CachedAnswer] | None = None
    outdated: bool = False
    stored: CachedAnswer | NotShared | None = None

    def followed(self, seconds: float) -> Awaitable[CachedAnswer | NotShared | None]:
        """What this request gets, for an equal one that waits; ``None``: nothing to share, or it takes longer."""
        if self.flight is None:
            self.flight = Flight(self.moment)
        return self.flight.follow(seconds)
