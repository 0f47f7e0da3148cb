"""Usage in streams: an estimate at the start of a message, and a chunk of chat only for clients that want it."""

from __future__ import annotations

import json

import pytest

from tests.translation.cells import C_M, CALLS, HI, M_C, R_C, R_M, Json
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

LONG = "word " * 400


async def test_a_message_starts_with_an_estimate_and_ends_with_the_truth() -> None:
    """Claude Code shows how full its context is by these."""
    call = CALLS["messages"] | {"messages": [HI | {"content": LONG}]}
    async with served(StrictProvider("chat")) as gw, sdk_of("messages", gw) as sdk:
        said = await ask("messages", sdk, call, stream=True)
    estimate = said.events[0]["message"]["usage"]["input_tokens"]
    assert 200 < estimate < 800
    (end,) = (event for event in said.events if event["type"] == "message_delta")
    assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (70, 30)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_chat_client_gets_the_usage_of_a_stream_if_it_wants_it(wanted: bool) -> None:
    call: Json = CALLS["chat"] | {"stream": True, "stream_options": {"include_usage": wanted}}
    async with served(StrictProvider("messages")) as gw:
        answer = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=call)
        line = await gw.settled()
    chunks = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if chunk.get("usage")] == [130] * wanted
    assert line["tokens"] == {"input": 80, "cached": 20, "output": 25, "reasoning": 5}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pair", [M_C, R_C, C_M, R_M])
async def test_the_log_has_the_usage_of_the_provider(pair: str, stream: bool) -> None:
    client, _, api = pair.split()
    async with served(StrictProvider(api)) as gw, sdk_of(client, gw) as sdk:
        await ask(client, sdk, CALLS[client], stream=stream)
        line = await gw.settled()
    assert line["tokens"] == {"input": 80, "cached": 20, "output": 25, "reasoning": 5}
