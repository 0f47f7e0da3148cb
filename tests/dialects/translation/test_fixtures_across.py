"""Recorded answers of many providers, translated for each client, as the client's SDK reads them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from anthropic import APIError as AnthropicError
from google.genai.errors import APIError as GoogleError
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import APIError as OpenAIError

from proxy.wire.sse import Framer
from tests.support.across.answers import RecordedAnswer, recorded_answers
from tests.support.across.codecs import CLIENTS, PROVIDERS
from tests.support.across.translated import Client, Translated, begun, decoded, translate_answer, translate_stream
from tests.support.across.views import READERS, AnswerView, read_gathered
from tests.support.state_size import state_size

# Answers that the provider's own SDK cannot read, or reads wrongly: the text, and the arguments of the calls.
UNREADABLE: Final[dict[str, tuple[str, list[Any]]]] = {
    # A call without a function, and no message at all.
    "null-function.json": ("", []),
    "null-message.json": ("", []),
    # An event with empty data.
    "empty-sse-frames.sse": ("Hi", []),
    # A finish reason of Hugging Face's own.
    "huggingface/llm-v1-chat/responses/good.json": (
        " The sum of 1 + 1 is 2. This is a basic arithmetic operation and the answer is always the same: adding one to one"
        " results in having two in total.",
        [],
    ),
    # Mistral's content is an array with the reasoning, and its calls lack an index.
    "mistral/chat-stream-reasoning-list": ("144", []),
    "mistral-reasoning.chunks.txt": ("2 + 2 = 4", []),
    "mistral-reasoning.json": ("2 + 2 = 4", []),
    "mistral-tool-call.chunks.txt": ("", [{"location": "San Francisco"}]),
    # Ids of items that change from event to event.
    "github-copilot-id-rotation.1.chunks.txt": (
        "There are **3** letter **\u201cr\u201d**s in **\u201cstrawberry.\u201d**\n\nBreakdown: **s t r a w b e r r y**  \n"
        "You can see **r** at positions **3, 8, and 9**.",
        [],
    ),
    "openai-client-tool-search.1.chunks.txt": ("", []),
    # The deltas of a text are another one than the complete text.
    "openai-shell-container.1.chunks.txt": (
        "The command ran successfully.in the container. Here's the output:\n\n- The echo command printed: "
        '"Hello from container!"\n- The system is running Linux (kernel 6.1.0) on an x86_64 architecture.',
        [],
    ),
    # The server began again in the middle of a call.
    "spliced-message-start.chunks.txt": ("", ['{"value":"Spark', {"value": "Sparkle Day"}]),
}

# Blocks of Anthropic's answers that have a counterpart elsewhere.
TRANSLATED_BLOCKS: Final = {"text", "thinking", "redacted_thinking", "tool_use"}

SDK_ERRORS: Final = (OpenAIError, AnthropicError, GoogleError)

STATE: Final = 30_000  # bytes, of one stream

STARTS: Final = {
    "chat": [b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'],
    "messages": [
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","content":[]}}\n\n',
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n',
    ],
    "gemini": [b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"}}]}\r\n\r\n'],
    "responses": [
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","output":[]}}\n\n',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","output_index":0,'
        b'"content_index":0,"delta":"First. ","logprobs":[]}\n\n',
    ],
}
DELTAS: Final = {
    "chat": b'data: {"choices":[{"index":0,"delta":{"content":"Some words. "},"finish_reason":null}]}\n\n',
    "messages": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Some words. "}}\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"Some words. "}],"role":"model"}}]}\r\n\r\n',
    "responses": b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","output_index":0,'
    b'"content_index":0,"delta":"Some words. ","logprobs":[]}\n\n',
}


def pairs(*, streamed: bool, broken: bool = False, of: Collection[str] = PROVIDERS) -> list[Any]:
    return [
        pytest.param(answer, client, id=f"{answer} to {client}")
        for answer in recorded_answers()
        for client in CLIENTS
        if answer.streamed is streamed
        and answer.broken is broken
        and answer.dialect in of
        and answer.dialect != client.name
    ]


@cache
def streamed_to(answer: RecordedAnswer, client: Client) -> Translated:
    return translate_stream(PROVIDERS[answer.dialect], client, [answer.body])


@cache
def original(answer: RecordedAnswer) -> AnswerView:
    """What the provider's own SDK reads."""
    return READERS[answer.dialect](answer.body, answer.streamed)


def check(found: AnswerView, answer: RecordedAnswer) -> None:
    """Compare with what the provider's own SDK reads."""
    unreadable = [expected for name, expected in UNREADABLE.items() if answer.name.endswith(name)]
    if unreadable:
        assert [(found.text, [call.arguments for call in found.calls])] == unreadable
        return
    expected = original(answer)
    unknown = {name for name in ("finish", "cached") if getattr(expected, name) is None}
    if expected.input is None or expected.output is None:  # some dialects can say all of the usage, or nothing
        unknown |= {"input", "cached", "output"}
    assert found.comparable == replace(expected, **{name: getattr(found, name) for name in unknown}).comparable


@pytest.mark.parametrize(
    "answer", [each for each in recorded_answers() if each.dialect in PROVIDERS and not each.broken], ids=str
)
def test_the_parts_of_an_answer_are_what_the_providers_sdk_reads(answer: RecordedAnswer) -> None:
    check(read_gathered(decoded(PROVIDERS[answer.dialect], answer.body, streamed=answer.streamed)), answer)


