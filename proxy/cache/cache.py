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
from proxy.cache.directives import USUAL
from proxy.cache.eligible import MOST_BODY
from proxy.cache.flights import LEFT, STALE, NotShared
from proxy.cache.headers import CacheHeaders
from proxy.cache.keeping import AnswerKeeper
from proxy.cache.key import pairs_key
from proxy.cache.recorder import AnswerRecorder
from proxy.cache.refusals import RefusalGuard
from proxy.cache.stream_recorder import StreamRecorder
from proxy.cache.terms import CacheTerms
from proxy.cache.waiting import wait_for_leader
from proxy.cache.wanted import DispatchCall, Wanted, is_of_providers, not_cached
from proxy.config.schema import Config
from proxy.dialects.call import Call
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
        self._flights: dict[bytes, Wanted] = {}  # by key: the newest request for which equal ones wait
        self.adopt(config)

    def __repr__(self) -> str:
        return f"<ResponseCache {self.store!r}, {len(self._flights)} flights>"

    def adopt(self, config: Config) -> None:
        """Apply a configuration to requests that begin from now on.

        Answers of one that had other models, providers, aliases or hooks are not given any more.
        """
        self._terms = CacheTerms(config)
        self.keeper.adopt(config.cache)
        if not (config.cache.enabled or self.store.shared):
            self.store.resize(0)  # free its memory

    def sample(self) -> CacheSample | None:
        """For metrics. ``None``: the cache is off."""
        if not self._terms.settings.enabled:
            return None
        counters, glance = self.counters, self.store.glance()
        results = {name: getattr(counters, name) for name in ("hit", "stale", "miss", "bypass")}
        size = (-1, -1) if self.store.shared else (glance.answers, glance.size)
        return CacheSample(results, counters.cost / NANO, counters.input, counters.output, glance.evicted, *size)

    # -- once per request --------------------------------------------------------------------------

    def answer(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> Awaitable[None]:
        """Answer a call, from the cache or by a provider. Raises ClientFault for a wrong header, and what these do."""
        terms, request, exchange, members = self._terms, responder.request, responder.exchange, call.members
        headers = terms.headers.read(request.raw_headers)
        policy = terms.usual or terms.rules.find(exchange.model, exchange.caller, request.headers)
        outdated = exchange.catalog.config is not terms.config  # the key would say that the new models answered
        if policy is None or outdated or not headers.directives.keep or len(call.body) > MOST_BODY:
            return self._pass(dispatcher, responder, plan, call, headers)
        shape = terms.shape(responder, call, policy)
        if shape.check is not None and shape.check(call) is not None:
            return self._pass(dispatcher, responder, plan, call, headers)
        wanted = Wanted(dispatcher, responder, plan, call, b"", policy, headers.directives, headers.tags)
        if members.pairs is not None:
            wanted.key = pairs_key(terms.prefix(responder, call, policy), members.pairs, headers.lines)
        elif (form := shape.embeds) is not None and (inputs := form.inputs_of(call)) is not None:
            keys = shape.input_keys(members.values, headers.lines, form.inputs, inputs)
            wait = terms.wait if headers.directives is USUAL else 0
            return self._batches.answer(wanted, form, inputs, keys, wait)
        else:
            wanted.key = shape.key(members.values, headers.lines)
        if self.store.shared and headers.directives is USUAL and terms.wait:
            return self._answered_or_led(wanted, terms.wait)
        found = self.store.find(wanted.key)
        return self._answered(wanted, found) if isinstance(found, tuple) else self._answered_later(wanted, found)

    def _pass(
        self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call, headers: CacheHeaders
    ) -> Awaitable[None]:
        """Answer a request that is not cached. Raises GatewayError if it allows only a cached answer."""
        self.counters.note_bypass(responder)
        if headers.directives.only:
            raise not_cached()
        return self._dispatch(dispatcher, responder, plan, call)

    async def _answered_later(self, wanted: Wanted, found: Awaitable[Found]) -> None:
        await self._answered(wanted, await found)

    async def _answered_or_led(self, wanted: Wanted, seconds: float) -> None:
        """Look up the answer, and take the lead without one. ``_lead`` ends it, maybe that of an equal request."""
        try:
            found, leads = await self.store.find_or_lead(wanted.key, seconds)
        except asyncio.CancelledError:
            if wanted.key not in self._flights:  # the store may have given the lead
                await self.store.release(wanted.key)
            raise
        if found[0] is None:
            wanted.leads = leads
        await self._answered(wanted, found)

    def _answered(self, wanted: Wanted, found: Found, *, waits: bool = True) -> Awaitable[None]:
        directives, (answer, wanted.moment) = wanted.directives, found
        if answer is not None and directives.look:
            if self.keeper.is_fresh(answer, wanted.policy, directives):
                return self._hit(wanted, answer)
            if directives is USUAL and self.keeper.is_spare(answer, wanted.policy):
                wanted.stale = answer
        if directives.only:
            self.counters.note_miss(wanted.responder)
            raise not_cached()
        if self._first(wanted) is not None:
            return self._follow(wanted) if waits and directives is USUAL else self._ask(wanted)
        return self._lead(wanted) if self.store.shared else self._ask(wanted, leads=True)

    def _hit(self, wanted: Wanted, answer: CachedAnswer) -> Awaitable[None]:
        counters, responder = self.counters, wanted.responder
        counters.note_hit(responder)
        counters.note_saved(responder, answer)
        return self.keeper.give(responder, answer, "hit")

    async def _give_stale(self, wanted: Wanted, answer: CachedAnswer) -> None:
        counters, responder = self.counters, wanted.responder
        counters.note_stale(responder)
        counters.note_saved(responder, answer)
        await self.keeper.give(responder, answer, "stale")

    # -- one of several equal requests -------------------------------------------------------------

    async def _follow(self, wanted: Wanted) -> None:
        now = asyncio.get_running_loop().time
        until = now() + self._terms.wait
        answer: CachedAnswer | NotShared | None = LEFT
        while answer is LEFT and (left := until - now()) > 0 and (first := self._first(wanted)) is not None:
            answer = await first.followed(left)
        if isinstance(answer, CachedAnswer):
            self.counters.waited += 1
            await self._hit(wanted, answer)
        elif answer is STALE and wanted.stale is not None:
            self.counters.note_miss(wanted.responder)
            await self._give_stale(wanted, wanted.stale)
        else:
            wanted.leads = None  # the first one has ended it
            await self._answered(wanted, (None, wanted.moment), waits=False)

    def _first(self, wanted: Wanted) -> Wanted | None:
        """The equal request to wait for. Not one that began before an invalidation, where this one came after it."""
        first = self._flights.get(wanted.key)
        return None if first is None or first.moment < wanted.moment else first

    def _end(self, wanted: Wanted, answer: CachedAnswer | NotShared | None) -> None:
        """Give the answer to the requests that wait for this one."""
        if self._flights.get(wanted.key) is wanted:  # else one that came after an invalidation took its place
            del self._flights[wanted.key]
        if wanted.flight is not None:
            left = answer is None and wanted.responder.request.gone  # maybe after the last event
            wanted.flight.land(LEFT if left else answer)

    def _outdate(self, refreshing: Wanted) -> None:
        """Let no running request replace an answer that was refreshed meanwhile."""
        first = self._flights.get(refreshing.key)
        if refreshing.stored and first is not None and first.moment <= refreshing.moment:
            first.outdated = True

    async def _lead(self, wanted: Wanted) -> None:
        """Call a provider, unless another process does. Ends the lead of this process."""
        key, store, wait = wanted.key, self.store, self._terms.wait
        self._flights[key] = wanted
        answer: CachedAnswer | None = None
        left = False
        try:
            if wanted.leads is None and wanted.directives is USUAL and wait:
                wanted.leads = await store.lead(key, wait)
            if wanted.leads is False:
                answer = await wait_for_leader(
                    store, key, wait, lambda found: self.keeper.is_fresh(found, wanted.policy)
                )
            if answer is None:
                wanted.leads = wanted.leads or None  # an equal request that follows may have taken it meanwhile
                await self._ask(wanted)
                return
        except (ClientGone, asyncio.CancelledError):
            left = True
            raise
        finally:
            self._end(wanted, LEFT if left else answer or wanted.stored)
            if wanted.leads is not False and wait:
                await store.release(key)
        self.counters.waited += 1
        await self._hit(wanted, answer)

    async def _ask(self, wanted: Wanted, *, leads: bool = False) -> None:
        """Let a provider answer. ``leads``: equal requests may wait for it."""
        responder, keeper, outlet = wanted.responder, self.keeper, wanted.responder.outlet
        exchange = responder.exchange
        guarded = outlet if wanted.stale is None else RefusalGuard(outlet)
        recorder = responder.outlet = (
            StreamRecorder(guarded, exchange, keeper.recordings)
            if exchange.stream
            else AnswerRecorder(guarded, exchange)
        )
        self.counters.note_miss(responder)
        if leads:
            self._flights[wanted.key] = wanted
        left = False
        try:
            await self._dispatch(wanted.dispatcher, responder, wanted.plan, wanted.call)
            storing = keeper.keep(wanted, recorder)
            if not wanted.directives.look:
                self._outdate(wanted)
            if storing is not None:
                await storing
                wanted.leads = False
        except GatewayError as fault:
            stale, responder.outlet = wanted.stale, outlet
            if stale is None or recorder.begun or not is_of_providers(fault):
                raise
            exchange.forget_break()
            wanted.stored = STALE
            await self._give_stale(wanted, stale)
        except (ClientGone, asyncio.CancelledError):
            left = True
            raise
        finally:
            recorder.release()
            if leads:
                self._end(wanted, LEFT if left else wanted.stored)
