"""Answers with parts that no other API has: the client gets the rest, and is told what is missing."""

from __future__ import annotations

import pytest

from tests.translation import chat_provider, gemini_provider, messages_provider, responses_provider
from tests.translation.cells import CALLS, PAIRS, Api, Json, Pair, Word
from tests.translation.rig import FINE, StrictProvider, served
from tests.translation.sdks import ask, sdk_of

UNSAYABLE = "Part of an answer that no other API has"
PLACE = "Place in a cited document"

# By provider: its answer, and the names of what is missing.
OTHERS: dict[Api, tuple[Json, list[str]]] = {
    "chat": (
        chat_provider.answer(content=FINE, images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]),
        ["images"],
    ),
    "responses": (
        responses_provider.answer(
            {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "QQ=="},
            responses_provider.text(FINE, phase="final_answer"),
        ),
        ["web_search_call", "image_generation_call", "phase"],
    ),
    "messages": (
        messages_provider.answer(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            messages_provider.text(FINE),
            finish="pause_turn",
        ),
        ["server_tool_use", "web_search_tool_result", "pause_turn"],
    ),
    "gemini": (
        gemini_provider.answer(
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
            gemini_provider.text(FINE),
            groundingMetadata={"webSearchQueries": ["x"]},
        ),
        ["executableCode", "codeExecutionResult", "inlineData", "groundingMetadata.webSearchQueries"],
    ),
}  # fmt: skip
CHUNK: Json = {"type": "content_block_location", "document_index": 0, "document_title": "A", "cited_text": ""}
CITES = messages_provider.answer(
    messages_provider.text(FINE, citations=[CHUNK | {"start_block_index": 1, "end_block_index": 2}])
)
LOSSES: list[tuple[str, Pair, Json, list[str]]] = [
    *((UNSAYABLE, pair, *OTHERS[pair.provider]) for pair in PAIRS),
    *((PLACE, pair, CITES, ["citations.start_block_index"]) for pair in PAIRS if pair.provider == "messages"),
]
PROVEN: dict[str, dict[Pair, Word]] = {  # cells of the tables
    row: {pair: "told" for each, pair, *_ in LOSSES if each == row} for row in (UNSAYABLE, PLACE)
}
OF_EACH = pytest.mark.parametrize(
    ("pair", "answer", "lost"),
    [(pair, answer, lost) for _, pair, answer, lost in LOSSES],
    ids=[f"{row}-{pair}" for row, pair, *_ in LOSSES],
)
STREAMS: dict[Api, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}


def provider_of(api: Api, answer: Json) -> StrictProvider:
    provider = StrictProvider(api)
    provider.answers.append(answer)
    return provider


@OF_EACH
async def test_the_head_of_a_plain_answer_tells_what_is_missing(pair: Pair, answer: Json, lost: list[str]) -> None:
    client, api = pair
    async with served(provider_of(api, answer)) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client], stream=False)
    assert FINE in str(said.answer)
    assert said.dropped == lost
    if client in ("chat", "responses"):
        assert said.answer["_router"]["dropped"] == lost


@OF_EACH
async def test_the_log_and_the_metadata_of_a_stream_tell_what_is_missing(
    pair: Pair, answer: Json, lost: list[str]
) -> None:
    client, api = pair
    call = CALLS[client] | ({} if client == "gemini" else {"stream": True})
    async with served(provider_of(api, answer)) as gw:
        raw = await gw.client()
        found = await raw.fetch("POST", STREAMS[client], json=call, headers=[("x-router-metadata", "true")])
        line = await gw.settled()
    assert line["dropped"] == lost
    comments = [each for each in found.body.decode().splitlines() if each.startswith(": _router ")]
    if client == "gemini":  # whose SDKs raise on comments
        assert comments == []
    else:
        assert all(f'"{name}"' in comments[0] for name in lost)
