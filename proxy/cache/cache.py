"""The cache of answers. Its ``answer`` stands in the place of ``dispatch_call`` while the cache is on.

A request was admitted, read and planned before: a client gets no answer for a model that it may not use. What a
provider would cost, tokens and money, is reserved by the dispatch, so a hit takes none.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import UNSET, Struct, structs

from proxy.billing import cost_so_far
from proxy.cache.base import AnswerFacts, AnswerStore, CachedAnswer, Found
from proxy.cache.directives import TAGS, USUAL, Directives, directives_of, tags_of
from proxy.cache.eligible import refusal
from proxy.cache.flights import Flight
from proxy.cache.key import Asked, Countings, counted, prefix_of, request_key
from proxy.cache.recorder import AnswerRecorder, Recordings
from proxy.cache.replay import replay
from proxy.cache.rules import CachePolicy, CacheRules, scope_of
from proxy.cache.waiting import wait_for_leader
from proxy.config.cache_schema import CacheSettings
from proxy.config.schema import Config
from proxy.dialects.call import Call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.errors import ClientFault, GatewayError
from proxy.identity import Client
from proxy.observe.gauges import CacheSample
from proxy.pricing.rates import NANO
from proxy.providers.provider import Provider
from proxy.responder import Responder
from proxy.routing.access import ALL
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Plan

DispatchCall = Callable[[Dispatcher, Responder, Plan, Call], Awaitable[None]]

MEGABYTE: Final = 1024 * 1024
HIT: Final = b"x-router-cache: hit\r\n"
STALE: Final = b"x-router-cache: stale\r\n"
MISS: Final = b"x-router-cache: miss\r\n"
BYPASS: Final = b"x-router-cache: bypass\r\n"
_MOST_KNOWN: Final = 4096
_GONE: Final = "No cached answer to this request, which asks for nothing else (x-router-cache, Cache-Control)."

_encode = msgspec.json.Encoder(order="sorted").encode


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


class Wanted(Struct, eq=False):
    """A request that may be answered from the cache. ``stale``: an answer that is given if no provider answers."""

    dispatcher: Dispatcher
    responder: Responder
    plan: Plan
    call: Call
    key: bytes
    policy: CachePolicy
    directives: Directives
    tags: tuple[str, ...]
    moment: int = 0
    stale: CachedAnswer | None = None


class ResponseCache:
    """``dispatch`` asks providers. ``wall`` returns Unix seconds."""

    def __init__(
        self, config: Config, store: AnswerStore, dispatch: DispatchCall, wall: Callable[[], float] = time.time
    ) -> None:
        self.store = store
        self.counters = CacheCounters()
        self._dispatch = dispatch
        self._wall = wall
        self._recordings = Recordings(0, 0)
        self._flights: dict[bytes, Flight] = {}
        self.adopt(config)

    def __repr__(self) -> str:
        return f"<ResponseCache {self.store!r}, {len(self._flights)} flights>"

    def adopt(self, config: Config) -> None:
        """Apply a configuration to requests that begin from now on.

        Answers of one that had other models, providers, aliases or hooks are not given any more.
        """
        settings = config.cache
        self._settings: CacheSettings = settings
        self._rules = CacheRules(settings)
        self._allow = frozenset(settings.allow)
        self._version = version_of(config)
        forwarded = {name.lower().encode() for each in config.providers.values() for name in each.forward_headers}
        self._countings = Countings(forwarded)
        self._prefixes: dict[tuple[str, Client | None, CachePolicy, Provider | None, str], bytes] = {}
        self._facts: dict[tuple[Deployment, str, str, bytes, CachePolicy], AnswerFacts] = {}
        most = int(settings.max_mb * MEGABYTE)
        self._recordings.most, self._recordings.largest = most, min(settings.max_answer_kb * 1024, most)
        self.store.resize(most)

    def sample(self) -> CacheSample | None:
        """For metrics. ``None``: the cache is off."""
        if not self._settings.enabled:
            return None
        counters, glance = self.counters, self.store.glance()
        results = {name: getattr(counters, name) for name in ("hit", "stale", "miss", "bypass")}
        size = (-1, -1) if self.store.shared else (glance.answers, glance.size)
        return CacheSample(results, counters.cost / NANO, counters.input, counters.output, glance.evicted, *size)

    # -- once per request --------------------------------------------------------------------------

    def answer(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> Awaitable[None]:
        """Answer a call, from the cache or by a provider. Raises ClientFault for a wrong header, and what these do."""
        exchange, request = responder.exchange, responder.request
        headers, settings, endpoint = request.headers, self._settings, exchange.endpoint
        directives = directives_of(headers, request.rare)
        policy = self._rules.find(exchange.model, exchange.caller, headers) if directives.keep else None
        if policy is None or refusal(endpoint, call, settings.max_temperature, self._allow) is not None:
            return self._pass_by(dispatcher, responder, plan, call, directives)
        key = request_key(self._prefix(responder, policy), call, counted(request.raw_headers, self._countings))
        tags = tags_of(headers) if request.rare and TAGS in headers else ()
        wanted = Wanted(dispatcher, responder, plan, call, key, policy, directives, tags)
        found = self.store.find(key)
        return self._answered(wanted, found) if isinstance(found, tuple) else self._answered_later(wanted, found)

    def _pass_by(
        self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call, directives: Directives
    ) -> Awaitable[None]:
        self.counters.bypass += 1
        responder.exchange.cache = "bypass"
        responder.request.response_lines += BYPASS
        if directives.only:
            raise not_cached()
        return self._dispatch(dispatcher, responder, plan, call)

    async def _answered_later(self, wanted: Wanted, found: Awaitable[Found]) -> None:
        await self._answered(wanted, await found)

    def _answered(self, wanted: Wanted, found: Found, *, waits: bool = True) -> Awaitable[None]:
        directives, (answer, wanted.moment) = wanted.directives, found
        if answer is not None and directives.look:
            if self._is_fresh(answer, directives):
                return self._hit(wanted, answer)
            if directives is USUAL and answer.facts.stale:
                wanted.stale = answer
        if directives.only:
            self._note_miss(wanted.responder)
            raise not_cached()
        flight = self._flights.get(wanted.key)
        if flight is not None and waits and directives is USUAL and self._settings.wait_secs:
            return self._follow(wanted, flight)
        return self._lead(wanted)

    def _is_fresh(self, answer: CachedAnswer, directives: Directives) -> bool:
        age = self._wall() - answer.at
        if age >= answer.facts.ttl:
            return False
        return directives is USUAL or directives.max_age is None or age <= directives.max_age

    # -- from the cache ----------------------------------------------------------------------------

    def _hit(self, wanted: Wanted, answer: CachedAnswer) -> Awaitable[None]:
        counters, responder = self.counters, wanted.responder
        counters.hit += 1
        self._note_saved(responder, answer)
        responder.exchange.cache = "hit"
        responder.request.response_lines += HIT
        return replay(responder, answer, "hit", self._age(answer))

    async def _give_stale(self, wanted: Wanted, answer: CachedAnswer) -> None:
        self.counters.stale += 1
        responder = wanted.responder
        request = responder.request
        self._note_saved(responder, answer)
        responder.exchange.cache = "stale"
        request.response_lines = request.response_lines.replace(MISS, STALE)
        await replay(responder, answer, "stale", self._age(answer))

    async def _follow(self, wanted: Wanted, flight: Flight) -> None:
        answer = await flight.follow(self._settings.wait_secs)
        if answer is None:
            await self._answered(wanted, (None, wanted.moment), waits=False)
            return
        self.counters.waited += 1
        await self._hit(wanted, answer)

    def _age(self, answer: CachedAnswer) -> int:
        return max(0, int(self._wall() - answer.at))

    def _note_saved(self, responder: Responder, answer: CachedAnswer) -> None:
        counters = self.counters
        counters.cost += answer.cost or 0
        counters.input += answer.input or 0
        counters.output += answer.output or 0
        responder.exchange.saved = answer.cost

    # -- by a provider -----------------------------------------------------------------------------

    async def _lead(self, wanted: Wanted) -> None:
        key, store, flights = wanted.key, self.store, self._flights
        flight = Flight()
        if flights.setdefault(key, flight) is not flight:  # it does not wait for the other one
            await self._ask(wanted)
            return
        answer: CachedAnswer | None = None
        leads = False
        try:
            if store.shared and wanted.directives is USUAL and self._settings.wait_secs:
                leads = await store.lead(key, self._settings.wait_secs)
                if not leads:
                    answer = await wait_for_leader(store, key, self._settings.wait_secs)
            if answer is None:
                answer = await self._ask(wanted)
                return
        finally:
            del flights[key]
            flight.land(answer)
            if leads:
                await store.release(key)
        self.counters.waited += 1
        await self._hit(wanted, answer)

    async def _ask(self, wanted: Wanted) -> CachedAnswer | None:
        """Let a provider answer. Returns what was stored."""
        responder = wanted.responder
        recorder = AnswerRecorder(responder.outlet, responder.exchange, self._recordings)
        responder.outlet = recorder
        self._note_miss(responder)
        try:
            await self._dispatch(wanted.dispatcher, responder, wanted.plan, wanted.call)
        except GatewayError as fault:
            if not recorder.whole:
                stale = wanted.stale
                if stale is None or responder.outlet.begun or not _is_of_providers(fault):
                    raise
                responder.outlet = recorder.outlet
                await self._give_stale(wanted, stale)
        finally:
            stored = self._stored(wanted, recorder) if recorder.whole else None
            recorder.release()
        if stored is not None:
            self.counters.stored += 1
            storing = self.store.put(wanted.key, stored, wanted.moment)
            if storing is not None:
                await storing
        return stored

    def _stored(self, wanted: Wanted, recorder: AnswerRecorder) -> CachedAnswer | None:
        """What is stored of a whole answer. ``None``: the fallback's, as the client asked for another model."""
        exchange = wanted.responder.exchange
        if exchange.fallback_used or exchange.outcome not in ("", "ok"):
            return None
        deployment, usage = exchange.attempts[-1].deployment, exchange.usage
        facts = self._facts_of(wanted, recorder, deployment)
        tokens = (None, None) if usage is None else (usage.input, usage.output)
        return CachedAnswer(recorder.body(), facts, self._wall(), cost_so_far(exchange), *tokens)

    def _facts_of(self, wanted: Wanted, recorder: AnswerRecorder, deployment: Deployment) -> AnswerFacts:
        exchange, policy, known = wanted.responder.exchange, wanted.policy, self._facts
        key = deployment, exchange.model, exchange.response_model, recorder.content_type, policy
        facts = known.get(key)
        if facts is None or wanted.tags or recorder.lines:
            facts = AnswerFacts(
                recorder.streams,
                recorder.content_type,
                recorder.lines,
                exchange.model,
                deployment.provider.name,
                deployment.name,
                exchange.request_model,
                exchange.response_model,
                wanted.tags,
                policy.ttl,
                self._settings.stale_secs,
            )
            if not (wanted.tags or recorder.lines):
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                known[key] = facts
        return facts

    def _note_miss(self, responder: Responder) -> None:
        self.counters.miss += 1
        responder.exchange.cache = "miss"
        responder.request.response_lines += MISS

    # -- what a key begins with --------------------------------------------------------------------

    def _prefix(self, responder: Responder, policy: CachePolicy) -> bytes:
        exchange, route = responder.exchange, responder.route
        assert route is not None
        client, query = exchange.caller, responder.request.query
        place = exchange.endpoint.path, client, policy, route.pinned, query
        prefix = self._prefixes.get(place)
        if prefix is None:
            access = exchange.access
            asked = Asked(
                self._version,
                scope_of(policy.scope, client),
                "" if access is ALL else _encode(access).decode(),
                exchange.endpoint.path,
                "" if route.pinned is None else route.pinned.name,
                query,
            )
            if len(self._prefixes) >= _MOST_KNOWN:
                self._prefixes.clear()
            prefix = self._prefixes[place] = prefix_of(asked)
        return prefix


def version_of(config: Config) -> str:
    """A hash of what decides who answers a request, and how. Without the keys of providers, which may be replaced."""
    providers = {name: structs.replace(each, api_key=UNSET, api_keys=UNSET) for name, each in config.providers.items()}
    fallback, translate = config.routing.fallback, config.translate
    parts = (config.models, providers, config.aliases, config.hooks, fallback, translate, config.default_provider)
    return sha256(_encode(parts)).hexdigest()[:32]


def not_cached() -> GatewayError:
    """RFC 9111, section 5.2.1.7."""
    return GatewayError(_GONE, status=504, code="not_cached")


def _is_of_providers(fault: GatewayError) -> bool:
    """Whether no provider could answer, so that a stale answer is better than none."""
    return not isinstance(fault, ClientFault) and (fault.status >= 500 or fault.status == 429)
