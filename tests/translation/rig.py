"""A gateway between an SDK and a strict provider that speaks another API."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

from tests.support import Upstream, json_answer, sse_answer
from tests.support.gateway import Gateway
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.translation import chat_provider, chat_rules, messages_provider, messages_rules
from tests.translation.cells import CHAT_MODEL, CLAUDE, Json, canonical

FINE = "Fine, thanks."
USUAL = {
    "chat": chat_provider.answer(content=FINE),
    "messages": messages_provider.answer(messages_provider.text(FINE)),
}


class StrictProvider:
    """Answers as it is told, but refuses what a real provider does. ``asked``: the bodies that it took.

    ``scripts`` are used up before ``answers``, and ``answers`` before the usual one. ``signatures``: of its own.
    ``server``: name of the known one that it is. ``heads``: whether it judges the head of a request, as well, which may have nothing of another API.
    """

    def __init__(self, api: str, signatures: Collection[str] = (), *, server: str = "", heads: bool = True) -> None:
        self.api = api
        self._server = server
        self.heads = heads
        self.refused: list[str] = []
        self.asked: list[Json] = []
        self.requests: list[Request] = []
        self.answers: deque[Json] = deque()
        self.scripts: deque[Script] = deque()
        self._signatures = signatures

    def __call__(self, request: Request) -> Script:
        self.requests.append(request)
        reasons = list(self._reasons(request))
        made = chat_provider if self.api == "chat" else messages_provider
        if reasons:
            self.refused += reasons
            return json_answer(made.error(reasons[0], 400), 400)
        body = request.json
        self.asked.append(canonical(body))
        if self.scripts:
            return self.scripts.popleft()
        answer = self.answers.popleft() if self.answers else USUAL[self.api]
        if not body.get("stream"):
            return json_answer(answer)
        return sse_answer(*events_of(self.api, answer))

    def _reasons(self, request: Request) -> Iterator[str]:
        if self.api == "chat":
            yield from chat_rules.of_head(request) if self.heads else ()
            yield from chat_rules.of_body(request.json, self._server)
        else:
            yield from messages_rules.of_head(request) if self.heads else ()
            yield from messages_rules.of_body(request.json, self._signatures)


def events_of(api: str, answer: Json) -> list[bytes]:
    """A whole answer as the provider streams it. Calls take turns, as some providers write them."""
    if api == "chat":
        return chat_provider.chunks(answer, interleaved=True)
    return messages_provider.events(answer)


def config(up: Upstream, api: str, *, model: str = "", at: str = "", **sections: Any) -> Json:
    """A provider that speaks only ``chat`` or ``messages``. ``at``: name of a known one that it is."""
    provider: Json = {"baseUrl": up.url}
    if api == "chat":
        provider |= {"apiKey": chat_rules.KEY, "dialects": {"responses": {"enabled": False}}}
    else:
        provider |= {"apiKey": messages_rules.KEY, "kind": "anthropic"}
    usual = CHAT_MODEL if api == "chat" else CLAUDE
    name = at or "up"
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {name: provider},
        "models": [{"name": "m", "provider": name, "model": model or usual}],
    } | sections


@asynccontextmanager
async def served(provider: StrictProvider, **options: Any) -> AsyncIterator[Gateway]:
    """A gateway before the provider; ``options`` are those of ``config``.

    Known servers are told apart by their host. Here, where all have the same, by the provider's name.
    """
    async with Upstream() as up:
        up.on(provider)
        with mock.patch("proxy.routing.model_facts.server_name", lambda name, base_url: name):
            gateway = Gateway(config(up, provider.api, **options))
            await gateway.__aenter__()
        try:
            yield gateway
        finally:
            await gateway.__aexit__(None, None, None)
