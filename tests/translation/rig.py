"""A gateway between an SDK and a strict provider that speaks another API."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from unittest import mock

from tests.support import Upstream, json_answer, sse_answer
from tests.support.gateway import Gateway
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.translation.cells import MODELS, Api, Json, canonical
from tests.translation.providers import FINE, SCRIPTED, signatures_of

__all__ = ["FINE", "USUAL", "StrictProvider", "config", "events_of", "served"]

USUAL: dict[str, Json] = {api: scripted.answer for api, scripted in SCRIPTED.items()}


class StrictProvider:
    """Answers as it is told, but refuses what a real provider does. ``asked``: the bodies that it took.

    ``scripts`` are used up before ``answers``, and ``answers`` before the usual one. ``signatures``: of its own, beside
    those in its answers. ``server``: name of the known one that it is. ``judges``: what of a request it judges.
    """

    def __init__(
        self, api: Api, signatures: Collection[str] = (), *, server: str = "", heads: bool = True, bodies: bool = True
    ) -> None:
        self.api: Api = api
        self.scripted = SCRIPTED[api]
        self._server = server or self.scripted.server
        self._judges = (heads, bodies)
        self.refused: list[str] = []
        self.asked: list[Json] = []
        self.requests: list[Request] = []
        self.answers: deque[Json] = deque()
        self.scripts: deque[Script] = deque()
        self._signatures = set(signatures)

    def __call__(self, request: Request) -> Script:
        self.requests.append(request)
        reasons = self._reasons(request)
        if reasons:
            self.refused += reasons
            return json_answer(self.scripted.error(reasons[0], 400), 400)
        self.asked.append(canonical(request.json))
        if self.scripts:
            return self.scripts.popleft()
        answer = self.answers.popleft() if self.answers else self.scripted.answer
        self._signatures |= signatures_of(answer)
        if request.json.get("stream") or "streamGenerateContent" in request.target:
            return sse_answer(*self.scripted.events(answer))
        return json_answer(answer)

    def _reasons(self, request: Request) -> list[str]:
        heads, bodies = self._judges
        found = list(self.scripted.head(request)) if heads else []
        return found + (list(self.scripted.body(request, self._server, self._signatures)) if bodies else [])


def events_of(api: Api, answer: Json) -> list[bytes]:
    """A whole answer as the provider streams it."""
    return SCRIPTED[api].events(answer)


def config(up: Upstream, api: Api, *, model: str = "", at: str = "", **sections: Any) -> Json:
    """A provider that speaks only this API. ``at``: name of a known one that it is."""
    scripted = SCRIPTED[api]
    base_url = f"{up.origin}/v1beta" if api == "gemini" else up.url
    name = at or scripted.server or "up"
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "translate": {"fetch": {"enabled": False}},  # the tables say what a provider takes
        "providers": {name: {"baseUrl": base_url} | scripted.settings},
        "models": [{"name": "m", "provider": name, "model": model or MODELS[api]}],
    } | sections


@asynccontextmanager
async def served(provider: StrictProvider, **options: Any) -> AsyncIterator[Gateway]:
    """A gateway before the provider; ``options`` are those of ``config``."""
    async with _started(provider.api, **options) as (up, gateway):
        up.on(provider)
        yield gateway


class Gateways:
    """Gateways that serve several tests, as starting one takes longer than a call: one for each kind of provider."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._started: dict[tuple[str, ...], tuple[Upstream, Gateway]] = {}

    async def __aenter__(self) -> Gateways:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def before(self, provider: StrictProvider, *, model: str = "", at: str = "") -> Gateway:
        """The gateway before this provider, until the next test. The options are those of ``config``."""
        kind = (provider.api, model, at)
        if kind not in self._started:
            self._started[kind] = await self._stack.enter_async_context(_started(provider.api, model=model, at=at))
        up, gateway = self._started[kind]
        up.on(provider)
        return gateway


@asynccontextmanager
async def _started(api: Api, **options: Any) -> AsyncIterator[tuple[Upstream, Gateway]]:
    """A gateway and its provider, which does not answer yet.

    Known servers are told apart by their host. Here, where all have the same, by the provider's name.
    """
    async with Upstream() as up:
        with mock.patch("proxy.routing.model_facts.server_name", lambda name, base_url: name):
            gateway = Gateway(config(up, api, **options))
            await gateway.__aenter__()
        try:
            yield up, gateway
        finally:
            await gateway.__aexit__(None, None, None)
