"""Answers calls for embeddings: from the cache, by a provider, or some inputs by one and some by the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from msgspec import Raw, structs

from proxy.cache.base import CachedAnswer
from proxy.cache.embeddings import CONTENT_TYPE, MEMBER, BatchOutlet, EmbeddingBatch, batch_of
from proxy.cache.keeping import AnswerKeeper
from proxy.cache.wanted import DispatchCall, Wanted, not_cached

AT_ONCE: Final = 100  # inputs that are looked up in one turn of the loop


class CachedBatches:
    """``dispatch`` asks providers."""

    def __init__(self, keeper: AnswerKeeper, dispatch: DispatchCall) -> None:
        self._keeper = keeper
        self._dispatch = dispatch

    async def answer(self, wanted: Wanted, inputs: Sequence[Raw], keys: Sequence[bytes]) -> None:
        """``keys``: of the inputs."""
        counters, responder = self._keeper.counters, wanted.responder
        known = await self._known(wanted, keys)
        batch = batch_of(inputs, keys, known)
        for answer in known:
            if answer is not None:
                counters.inputs += 1
                counters.note_saved(responder, answer)
        if not batch.missing:
            counters.note_hit(responder)
            await self._give(wanted, batch)
            return
        counters.note_miss(responder)
        if wanted.directives.only:
            raise not_cached()
        await self._ask(wanted, batch)

    async def _known(self, wanted: Wanted, keys: Sequence[bytes]) -> list[CachedAnswer | None]:
        keeper, directives = self._keeper, wanted.directives
        known: list[CachedAnswer | None] = []
        for number, key in enumerate(keys, 1):
            found = keeper.store.find(key)
            answer, wanted.moment = found if isinstance(found, tuple) else await found
            usable = answer is not None and directives.look and keeper.is_fresh(answer, directives)
            known.append(answer if usable else None)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return known

    async def _give(self, wanted: Wanted, batch: EmbeddingBatch) -> None:
        """Answer with what is known. It is as old as its oldest part."""
        oldest = min((each for each in batch.vectors if each is not None), key=attrgetter("at"))
        answer = structs.replace(oldest, body=batch.answer(oldest.facts.response_model))
        await self._keeper.give(wanted.responder, answer, "hit")

    async def _ask(self, wanted: Wanted, batch: EmbeddingBatch) -> None:
        responder, call = wanted.responder, wanted.call
        if not batch.whole:
            body = b"".join(call.segments({MEMBER: batch.request()}))
            reduced = responder.exchange.endpoint.dialect.requests.read(body)
            reduced.aliased = call.aliased
            if not call.verbatim and call.model is not None and responder.route is not None and responder.route.model:
                reduced.use_model(call.model)
            call = responder.call = reduced
        outlet = responder.outlet = BatchOutlet(responder.outlet, batch)
        await self._dispatch(wanted.dispatcher, responder, wanted.plan, call)
        if outlet.fetched and not responder.exchange.fallback_used:
            size = sum(len(batch.inputs[place]) for place in batch.missing)  # the provider reports the sum
            parts = [
                (batch.keys[place], vector, len(batch.inputs[place]) / size)
                for place, vector in zip(batch.missing, outlet.fetched, strict=True)
            ]
            await self._keeper.keep_vectors(wanted, parts, CONTENT_TYPE)
