"""What the cache did with the requests of this process."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.cache.base import CachedAnswer
from proxy.responder import Responder

HIT: Final = b"x-router-cache: hit\r\n"
STALE: Final = b"x-router-cache: stale\r\n"
MISS: Final = b"x-router-cache: miss\r\n"
BYPASS: Final = b"x-router-cache: bypass\r\n"


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
