"""Reasoning that a client sends back with the results of tools, as the provider's rules want it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini import signatures
from proxy.dialects.translation.blobs import pack
from proxy.dialects.translation.conversation import Blob
from tests.translation import chat_provider, gemini_provider, messages_provider, responses_provider
from tests.translation.cases.content import assistant, g_turn, user
from tests.translation.cases.tools import ROOM, ROOM_TEXT, g_called, g_result, r_called, tools
from tests.translation.cells import CALLS, G_HI, HI, PAIRS, Api, Json, Pair, Word, missing
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

THOUGHT = "Let me look at the weather."
SIGNATURE = "c2lnbmF0dXJlK29mL3RoZStwcm92aWRlci8="
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
# The known server that a provider of chat is: others send no blobs.
SERVERS: dict[Api, str] = {"chat": "openrouter"}

DETAILS: Json = {"type": "reasoning.text", "text": THOUGHT, "signature": SIGNATURE, "format": "anthropic-claude-v1"}
SEALED: Json = {"type": "reasoning.encrypted", "data": SIGNATURE, "format": "openai-responses-v1"}
THINKING: Json = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
REDACTED: Json = {"type": "redacted_thinking", "data": SIGNATURE}
SUMMARIZED = responses_provider.reasoning(summary=[THOUGHT], encrypted=SIGNATURE)
ENCRYPTED = responses_provider.reasoning(encrypted=SIGNATURE)
C_CALL = chat_provider.call("call_1", "weather", ROOM_TEXT)
M_CALL = messages_provider.call("toolu_1", "weather", **ROOM)
R_CALL = responses_provider.call("call_1", "weather", ROOM_TEXT)


def chat_answer(**message: Any) -> Json:
    return chat_provider.answer("tool_calls", tool_calls=[C_CALL], **message)


def messages_answer(*thinking: Json) -> Json:
    return messages_provider.answer(*thinking, M_CALL, finish="tool_use")


def gemini_answer(*before: Json) -> Json:
    """Two calls, of which Google signs the first."""
    signed = gemini_provider.call("weather", ROOM, "call_1", thoughtSignature=SIGNATURE)
    return gemini_provider.answer(*before, signed, gemini_provider.call("weather", ROOM, "call_2"))


# By provider: its answer, and the turn of the assistant that it must get back.
SIGNED: dict[Api, tuple[Json, Any]] = {
    "chat": (
        chat_answer(reasoning=THOUGHT, reasoning_details=[DETAILS]),
        {"role": "assistant", "tool_calls": [C_CALL], "reasoning_details": [DETAILS]},
    ),
    "responses": (responses_provider.answer(SUMMARIZED, R_CALL), [SUMMARIZED, r_called()]),
    "messages": (messages_answer(THINKING), {"role": "assistant", "content": [THINKING, M_CALL]}),
    "gemini": (
        gemini_answer(),
        g_turn("model", *g_called(thoughtSignature=SIGNATURE)["parts"], *g_called("call_2")["parts"]),
    ),
}
HIDDEN: dict[Api, tuple[Json, Any]] = {
    "chat": (
        chat_answer(reasoning_details=[SEALED]),
        {"role": "assistant", "tool_calls": [C_CALL], "reasoning_details": [SEALED]},
    ),
    "responses": (responses_provider.answer(ENCRYPTED, R_CALL), [ENCRYPTED, r_called()]),
    "messages": (
        messages_answer(THINKING, REDACTED),
        {"role": "assistant", "content": [THINKING, REDACTED, M_CALL]},
    ),
}
# What a client is told of the text of its reasoning.
THOUGHTS: dict[Api, str] = {
    "chat": "messages[].reasoning_content",
    "responses": "input[reasoning]",
    "messages": "messages[].content[].thinking",
}
WITH_HIDDEN = [pair for pair in PAIRS if pair.provider in HIDDEN]
TO_CHAT = [pair for pair in PAIRS if pair.provider == "chat"]
TO_GEMINI = [pair for pair in PAIRS if pair.provider == "gemini"]

# Cells of the tables that this file proves.
PROVEN: dict[str, dict[Pair, Word]] = {
    "Reasoning text sent back": dict.fromkeys(TO_CHAT, "yes"),
    "Signature round trip": dict.fromkeys(PAIRS, "yes"),
    "Redacted or encrypted reasoning": dict.fromkeys(WITH_HIDDEN, "yes"),
    "Reasoning of another provider": dict.fromkeys(PAIRS, "told"),
}


def first_call(client: Api, *, shown: bool = False) -> Json:
    """A call with a tool. ``shown``: a client of Gemini wants to see thoughts."""
    call = CALLS[client] | tools()[client]
    if client == "responses":
        call |= {"include": ["reasoning.encrypted_content"], "store": False}
    return call | ({"generationConfig": {"thinkingConfig": {"includeThoughts": True}}} if shown else {})


def next_call(client: Api, call: Json, answer: Json) -> Json:
    """The call that sends an answer back, with the results of its tools; with another question if it has none."""
    match client:
        case "chat":
            message = answer["choices"][0]["message"]
            ids = [each["id"] for each in message.get("tool_calls") or ()]
            results: list[Json] = [{"role": "tool", "tool_call_id": each, "content": "Sunny"} for each in ids]
            return call | {"messages": [HI, message, *(results or [HI])]}
        case "responses":
            # The member ``status`` is only for answers.
            output = [{name: value for name, value in item.items() if name != "status"} for item in answer["output"]]
            ids = [item["call_id"] for item in output if item["type"] == "function_call"]
            results = [{"type": "function_call_output", "call_id": each, "output": "Sunny"} for each in ids]
            return call | {"input": [HI, *output, *(results or [HI])]}
        case "messages":
            ids = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": each, "content": "Sunny"} for each in ids]
            return call | {"messages": [HI, assistant(*answer["content"]), user(*results) if results else HI]}
        case "gemini":
            content = answer["candidates"][0]["content"]
            ids = [part["functionCall"]["id"] for part in content["parts"] if "functionCall" in part]
            results = [g_result({"output": "Sunny"}, each) for each in ids]
            return call | {"contents": [G_HI, content, g_turn("user", *results) if results else G_HI]}


def turn_of(api: Api, body: Json) -> Any:
    """The first turn of the assistant in a body; of the Responses API all of its items."""
    if api == "responses":
        return [item for item in body["input"] if item.get("role") != "user" and "output" not in item]
    return body["contents" if api == "gemini" else "messages"][1]


async def sent_back(
    pair: Pair, answer: Json, *, stream: bool, at: str = "", shown: bool = False
) -> tuple[Any, list[str]]:
    """The assistant's turn that the provider gets back, and what the client is told."""
    client, api = pair
    provider = StrictProvider(api, signatures={SIGNATURE}, server=at)
    provider.answers.append(answer)
    call = first_call(client, shown=shown)
    async with served(provider, at=at) as gw, sdk_of(client, gw) as sdk:
        first = await ask(client, sdk, call, stream=stream)
        again = await ask(client, sdk, next_call(client, call, first.answer), stream=stream)
    assert provider.refused == []
    return turn_of(api, provider.asked[1]), first.dropped + again.dropped


