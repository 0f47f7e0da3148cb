"""Usage in streams: an estimate at the start of a message, and a chunk of chat only for clients that want it."""

from __future__ import annotations

import json

import pytest

from tests.translation.cells import CALLS, HI, PAIRS, Api, Json, Pair
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

LONG = "word " * 400
COUNTS: Json = {"input": 80, "cached": 20, "output": 25, "reasoning": 5}
# Google counts nothing that is new in a cache.
LOGGED: dict[Api, Json] = dict.fromkeys(("chat", "responses", "messages"), COUNTS) | {"gemini": COUNTS | {"input": 70}}


@pytest.mark.parametrize("api", ["chat", "responses", "gemini"])
async def test_a_message_starts_with_an_estimate_and_ends_with_the_truth(api: Api) -> None:
    """Claude Code shows how full its context is by these."""
    call = CALLS["messages"] | {"messages": [HI | {"content": LONG}]}
    async with served(StrictProvider(api)) as gw, sdk_of("messages", gw) as sdk:
        said = await ask("messages", sdk, call, stream=True)
    estimate = said.events[0]["message"]["usage"]["input_tokens"]
    assert 200 < estimate < 800
    (end,) = (event for event in said.events if event["type"] == "message_delta")
    assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (70, 30)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(("api", "total"), [("responses", 130), ("messages", 130), ("gemini", 120)])
async def test_a_chat_client_gets_the_usage_of_a_stream_if_it_wants_it(api: Api, total: int, wanted: bool) -> None:
    call: Json = CALLS["chat"] | {"stream": True, "stream_options": {"include_usage": wanted}}
    async with served(StrictProvider(api)) as gw:
        answer = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=call)
        line = await gw.settled()
    chunks = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if chunk.get("usage")] == [total] * wanted
    assert line["tokens"] == LOGGED[api]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_the_log_has_the_usage_of_the_provider(pair: Pair, stream: bool) -> None:
    async with served(StrictProvider(pair.provider)) as gw, sdk_of(pair.client, gw) as sdk:
        await ask(pair.client, sdk, CALLS[pair.client], stream=stream)
        line = await gw.settled()
    assert line["tokens"] == LOGGED[pair.provider]
