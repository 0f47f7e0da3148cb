"""Which answers of a store may be given, and what is stored of new ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from proxy.billing import cost_so_far
from proxy.cache.base import AnswerFacts, AnswerStore, CachedAnswer, extra_of
from proxy.cache.counters import CacheCounters
from proxy.cache.directives import USUAL, Directives
from proxy.cache.lookup import Lookup
from proxy.cache.recorder import AnswerRecorder, content_type_of, kept_lines
from proxy.cache.replay import replay
from proxy.cache.rules import CachePolicy
from proxy.cache.stream_recorder import EVENT_STREAM, Recordings
from proxy.config.cache_schema import CacheSettings
from proxy.ledger.entry import answering
from proxy.ledger.ledger import Ledger
from proxy.responder import Responder
from proxy.routing.deployment import Deployment

MEGABYTE: Final = 1024 * 1024
_MOST_KNOWN: Final = 4096
_FAILED: Final = frozenset(("error", "damaged", "broken", "client_gone", "cancelled"))  # outcomes


class AnswerKeeper:
    """``ledger`` gets a row for each answer that was given. ``wall`` returns Unix seconds."""

    def __init__(self, store: AnswerStore, ledger: Ledger | None = None, wall: Callable[[], float] = time.time) -> None:
        self.store = store
        self._ledger = ledger
        self.counters = CacheCounters()
        self.recordings = Recordings(0, 0)
        self._wall = wall
        self._stale_secs = 0.0
        self._facts: dict[tuple[Deployment, str, str, bytes, CachePolicy], AnswerFacts] = {}

    def adopt(self, settings: CacheSettings) -> None:
        most = int(settings.max_mb * MEGABYTE)
        self.recordings.most, self.recordings.largest = most, min(settings.max_answer_kb * 1024, most)
        self._stale_secs = settings.stale_secs
        self._facts.clear()
        self.store.resize(most)

    # -- what there is -----------------------------------------------------------------------------

    def is_fresh(self, answer: CachedAnswer, policy: CachePolicy, directives: Directives = USUAL) -> bool:
        """Whether an answer may be given to a request with these directives.

        ``policy``: what applies to the request. Its time may be shorter than when the answer was stored.
        """
        age = self._wall() - answer.at
        if directives is not USUAL and directives.max_age is not None and age > directives.max_age:
            return False
        return age < answer.facts.ttl and age < policy.ttl

    def is_spare(self, answer: CachedAnswer, policy: CachePolicy) -> bool:
        """Whether an answer that is not fresh may be given if no provider answers."""
        return self._wall() - answer.at < min(answer.facts.ttl, policy.ttl) + self._stale_secs

    def age(self, answer: CachedAnswer) -> int:
        return max(0, int(self._wall() - answer.at))

    async def give(self, responder: Responder, answer: CachedAnswer, status: Literal["hit", "stale"]) -> None:
        """Answer a request, and record it. Raises ClientGone."""
        await replay(responder, answer, status, self.age(answer))
        if self._ledger is not None:
            now, sent = asyncio.get_running_loop().time(), responder.request.reply.bytes_out
            self._ledger.record_cached(responder.exchange, now, sent, answer.facts.name)

    # -- what is stored ----------------------------------------------------------------------------

    def keep(self, lookup: Lookup, recorder: AnswerRecorder) -> Awaitable[None] | None:
        """Store an answer if it is whole, and note it. Not the fallback's, as the client requested another model.

        Awaitable only if the store has to wait.
        """
        body, exchange = recorder.copy(), lookup.responder.exchange
        if body is None or len(body) > self.recordings.largest or exchange.fallback_used or exchange.outcome in _FAILED:
            return None
        attempt = answering(exchange)
        if attempt is None or exchange.lenient_events:  # other clients may not read it
            return None
        header_lines, usage, cost = recorder.header_lines, exchange.usage, cost_so_far(exchange)
        lines = kept_lines(header_lines) if exchange.dropped or exchange.patches else b""
        facts = self.facts(lookup, content_type_of(header_lines), attempt.deployment, lines)
        if usage is None:
            answer = CachedAnswer(body, facts, self._wall(), cost)
        else:
            answer = CachedAnswer(body, facts, self._wall(), cost, usage.input, usage.output)
        lookup.stored = answer
        if lookup.outdated:
            return None
        self.counters.stored += 1
        if self.store.shared:
            return self.put_later(lookup.key, answer, lookup.moment)
        return self.store.put(lookup.key, answer, lookup.moment)

    async def put_later(self, key: bytes, answer: CachedAnswer, moment: int) -> None:
        """Store an answer, unless too many bytes wait for a slow store. Ends the lead of this process."""
        recordings, size = self.recordings, len(answer.body)
        if recordings.used + size > recordings.most:
            await self.store.release(key)
            return
        recordings.used += size
        try:
            storing = self.store.put(key, answer, moment)
            if storing is not None:
                await storing
        finally:
            recordings.used -= size

    async def keep_vectors(
        self, lookup: Lookup, parts: list[tuple[bytes, bytes, float]], content_type: bytes
    ) -> dict[bytes, CachedAnswer]:
        """Store vectors of one answer: the key of each, its bytes, and its share of what the answer took."""
        kept: dict[bytes, CachedAnswer] = {}
        exchange = lookup.responder.exchange
        attempt = answering(exchange)
        if attempt is None:
            return kept
        facts = self.facts(lookup, content_type, attempt.deployment)
        now, cost, usage = self._wall(), cost_so_far(exchange), exchange.usage
        tokens = None if usage is None else usage.input
        for key, vector, share in parts:
            if len(vector) <= self.recordings.largest:
                answer = CachedAnswer(vector, facts, now, _part(cost, share), _part(tokens, share), 0)
                kept[key] = answer
        self.counters.stored += len(kept)
        await self.store.put_all(list(kept.items()), lookup.moment)
        return kept

    def facts(self, lookup: Lookup, content_type: bytes, deployment: Deployment, lines: bytes = b"") -> AnswerFacts:
        """The facts of an answer: one object for all that have the same."""
        exchange, policy, known = lookup.responder.exchange, lookup.policy, self._facts
        key = deployment, exchange.model, exchange.response_model, content_type, policy
        facts = known.get(key)
        if facts is None or lookup.tags or lines:
            extra = extra_of(exchange.model, exchange.response_model, lines, lookup.tags)
            facts = AnswerFacts(
                content_type.startswith(EVENT_STREAM),
                content_type,
                lines,
                exchange.model,
                deployment.provider.name,
                deployment.name,
                exchange.request_model,
                exchange.response_model,
                lookup.tags,
                policy.ttl,
                self._stale_secs,
                extra,
            )
            if not extra:
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                known[key] = facts
        return facts


def _part(whole: int | None, share: float) -> int | None:
    return None if whole is None else round(whole * share)
