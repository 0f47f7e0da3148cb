"""A request that may be answered from the cache, and what the cache notes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from proxy.cache.base import CachedAnswer
from proxy.cache.directives import Directives
from proxy.cache.flights import Flight, NotShared
from proxy.cache.refusals import is_of_provider
from proxy.cache.rules import CachePolicy
from proxy.dialects.call import Call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.errors import GatewayError, Overloaded, UpstreamFault
from proxy.responder import Responder
from proxy.routing.plan import Plan

DispatchCall = Callable[[Dispatcher, Responder, Plan, Call], Awaitable[None]]

HIT: Final = b"x-router-cache: hit\r\n"
STALE: Final = b"x-router-cache: stale\r\n"
MISS: Final = b"x-router-cache: miss\r\n"
BYPASS: Final = b"x-router-cache: bypass\r\n"
_ABSENT: Final = "The cache has no answer to this request, and its x-router-cache or Cache-Control allows no other."


class Wanted(Struct, eq=False, gc=False):
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


class CacheCounters(Struct):
    """What the cache of this process did, in requests. ``waited``: hits that waited for the first of equal requests.

    What hits saved: ``cost`` in nano-USD, ``input`` and ``output`` in tokens, as far as they are known. ``inputs`` are
    single inputs of calls for embeddings that were in the cache.
    """

    hit: int = 0
    miss: int = 0
    stale: int = 0
    bypass: int = 0
    waited: int = 0
    stored: int = 0
    cost: int = 0
    input: int = 0
    output: int = 0
    inputs: int = 0

    def note_hit(self, responder: Responder) -> None:
        self.hit += 1
        responder.exchange.cache = "hit"
        responder.request.response_lines += HIT

    def note_stale(self, responder: Responder) -> None:
        """Instead of the miss that was noted before."""
        self.stale += 1
        self.miss -= 1
        responder.exchange.cache = "stale"
        responder.request.response_lines = responder.request.response_lines.replace(MISS, STALE)

    def note_miss(self, responder: Responder) -> None:
        self.miss += 1
        responder.exchange.cache = "miss"
        responder.request.response_lines += MISS

    def note_bypass(self, responder: Responder) -> None:
        self.bypass += 1
        responder.exchange.cache = "bypass"
        responder.request.response_lines += BYPASS

    def note_saved(self, responder: Responder, answer: CachedAnswer) -> None:
        """Note the cost and the tokens that an answer from the cache saves."""
        exchange, cost = responder.exchange, answer.cost
        if cost is not None:
            self.cost += cost
            exchange.saved = cost + (exchange.saved or 0)
        self.input += answer.input or 0
        self.output += answer.output or 0


def not_cached() -> GatewayError:
    """RFC 9111, section 5.2.1.7. SDKs would retry a 504, in vain."""
    fault = GatewayError(_ABSENT, status=504, code="not_cached")
    fault.should_retry = False
    return fault


def is_of_providers(fault: GatewayError) -> bool:
    """Whether no provider could answer, so that a stale answer is better than none.

    Limits and budgets of the gateway refuse the client, and a shutdown ends its request.
    """
    return isinstance(fault, UpstreamFault | Overloaded) and is_of_provider(fault.status)
