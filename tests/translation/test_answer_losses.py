"""Answers with parts that no other API has: the client gets the rest, and is told what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translation import chat_provider, messages_provider
from tests.translation.cells import C_M, CALLS, M_C, PAIRS, R_C, R_M, Json, Pair, Word
from tests.translation.rig import FINE, StrictProvider, served
from tests.translation.sdks import ask, sdk_of

PROVEN: dict[str, dict[Pair, Word]] = {  # cells of the table
    "Part of an answer that no other API has": dict.fromkeys(PAIRS, "told"),
}

IMAGE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
OF_CHAT = chat_provider.answer(content=FINE, images=[IMAGE])
OF_MESSAGES = messages_provider.answer(
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    messages_provider.text(FINE),
    finish="pause_turn",
)
LOST = {
    M_C: ["images"],
    R_C: ["images"],
    C_M: ["server_tool_use", "web_search_tool_result", "pause_turn"],
    R_M: ["server_tool_use", "web_search_tool_result", "pause_turn"],
}


def provider_of(pair: Pair) -> StrictProvider:
    provider = StrictProvider(pair.rpartition(" ")[2])
    provider.answers.append(OF_CHAT if provider.api == "chat" else OF_MESSAGES)
    return provider


@pytest.mark.parametrize("pair", PAIRS)
async def test_the_head_of_a_plain_answer_tells_what_is_missing(pair: Pair) -> None:
    client = pair.partition(" ")[0]
    async with served(provider_of(pair)) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client], stream=False)
    assert FINE in str(said.answer)
    assert said.dropped == LOST[pair]
    if client != "messages":
        assert said.answer["_router"]["dropped"] == LOST[pair]


@pytest.mark.parametrize("pair", PAIRS)
async def test_the_metadata_of_a_stream_tell_what_is_missing(pair: Pair) -> None:
    client = pair.partition(" ")[0]
    path = {"chat": "chat/completions"}.get(client, client)
    call: dict[str, Any] = CALLS[client] | {"stream": True}
    async with served(provider_of(pair)) as gw:
        raw = await gw.client()
        answer = await raw.fetch("POST", f"/v1/{path}", json=call, headers=[("x-router-metadata", "true")])
        line = await gw.settled()
    assert line["dropped"] == LOST[pair]
    comment = next(line for line in answer.body.decode().splitlines() if line.startswith(": _router "))
    assert all(f'"{name}"' in comment for name in LOST[pair])
