"""Answers calls for embeddings: from the cache, by a provider, or some inputs by one and some by the other.

Of calls with the same inputs at the same time, one sends them to a provider, and the others wait. A call waits before
it sends anything itself, so that two calls never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from operator import attrgetter
from typing import TypeAlias

from msgspec import Raw, structs

from proxy.cache.base import CachedAnswer
from proxy.cache.embedding_forms import EmbeddingForm
from proxy.cache.embeddings import CONTENT_TYPE, BatchOutlet, EmbeddingBatch, batch_of
from proxy.cache.flights import LEFT, Flight, NotShared
from proxy.cache.keeping import AnswerKeeper
from proxy.cache.lookup import Lookup
from proxy.cache.refusals import not_cached
from proxy.cache.waiting import wait_while_led
from proxy.dispatch.choice import DispatchCall
from proxy.errors import ClientGone

Vectors: TypeAlias = Mapping[bytes, CachedAnswer]  # by the key of the input


class CachedBatches:
    """``dispatch`` calls providers."""

    def __init__(self, keeper: AnswerKeeper, dispatch: DispatchCall) -> None:
        self._keeper = keeper
        self._dispatch = dispatch
        self._flights: dict[bytes, Flight[Vectors]] = {}  # by the key of each input that is sent

    async def answer(
        self, lookup: Lookup, form: EmbeddingForm, inputs: Sequence[Raw], keys: Sequence[bytes], wait: float
    ) -> None:
        """``keys``: of the inputs. ``wait``: seconds that calls for the same inputs may take; 0: none is waited for."""
        known = await self._known(lookup, keys)
        waited = wait > 0 and bool(self._flights) and await self._wait(lookup, keys, known, wait)
        batch = _batch_of_one_model(lookup, form, inputs, keys, known)
        if not batch.missing:
            self._keeper.counters.waited += waited
            await self._hit(lookup, batch)
        elif lookup.directives.only:
            self._keeper.counters.note_miss(lookup.responder)
            raise not_cached()
        elif wait:
            await self._lead(lookup, batch, wait)
        else:
            await self._ask(lookup, batch)

    async def _known(self, lookup: Lookup, keys: Sequence[bytes]) -> list[CachedAnswer | None]:
        keeper, directives = self._keeper, lookup.directives
        found, lookup.moment = await keeper.store.find_all(keys)
        if not directives.look:
            return [None] * len(keys)
        return [
            each if each is not None and keeper.is_fresh(each, lookup.policy, directives) else None for each in found
        ]

    async def _hit(self, lookup: Lookup, batch: EmbeddingBatch) -> None:
        """Answer with what is known. It is as old as its oldest part."""
        self._keeper.counters.note_hit(lookup.responder)
        self._note_saved(lookup, batch)
        oldest = min((each for each in batch.vectors if each is not None), key=attrgetter("at"))
        exchange, model = lookup.responder.exchange, oldest.facts.response_model
        answer = structs.replace(oldest, body=batch.answer(exchange.model if lookup.call.aliased else model))
        await self._keeper.give(lookup.responder, answer, "hit")

    def _note_saved(self, lookup: Lookup, batch: EmbeddingBatch) -> None:
        counters = self._keeper.counters
        for answer in batch.vectors:
            if answer is not None:
                counters.inputs += 1
                counters.note_saved(lookup.responder, answer)

    # -- calls for the same inputs -----------------------------------------------------------------

    async def _wait(
        self, lookup: Lookup, keys: Sequence[bytes], known: list[CachedAnswer | None], seconds: float
    ) -> bool:
        """Add to ``known`` what other calls get, until one of them has nothing to share. Returns whether any had."""
        time = asyncio.get_running_loop().time
        until, waited = time() + seconds, False
        while (left := until - time()) > 0:
            flight = self._flight_of([key for key, each in zip(keys, known, strict=True) if each is None], lookup)
            vectors = None if flight is None else await flight.follow(left)
            if vectors is LEFT:
                continue
            if vectors is None or isinstance(vectors, NotShared):
                break
            waited = True
            known[:] = [vectors.get(key) if each is None else each for key, each in zip(keys, known, strict=True)]
        return waited

    def _flight_of(self, keys: Sequence[bytes], lookup: Lookup) -> Flight[Vectors] | None:
        """The flight of any of these. Not one from before an invalidation that the request came after."""
        flights = (self._flights.get(key) for key in keys)
        return next((each for each in flights if each is not None and each.moment >= lookup.moment), None)

    async def _lead(self, lookup: Lookup, batch: EmbeddingBatch, seconds: float) -> None:
        """Request what is missing, also for other calls. Between processes, only one of equal calls does."""
        flights, store = self._flights, self._keeper.store
        flight: Flight[Vectors] = Flight(lookup.moment)
        missing = [batch.keys[place] for place in batch.missing]
        flights.update(dict.fromkeys(missing, flight))
        vectors: dict[bytes, CachedAnswer] = {}
        name, leads = sha256(b"".join(missing)).digest(), False
        left = False
        try:
            if store.shared:
                leads = True  # Redis may have it even if this is canceled before it says so
                leads = await store.lead(name, seconds)
                if not leads:
                    await wait_while_led(store, name, seconds)
                    known = await self._known(lookup, batch.keys)
                    batch = _batch_of_one_model(lookup, batch.form, batch.inputs, batch.keys, known)
                    vectors.update((key, each) for key, each in zip(batch.keys, batch.vectors, strict=True) if each)
            if batch.missing:
                vectors.update(await self._ask(lookup, batch))
        except (ClientGone, asyncio.CancelledError):
            left = True
            raise
        finally:
            for key in missing:
                if flights.get(key) is flight:
                    del flights[key]
            flight.land(LEFT if left else vectors or None)
            if leads:
                await store.release(name)
        if not batch.missing:
            self._keeper.counters.waited += 1
            await self._hit(lookup, batch)

    async def _ask(self, lookup: Lookup, batch: EmbeddingBatch) -> Vectors:
        """Request what is missing from a provider. Returns what was stored."""
        responder, call = lookup.responder, lookup.call
        self._keeper.counters.note_miss(responder)
        if not batch.whole:
            body = b"".join(call.segments({batch.form.inputs: batch.request()}))
            reduced = responder.exchange.endpoint.dialect.requests.read(body)
            reduced.aliased = call.aliased
            if not call.verbatim and call.model is not None and responder.route is not None and responder.route.model:
                reduced.use_model(call.model)
            call = responder.call = reduced
        outlet = responder.outlet = BatchOutlet(responder.outlet, batch)
        await self._dispatch(lookup.dispatcher, responder, lookup.plan, call)
        if outlet.fetched:
            self._note_saved(lookup, batch)
        if not outlet.fetched or responder.exchange.fallback_used:
            return {}
        size = sum(len(batch.inputs[place]) for place in batch.missing)  # the provider reports the sum
        parts = [
            (batch.keys[place], vector, len(batch.inputs[place]) / size)
            for place, vector in zip(batch.missing, outlet.fetched, strict=True)
        ]
        return await self._keeper.keep_vectors(lookup, parts, CONTENT_TYPE)


def _batch_of_one_model(
    lookup: Lookup,
    form: EmbeddingForm,
    inputs: Sequence[Raw],
    keys: Sequence[bytes],
    known: Sequence[CachedAnswer | None],
) -> EmbeddingBatch:
    """The call with what is known. Vectors of two models cannot be compared, so then nothing counts as known."""
    batch = batch_of(form, inputs, keys, known)
    models = {each.facts.upstream_model for each in known if each is not None}
    if models and batch.missing:
        plan, model = lookup.plan, lookup.responder.exchange.model
        tiers = plan.tiers if plan.fallback_tier is None else (*plan.tiers, plan.fallback_tier)
        models.update(each.upstream_model or model for tier in tiers for each in tier.deployments)
    return batch if len(models) < 2 else batch_of(form, inputs, keys, [None] * len(keys))
