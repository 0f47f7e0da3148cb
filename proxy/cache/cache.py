"""The cache of answers. Its ``answer`` stands in the place of ``dispatch_call`` while the cache is on.

A request was admitted, read and planned before: a client gets no answer for a model that it may not use. What a
provider would cost, tokens and money, is reserved by the dispatch, so a hit takes none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from proxy.cache.base import AnswerStore, CachedAnswer, Found
from proxy.cache.batches import CachedBatches
from proxy.cache.compiled import CompiledCacheSettings
from proxy.cache.directives import USUAL
from proxy.cache.eligible import MOST_BODY
from proxy.cache.flights import LEFT, STALE, NotShared
from proxy.cache.headers import CacheHeaders
from proxy.cache.keeping import AnswerKeeper
from proxy.cache.key import pairs_key
from proxy.cache.lookup import Lookup
from proxy.cache.recorder import AnswerRecorder
from proxy.cache.refusals import RefusalGuard, is_provider_fault, not_cached
from proxy.cache.stream_recorder import StreamRecorder
from proxy.cache.waiting import wait_for_leader
from proxy.config.schema import Config
from proxy.dialects.call import Call
from proxy.dispatch.choice import DispatchCall
from proxy.dispatch.dispatcher import Dispatcher
from proxy.errors import ClientGone, GatewayError
from proxy.ledger.ledger import Ledger
from proxy.observe.gauges import CacheSample
from proxy.pricing.rates import NANO
from proxy.responder import Responder
from proxy.routing.plan import Plan


class ResponseCache:
    """``dispatch`` calls providers. ``ledger`` records what was saved. ``wall`` returns Unix seconds."""

    def __init__(
        self,
        config: Config,
        store: AnswerStore,
        dispatch: DispatchCall,
        ledger: Ledger | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.keeper = AnswerKeeper(store, ledger, wall)
        self.store, self.counters = store, self.keeper.counters
        self._dispatch = dispatch
        self._batches = CachedBatches(self.keeper, dispatch)
        self._flights: dict[bytes, Lookup] = {}  # by key: the newest request for which equal ones wait
        self.adopt(config)

    def __repr__(self) -> str:
        return f"<ResponseCache {self.store!r}, {len(self._flights)} flights>"

    def adopt(self, config: Config) -> None:
        """Apply a configuration to requests that begin from now on.

        Answers of one that had other models, providers, aliases or hooks are not given any more.
        """
        self._compiled = CompiledCacheSettings(config)
        self.keeper.adopt(config.cache)
        if not (config.cache.enabled or self.store.shared):
            self.store.resize(0)  # free its memory

    def sample(self) -> CacheSample | None:
        """For metrics. ``None``: the cache is off."""
        if not self._compiled.settings.enabled:
            return None
        counters, glance = self.counters, self.store.glance()
        results = {name: getattr(counters, name) for name in ("hit", "stale", "miss", "bypass")}
        size = (-1, -1) if self.store.shared else (glance.answers, glance.size)
        return CacheSample(results, counters.cost / NANO, counters.input, counters.output, glance.evicted, *size)

    # -- once per request --------------------------------------------------------------------------

    def answer(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> Awaitable[None]:
        """Answer a call, from the cache or by a provider. Raises ClientFault for a wrong header, and what these do."""
        compiled, request, exchange, members = self._compiled, responder.request, responder.exchange, call.members
        headers = compiled.headers.read(request.raw_headers)
        policy = compiled.usual or compiled.rules.find(exchange.model, exchange.caller, request.headers)
        outdated = exchange.catalog.config is not compiled.config  # the key would say that the new models answered
        if policy is None or outdated or not headers.directives.keep or len(call.body) > MOST_BODY:
            return self._pass(dispatcher, responder, plan, call, headers)
        shape = compiled.shape(responder, call, policy)
        if shape.check is not None and shape.check(call) is not None:
            return self._pass(dispatcher, responder, plan, call, headers)
        lookup = Lookup(dispatcher, responder, plan, call, b"", policy, headers.directives, headers.tags)
        if members.pairs is not None:
            lookup.key = pairs_key(compiled.prefix(responder, call, policy), members.pairs, headers.lines)
        elif (form := shape.embeds) is not None and (inputs := form.inputs_of(call)) is not None:
            keys = shape.input_keys(members.values, headers.lines, form.inputs, inputs)
            wait = compiled.wait if headers.directives is USUAL else 0
            return self._batches.answer(lookup, form, inputs, keys, wait)
        else:
            lookup.key = shape.key(members.values, headers.lines)
        if self.store.shared and headers.directives is USUAL and compiled.wait:
            return self._answered_or_led(lookup, compiled.wait)
        found = self.store.find(lookup.key)
        return self._answered(lookup, found) if isinstance(found, tuple) else self._answered_later(lookup, found)

    def _pass(
        self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call, headers: CacheHeaders
    ) -> Awaitable[None]:
        """Answer a request that is not cached. Raises GatewayError if it allows only a cached answer."""
        self.counters.note_bypass(responder)
        if headers.directives.only:
            raise not_cached()
        return self._dispatch(dispatcher, responder, plan, call)

    async def _answered_later(self, lookup: Lookup, found: Awaitable[Found]) -> None:
        await self._answered(lookup, await found)

    async def _answered_or_led(self, lookup: Lookup, seconds: float) -> None:
        """Look up the answer, and take the lead without one. ``_lead`` ends it, maybe that of an equal request."""
        try:
            found, leads = await self.store.find_or_lead(lookup.key, seconds)
        except asyncio.CancelledError:
            if lookup.key not in self._flights:  # the store may have given the lead
                await self.store.release(lookup.key)
            raise
        if found[0] is None:
            lookup.leads = leads
        await self._answered(lookup, found)

    def _answered(self, lookup: Lookup, found: Found, *, waits: bool = True) -> Awaitable[None]:
        directives, (answer, lookup.moment) = lookup.directives, found
        if answer is not None and directives.look:
            if self.keeper.is_fresh(answer, lookup.policy, directives):
                return self._hit(lookup, answer)
            if directives is USUAL and self.keeper.is_spare(answer, lookup.policy):
                lookup.stale = answer
        if directives.only:
            self.counters.note_miss(lookup.responder)
            raise not_cached()
        if self._first(lookup) is not None:
            return self._follow(lookup) if waits and directives is USUAL else self._ask(lookup)
        return self._lead(lookup) if self.store.shared else self._ask(lookup, leads=True)

    def _hit(self, lookup: Lookup, answer: CachedAnswer) -> Awaitable[None]:
        counters, responder = self.counters, lookup.responder
        counters.note_hit(responder)
        counters.note_saved(responder, answer)
        return self.keeper.give(responder, answer, "hit")

    async def _give_stale(self, lookup: Lookup, answer: CachedAnswer) -> None:
        counters, responder = self.counters, lookup.responder
        counters.note_stale(responder)
        counters.note_saved(responder, answer)
        await self.keeper.give(responder, answer, "stale")

    # -- one of several equal requests -------------------------------------------------------------

    async def _follow(self, lookup: Lookup) -> None:
        now = asyncio.get_running_loop().time
        until = now() + self._compiled.wait
        answer: CachedAnswer | NotShared | None = LEFT
        while answer is LEFT and (left := until - now()) > 0 and (first := self._first(lookup)) is not None:
            answer = await first.followed(left)
        if isinstance(answer, CachedAnswer):
            self.counters.waited += 1
            await self._hit(lookup, answer)
        elif answer is STALE and lookup.stale is not None:
            self.counters.note_miss(lookup.responder)
            await self._give_stale(lookup, lookup.stale)
        else:
            lookup.leads = None  # the first one has ended it
            await self._answered(lookup, (None, lookup.moment), waits=False)

    def _first(self, lookup: Lookup) -> Lookup | None:
        """The equal request to wait for. Not one that began before an invalidation, where this one came after it."""
        first = self._flights.get(lookup.key)
        return None if first is None or first.moment < lookup.moment else first

    def _end(self, lookup: Lookup, answer: CachedAnswer | NotShared | None) -> None:
        """Give the answer to the requests that wait for this one."""
        if self._flights.get(lookup.key) is lookup:  # else one that came after an invalidation took its place
            del self._flights[lookup.key]
        if lookup.flight is not None:
            left = answer is None and lookup.responder.request.gone  # maybe after the last event
            lookup.flight.land(LEFT if left else answer)

    def _outdate(self, refreshing: Lookup) -> None:
        """Let no running request replace an answer that was refreshed meanwhile."""
        first = self._flights.get(refreshing.key)
        if refreshing.stored and first is not None and first.moment <= refreshing.moment:
            first.outdated = True

    async def _lead(self, lookup: Lookup) -> None:
        """Call a provider, unless another process does. Ends the lead of this process."""
        key, store, wait = lookup.key, self.store, self._compiled.wait
        self._flights[key] = lookup
        answer: CachedAnswer | None = None
        left = False
        try:
            if lookup.leads is None and lookup.directives is USUAL and wait:
                lookup.leads = await store.lead(key, wait)
            if lookup.leads is False:
                answer = await wait_for_leader(
                    store, key, wait, lambda found: self.keeper.is_fresh(found, lookup.policy)
                )
            if answer is None:
                lookup.leads = lookup.leads or None  # an equal request that follows may have taken it meanwhile
                await self._ask(lookup)
                return
        except (ClientGone, asyncio.CancelledError):
            left = True
            raise
        finally:
            self._end(lookup, LEFT if left else answer or lookup.stored)
            if lookup.leads is not False and wait:
                await store.release(key)
        self.counters.waited += 1
        await self._hit(lookup, answer)

    async def _ask(self, lookup: Lookup, *, leads: bool = False) -> None:
        """Let a provider answer. ``leads``: equal requests may wait for it."""
        responder, keeper, outlet = lookup.responder, self.keeper, lookup.responder.outlet
        exchange = responder.exchange
        guarded = outlet if lookup.stale is None else RefusalGuard(outlet)
        recorder = responder.outlet = (
            StreamRecorder(guarded, exchange, keeper.recordings)
            if exchange.stream
            else AnswerRecorder(guarded, exchange)
        )
        self.counters.note_miss(responder)
        if leads:
            self._flights[lookup.key] = lookup
        left = False
        try:
            await self._dispatch(lookup.dispatcher, responder, lookup.plan, lookup.call)
            storing = keeper.keep(lookup, recorder)
            if not lookup.directives.look:
                self._outdate(lookup)
            if storing is not None:
                await storing
                lookup.leads = False
        except GatewayError as fault:
            stale, responder.outlet = lookup.stale, outlet
            if stale is None or recorder.begun or not is_provider_fault(fault):
                raise
            exchange.forget_break()
            lookup.stored = STALE
            await self._give_stale(lookup, stale)
        except (ClientGone, asyncio.CancelledError):
            left = True
            raise
        finally:
            recorder.release()
            if leads:
                self._end(lookup, LEFT if left else lookup.stored)
