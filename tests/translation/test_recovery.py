"""A stream that breaks, and a second provider that speaks another API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support import Upstream, sse_answer
from tests.support.gateway import Gateway
from tests.translation import chat_provider, messages_provider
from tests.translation.cells import CALLS, HI, OLD_CLAUDE, Json
from tests.translation.rig import FINE, USUAL, StrictProvider, config, events_of
from tests.translation.sdks import ask, sdk_of

ORDERS = [("chat", "messages"), ("messages", "chat")]
EACH_ORDER = pytest.mark.parametrize("order", ORDERS, ids=["chat breaks", "messages break"])
MADE: Any = {"chat": chat_provider, "messages": messages_provider}
MODELS = {"chat": "glm-5.3", "messages": OLD_CLAUDE}


def broken(api: str) -> list[Any]:
    """A stream with an error after the first piece of its text."""
    events = events_of(api, USUAL[api])
    first = next(at for at, event in enumerate(events) if FINE[:4].encode() in event)
    error = MADE[api].error_event("Broken on purpose.")
    return sse_answer(*events[: first + 1], error)


@asynccontextmanager
async def two(order: tuple[str, str], recovery: str) -> AsyncIterator[tuple[Gateway, StrictProvider, StrictProvider]]:
    """Model ``m`` at two providers of different APIs, the first of which breaks its first stream."""
    first, second = (StrictProvider(api, heads=False) for api in order)
    first.scripts.append(broken(order[0]))
    async with Upstream() as one, Upstream() as other:
        one.on(first)
        other.on(second)
        providers: Json = {}
        models = []
        for name, up, api in (("one", one, order[0]), ("other", other, order[1])):
            providers[name] = config(up, api)["providers"]["up"]
            models.append({"name": "m", "provider": name, "model": MODELS[api], "prefill": True})
        routing = {"streamRecovery": recovery, "maxRetries": 2, "rateLimitRetries": 0}
        async with Gateway({"providers": providers, "models": models, "routing": routing}) as gw:
            yield gw, first, second


@EACH_ORDER
@pytest.mark.parametrize("client", ["messages", "chat", "responses"])
async def test_a_held_stream_is_begun_again_by_a_provider_of_another_api(client: str, order: tuple[str, str]) -> None:
    async with two(order, "hold") as (gw, first, second), sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client], stream=True)
        line = await gw.settled()
    assert FINE in str(said.answer)
    assert (len(first.asked), len(second.asked), line["attempts"]) == (1, 1, 2)
    assert (first.refused, second.refused) == ([], [])


@EACH_ORDER
async def test_a_stream_of_chat_is_continued_by_a_model_of_another_api_that_takes_a_prefix(
    order: tuple[str, str],
) -> None:
    async with two(order, "continue") as (gw, _, second), sdk_of("chat", gw) as sdk:
        rest = FINE[4:]
        whole = {
            "chat": chat_provider.answer(content=rest),
            "messages": messages_provider.answer(messages_provider.text(rest)),
        }
        second.answers.append(whole[order[1]])
        stream = await sdk.chat.completions.create(**CALLS["chat"], stream=True)
        chunks = [chunk async for chunk in stream]
        line = await gw.settled()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == FINE
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert line["attempts"] == 2
    assert second.asked[0]["messages"][-1]["role"] == "assistant"
    assert FINE.startswith(second.asked[0]["messages"][-1]["content"][0]["text"])
    assert second.asked[0]["messages"][0]["content"][0]["text"] == HI["content"]