@STREAMED
@pytest.mark.parametrize("pair", TO_CHAT, ids=str)
async def test_the_text_of_reasoning_comes_back_to_a_provider_that_wants_it(pair: Pair, stream: bool) -> None:
    turn, dropped = await sent_back(pair, chat_answer(reasoning_content=THOUGHT), stream=stream)
    assert turn == {"role": "assistant", "reasoning_content": THOUGHT, "tool_calls": [C_CALL]}
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_signed_reasoning_comes_back_unchanged(pair: Pair, stream: bool) -> None:
    answer, back = SIGNED[pair.provider]
    turn, dropped = await sent_back(pair, answer, stream=stream, at=SERVERS.get(pair.provider, ""))
    assert missing(back, turn) == []
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", WITH_HIDDEN, ids=str)
async def test_hidden_reasoning_comes_back_unchanged(pair: Pair, stream: bool) -> None:
    answer, back = HIDDEN[pair.provider]
    turn, dropped = await sent_back(pair, answer, stream=stream, at=SERVERS.get(pair.provider, ""))
    assert missing(back, turn) == []
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
async def test_thoughts_that_were_shown_do_not_come_back_twice(api: Api, stream: bool) -> None:
    """They are within the signature as well. Google's SDK for Python sends both, Gemini CLI only the signature."""
    answer, back = SIGNED[api]
    turn, dropped = await sent_back(Pair("gemini", api), answer, stream=stream, at=SERVERS.get(api, ""), shown=True)
    assert missing(back, turn) == []
    assert str(turn).count(THOUGHT) == str(back).count(THOUGHT)
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", TO_CHAT, ids=str)
async def test_googles_signature_of_a_call_comes_back_with_the_call(pair: Pair, stream: bool) -> None:
    signed = C_CALL | {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    answer = chat_provider.answer("tool_calls", tool_calls=[signed])
    turn, dropped = await sent_back(pair, answer, stream=stream)
    assert turn["tool_calls"] == [signed]
    assert dropped == []


@STREAMED
@pytest.mark.parametrize("pair", TO_GEMINI, ids=str)
async def test_the_thoughts_of_gemini_are_left_out_and_told_but_not_its_signatures(pair: Pair, stream: bool) -> None:
    turn, dropped = await sent_back(pair, gemini_answer(gemini_provider.thought(THOUGHT)), stream=stream)
    assert turn == SIGNED["gemini"][1]
    assert dropped == [THOUGHTS[pair.client]]


@STREAMED
@pytest.mark.parametrize("pair", TO_GEMINI, ids=str)
async def test_the_signature_of_a_text_comes_back_in_the_next_turn(pair: Pair, stream: bool) -> None:
    answer = gemini_provider.answer(gemini_provider.text("Yes.", thoughtSignature=SIGNATURE))
    turn, dropped = await sent_back(pair, answer, stream=stream)
    assert turn == g_turn("model", {"text": "Yes.", "thoughtSignature": SIGNATURE})
    assert dropped == []


UNKNOWN = "Zm9yZWlnbg=="
FOREIGN = pack(Blob(UNKNOWN), "another-issuer")
G_FOREIGN = signatures.of_reasoning(Blob(UNKNOWN), "", "another-issuer")
SAID: dict[Api, Any] = {
    "chat": assistant({"type": "text", "text": "Yes?"}),
    "responses": [assistant({"type": "output_text", "text": "Yes?"})],
    "messages": assistant({"type": "text", "text": "Yes?"}),
    "gemini": g_turn("model", {"text": "Yes?"}),
}
TOLD: dict[Api, list[str]] = {
    "chat": ["messages[].reasoning_details", "messages[].reasoning_content"],
    "responses": ["input[].encrypted_content"],
    "messages": ["messages[].content[].signature", "messages[].content[].thinking"],
    "gemini": ["contents[].parts[].thoughtSignature"],
}


def history(client: Api, blob: str) -> Json:
    """A conversation with reasoning that has this blob."""
    match client:
        case "chat":
            return {
                "messages": [
                    HI,
                    {"role": "assistant", "content": "Yes?", "reasoning_details": [DETAILS | {"signature": blob}]},
                    HI,
                ]
            }
        case "responses":
            reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": blob}
            return {"input": [HI, reasoning, {"role": "assistant", "content": "Yes?"}, HI]}
        case "messages":
            thinking = {"type": "thinking", "thinking": THOUGHT, "signature": blob}
            return {
                "messages": [HI, {"role": "assistant", "content": [thinking, {"type": "text", "text": "Yes?"}]}, HI]
            }
        case "gemini":
            return {"contents": [G_HI, g_turn("model", {"text": "Yes?", "thoughtSignature": blob}), G_HI]}  # fmt: skip


@pytest.mark.parametrize("packed", [True, False], ids=["translated", "passed"])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_reasoning_of_another_provider_is_left_out_and_told(pair: Pair, packed: bool) -> None:
    """``packed``: another provider's answer was translated as well, so that its issuer is known."""
    client, api = pair
    blob = UNKNOWN if not packed else G_FOREIGN if client == "gemini" else FOREIGN
    provider = StrictProvider(api)
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client] | history(client, blob), stream=False)
    assert provider.refused == []
    assert "Zm9yZWlnbg" not in str(provider.asked)
    assert missing(SAID[api], turn_of(api, provider.asked[0])) == []
    keeps_text = pair == ("messages", "chat")
    assert said.dropped == [name for name in TOLD[client] if not (keeps_text and name == THOUGHTS[client])]