@pytest.mark.parametrize(("answer", "client"), pairs(streamed=True))
def test_a_stream_reads_as_the_original_does(answer: RecordedAnswer, client: Client) -> None:
    translated = streamed_to(answer, client)
    if translated.fault is None:
        check(READERS[client.name](translated.body, streamed=True), answer)
    else:  # the recording was cut
        assert original(answer).finish is None
        with pytest.raises(SDK_ERRORS):
            READERS[client.name](translated.body, streamed=True)


@pytest.mark.parametrize(("answer", "client"), pairs(streamed=True, broken=True))
def test_a_stream_with_an_error_raises_in_the_clients_sdk(answer: RecordedAnswer, client: Client) -> None:
    assert streamed_to(answer, client).fault is not None
    with pytest.raises(SDK_ERRORS):
        READERS[client.name](streamed_to(answer, client).body, streamed=True)


@pytest.mark.parametrize(("answer", "client"), pairs(streamed=False))
def test_a_whole_answer_reads_as_the_original_does(answer: RecordedAnswer, client: Client) -> None:
    translated = translate_answer(PROVIDERS[answer.dialect], client, answer.body)
    check(READERS[client.name](translated.body, streamed=False), answer)


@pytest.mark.parametrize(("answer", "client"), pairs(streamed=True))
def test_the_hot_path_makes_the_same_events(answer: RecordedAnswer, client: Client) -> None:
    slow = translate_stream(PROVIDERS[answer.dialect], client, [answer.body], plain=False)
    assert slow.body == streamed_to(answer, client).body


@pytest.mark.parametrize(("answer", "client"), pairs(streamed=True)[::2])  # each stream for other clients than the last
@settings(max_examples=3)  # of each of some hundred streams
@given(data=st.data())
def test_every_split_of_a_stream_makes_the_same_events(
    answer: RecordedAnswer, client: Client, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer.body) - 1), max_size=20)))
    chunks = [answer.body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(answer.body)], strict=True)]
    found = translate_stream(PROVIDERS[answer.dialect], client, chunks)
    assert found.body == streamed_to(answer, client).body


def damaged(blocks: list[bytes], edits: list[tuple[str, int, int]]) -> list[bytes]:
    """Events lost, repeated, exchanged, and of another index."""
    found = list(blocks)
    for edit, first, second in edits:
        here, there = first % len(found), second % len(found)
        match edit:
            case "lose" if len(found) > 1:
                del found[here]
            case "repeat":
                found.insert(there, found[here])
            case "exchange":
                found[here], found[there] = found[there], found[here]
            case "renumber":
                found[here] = found[here].replace(b'"index":0', b'"index":1')
    return found


EDITS: Final = st.tuples(
    st.sampled_from(("lose", "repeat", "exchange", "renumber")), st.integers(0, 999), st.integers(0, 999)
)


@pytest.mark.parametrize(
    ("dialect", "client"),
    [pytest.param(name, each, id=f"{name} to {each}") for name in PROVIDERS for each in CLIENTS if name != each.name],
)
@given(data=st.data())
def test_a_damaged_stream_is_a_well_formed_one_for_the_client(
    dialect: str, client: Client, data: st.DataObject, shared: Path
) -> None:
    small = [
        each for each in recorded_answers() if each.dialect == dialect and each.streamed and len(each.body) < 9_000
    ]
    answer = data.draw(st.sampled_from(small))
    blocks = damaged(Framer().feed(answer.body), data.draw(st.lists(EDITS, min_size=1, max_size=4)))
    translated = translate_stream(PROVIDERS[dialect], client, blocks)
    try:
        READERS[client.name](translated.body, streamed=True)
    except SDK_ERRORS:
        assert translated.fault is not None
    except ValueError as error:
        if "Unable to parse tool parameter JSON" not in str(error):  # the arguments of a call lost a piece
            raise
    else:
        assert translated.fault is None


@pytest.mark.parametrize(
    ("answer", "client"), pairs(streamed=True, of=["messages"]) + pairs(streamed=False, of=["messages"])
)
def test_a_block_that_only_anthropic_has_is_told(answer: RecordedAnswer, client: Client) -> None:
    events = answer.events()
    blocks = [each["content_block"] for each in events if "content_block" in each]
    blocks += [block for each in events if each.get("type") == "message" for block in each["content"]]
    provider = PROVIDERS[answer.dialect]
    translated = streamed_to(answer, client) if answer.streamed else translate_answer(provider, client, answer.body)
    assert {each["type"] for each in blocks} - TRANSLATED_BLOCKS <= set(translated.dropped)


@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_state_of_a_stream_is_small(provider: str, client: Client) -> None:
    # Twice what the text itself needs where the last events repeat it.
    repeated = 2 * 12 * 10_000 if client.name == "responses" else 0
    context = client.context
    translation = begun(PROVIDERS[provider], client, context)
    for block in (*STARTS[provider], DELTAS[provider]):
        translation.translate(block)
    for _ in range(10_000):
        assert translation.plain(DELTAS[provider]) is not None
    assert state_size(translation, shared=[context, PROVIDERS, CLIENTS]) < STATE + repeated
