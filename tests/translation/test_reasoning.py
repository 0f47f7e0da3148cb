"""Reasoning that a client sends back with the result of a tool, as the provider's rules want it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.blobs import pack
from proxy.dialects.translation.conversation import Blob
from tests.translation import chat_provider, messages_provider
from tests.translation.cases.tools import ROOM, ROOM_TEXT, c_tool, m_tool, r_tool
from tests.translation.cells import C_M, CALLS, HI, M_C, PAIRS, R_C, R_M, Json, Pair, Word, canonical, missing
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

# Cells of the table that this file proves.
PROVEN: dict[str, dict[Pair, Word]] = {
    "Reasoning text sent back": {M_C: "yes", R_C: "yes"},
    "Signature round trip": dict.fromkeys(PAIRS, "yes"),
    "Redacted or encrypted reasoning": dict.fromkeys(PAIRS, "yes"),
    "Reasoning of another provider": dict.fromkeys(PAIRS, "told"),
}

THOUGHT = "Let me look at the weather."
SIGNATURE = "c2lnbmF0dXJlK29mL3RoZStwcm92aWRlci8="
TOOLS = {"messages": m_tool(), "chat": c_tool(), "responses": r_tool()}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])

DETAILS: Json = {"type": "reasoning.text", "text": THOUGHT, "signature": SIGNATURE, "format": "anthropic-claude-v1"}
SEALED: Json = {"type": "reasoning.encrypted", "data": SIGNATURE, "format": "openai-responses-v1"}
THINKING: Json = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
REDACTED: Json = {"type": "redacted_thinking", "data": SIGNATURE}
C_CALL = chat_provider.call("call_1", "weather", ROOM_TEXT)
M_CALL = messages_provider.call("toolu_1", "weather", **ROOM)


def chat_answer(**message: Any) -> Json:
    return chat_provider.answer("tool_calls", tool_calls=[C_CALL], **message)


def messages_answer(*thinking: Json) -> Json:
    return messages_provider.answer(*thinking, M_CALL, finish="tool_use")


def next_call(client: str, call: Json, answer: Json) -> Json:
    """The call that sends an answer back, with the result of its tool."""
    if client == "responses":
        # The member ``status`` is only for answers.
        output = [{name: value for name, value in item.items() if name != "status"} for item in answer["output"]]
        (call_id,) = [item["call_id"] for item in output if item["type"] == "function_call"]
        result = {"type": "function_call_output", "call_id": call_id, "output": "Sunny"}
        return call | {"input": [HI, *output, result]}
    if client == "chat":
        message = answer["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Sunny"}
        return call | {"messages": [HI, message, result]}
    (call_id,) = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
    turn = {"role": "assistant", "content": answer["content"]}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "Sunny"}
    return call | {"messages": [HI, turn, {"role": "user", "content": [result]}]}


async def sent_back(pair: Pair, answer: Json, *, stream: bool, **options: Any) -> tuple[Json, list[str], list[str]]:
    """The assistant's turn that the provider gets back, what is told of the second call, and what is refused."""
    client, _, api = pair.split()
    provider = StrictProvider(api, signatures={SIGNATURE}, server=options.get("at", ""))
    provider.answers.append(answer)
    call = CALLS[client] | {"tools": [TOOLS[client]]}
    if client == "responses":
        call |= {"include": ["reasoning.encrypted_content"], "store": False}
    async with served(provider, **options) as gw, sdk_of(client, gw) as sdk:
        first = await ask(client, sdk, call, stream=stream)
        again = await ask(client, sdk, next_call(client, call, first.answer), stream=stream)
    assert provider.refused == []
    return provider.asked[1]["messages"][1], first.dropped + again.dropped, provider.refused


@STREAMED
@pytest.mark.parametrize("pair", [M_C, R_C])
async def test_the_text_of_reasoning_comes_back_to_a_provider_that_wants_it(pair: Pair, stream: bool) -> None:
    turn, dropped, _ = await sent_back(pair, chat_answer(reasoning_content=THOUGHT), stream=stream)
    assert turn == {"role": "assistant", "reasoning_content": THOUGHT, "tool_calls": [C_CALL]}
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", [C_M, R_M])
async def test_signed_thinking_comes_back_to_claude_unchanged(pair: Pair, stream: bool) -> None:
    turn, dropped, _ = await sent_back(pair, messages_answer(THINKING), stream=stream)
    assert turn == {"role": "assistant", "content": [THINKING, M_CALL]}
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", [C_M, R_M])
async def test_redacted_thinking_comes_back_to_claude_unchanged(pair: Pair, stream: bool) -> None:
    turn, dropped, _ = await sent_back(pair, messages_answer(THINKING, REDACTED), stream=stream)
    assert turn == {"role": "assistant", "content": [THINKING, REDACTED, M_CALL]}
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", [M_C, R_C])
@pytest.mark.parametrize("details", [DETAILS, SEALED], ids=["signed", "encrypted"])
async def test_reasoning_details_come_back_to_a_chat_provider_unchanged(
    pair: Pair, details: Json, stream: bool
) -> None:
    answer = chat_answer(reasoning=details.get("text"), reasoning_details=[details])
    turn, dropped, _ = await sent_back(pair, answer, stream=stream, at="openrouter")
    assert missing({"role": "assistant", "tool_calls": [C_CALL]}, turn) == []
    (found,) = turn["reasoning_details"]
    assert (
        missing({name: details[name] for name in ("type", "data", "signature", "text") if name in details}, found) == []
    )
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", [M_C, R_C])
async def test_googles_signature_of_a_call_comes_back_with_the_call(pair: Pair, stream: bool) -> None:
    signed = C_CALL | {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    answer = chat_provider.answer("tool_calls", tool_calls=[signed])
    turn, dropped, _ = await sent_back(pair, answer, stream=stream)
    assert turn["tool_calls"] == [signed]
    assert dropped == []


FOREIGN = pack(Blob("Zm9yZWlnbg=="), "another-issuer")


@STREAMED
@pytest.mark.parametrize("pair", PAIRS)
async def test_reasoning_of_another_provider_is_left_out_and_told(pair: Pair, stream: bool) -> None:
    client, _, api = pair.split()
    history: Json = {
        "messages": {"messages": [HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": THOUGHT, "signature": FOREIGN}, {"type": "text", "text": "Yes?"}]}, HI]},
        "chat": {"messages": [HI, {"role": "assistant", "content": "Yes?", "reasoning_details": [DETAILS | {"signature": FOREIGN}]}, HI]},
        "responses": {"input": [HI, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": FOREIGN}, {"role": "assistant", "content": "Yes?"}, HI]},
    }[client]  # fmt: skip
    provider = StrictProvider(api)
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client] | history, stream=stream)
    assert provider.refused == []
    assert "Zm9yZWlnbg" not in str(provider.asked)
    turn = {"role": "assistant", "content": "Yes?"}
    assert missing(canonical({"messages": [turn]})["messages"], provider.asked[0]["messages"][1:2]) == []
    assert said.dropped
