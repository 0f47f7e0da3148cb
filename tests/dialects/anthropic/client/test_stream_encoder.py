"""Neutral parts as the events of the Messages API, read as the anthropic package and Claude Code read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import APIStatusError
from anthropic.types.beta import BetaMessage
from hypothesis import given
from jiter import from_json

from proxy.dialects.anthropic.client.answer_encoder import encode_message
from proxy.dialects.anthropic.client.stream_encoder import MOST_HIDDEN, PING_EVERY, MessagesStreamEncoder
from proxy.dialects.anthropic.provider.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob, Citation, Conversation, Reasoning, ThinkingSettings, ToolCall
from proxy.dialects.translation.gathered import CallBlock, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Dropped,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from proxy.errors import StreamTruncated
from proxy.wire.sse import Framer, parse
from tests.support.anthropic_recordings import WHOLE, Stream
from tests.support.anthropic_sdk import read_answer, read_stream
from tests.support.decoded import decoded
from tests.support.messages import conversation
from tests.support.neutral_parts import answers
from tests.support.recorded import MISSING
from tests.support.state_size import state_size

TEXT: list[AnswerPart] = [TextDelta("a"), TextDelta("b")]
CALL: list[AnswerPart] = [CallStart(0, "call_1", "f"), CallDelta(0, '{"x":'), CallDelta(0, "1}"), CallEnd(0)]


def context(thinking: ThinkingSettings | None = None, model: str = "") -> AnswerContext:
    request = Conversation("anthropic.messages", [], thinking=thinking or ThinkingSettings())
    return AnswerContext(request, "0af1", 1_700_000_000, model, input_tokens=7, issuer="iss")


def encoded(*parts: AnswerPart, thinking: ThinkingSettings | None = None, model: str = "") -> bytes:
    encoder = MessagesStreamEncoder(context(thinking, model))
    return b"".join(map(encoder.encode, parts)) + encoder.finish()


def events(stream: bytes) -> list[dict[str, Any]]:
    """The documents of a stream. Each event must have its name, which SDKs read first."""
    found = []
    for block in Framer().feed(stream):
        event = parse(block)
        document = json.loads(event.data or b"")
        assert event.event == document["type"].encode()
        found.append(document)
    return found


def read(*parts: AnswerPart, thinking: ThinkingSettings | None = None) -> BetaMessage:
    stream = encoded(*parts, thinking=thinking)
    check_order(events(stream))
    return read_stream(stream)


def content(*parts: AnswerPart, thinking: ThinkingSettings | None = None) -> list[dict[str, Any]]:
    return [block.to_dict() for block in read(*parts, thinking=thinking).content]


def check_order(stream: list[dict[str, Any]]) -> None:
    """What Claude Code needs: one block at a time, indices without gaps, deltas of the block's kind, a whole ending."""
    deltas = {"text": ("text_delta", "citations_delta"), "thinking": ("thinking_delta", "signature_delta"),
              "tool_use": ("input_json_delta",), "redacted_thinking": ()}  # fmt: skip
    kinds: list[str] = []
    is_open = False
    for event in stream:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(kinds)
            kinds.append(event["content_block"]["type"])
            is_open = True
        elif event["type"].startswith("content_block"):
            assert is_open
            assert event["index"] == len(kinds) - 1
            is_open = event["type"] == "content_block_delta"
            assert not is_open or event["delta"]["type"] in deltas[kinds[-1]]
    assert not is_open
    names = [event["type"] for event in stream]
    assert (names[0], names[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert names.count("message_start") == names.count("message_delta") == 1


def test_a_text_is_one_block_and_each_piece_one_event() -> None:
    found = events(encoded(Start("x", "model-x"), *TEXT))
    assert [event["type"] for event in found] == [
        *("message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert found[3] == {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}}
    assert read(*TEXT).content[0].to_dict() == {"type": "text", "text": "ab"}


def test_the_message_starts_with_an_estimate_of_the_input() -> None:
    message = events(encoded(Start("chatcmpl-1", "model-x")))[0]["message"]
    assert (message["id"], message["model"], message["content"]) == ("msg_0af1", "model-x", [])
    assert message["usage"]["input_tokens"] == 7
    assert message["usage"]["output_tokens"] == 0


def test_the_model_is_the_one_that_the_client_asked_for() -> None:
    assert read_stream(encoded(Start("x", "model-x"), model="alias")).model == "alias"


@pytest.mark.parametrize("parts", [TEXT, [ReasoningDelta("a")], CALL, [RefusalDelta("a")], [Finish("stop")], []])
def test_a_provider_without_a_start_gets_one(parts: list[AnswerPart]) -> None:
    assert read(*parts).id == "msg_0af1"


def test_the_usage_of_the_end_replaces_the_estimate() -> None:
    usage = read(*TEXT, Finish("stop"), UsagePart(Usage(1)), UsagePart(Usage(10, 5, 2, 3))).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (10, 5, 5)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 3


def test_the_estimate_stays_where_the_provider_reports_no_usage() -> None:
    usage = read(*TEXT).usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 0)


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        (['{"x":', "1}"], {"x": 1}),
        ([], {}),
        ([""], {}),
        (["null"], {}),
        (["nu", "ll"], {}),
        ([" ", '\n{"x":1}'], {"x": 1}),
        (["[1,", "2]"], {"arguments": "[1,2]"}),
        (['"a"'], {"arguments": '"a"'}),
        (["nu"], {"arguments": "nu"}),
    ],
)
def test_the_arguments_of_a_call_are_always_an_object(pieces: list[str], arguments: Any) -> None:
    call: list[AnswerPart] = [CallStart(3, "call_1", "f"), *(CallDelta(3, each) for each in pieces)]
    assert content(*TEXT, *call)[1:] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": arguments}]


def test_each_call_is_a_block() -> None:
    blocks = content(*CALL, CallStart(1, "call_2", "g"), CallEnd(1), *TEXT)
    assert [(block["type"], block.get("input")) for block in blocks] == [
        ("tool_use", {"x": 1}),
        ("tool_use", {}),
        ("text", None),
    ]


def test_a_custom_tool_has_its_text_as_an_argument() -> None:
    call: list[AnswerPart] = [CallStart(0, "call_1", "f", "custom"), CallDelta(0, 'a"'), CallDelta(0, "\n")]
    assert content(*call)[0]["input"] == {"input": 'a"\n'}


def test_arguments_of_no_open_call_are_left_out() -> None:
    assert content(CallDelta(0, "{}"), *TEXT) == [{"type": "text", "text": "ab"}]


@pytest.mark.parametrize("blob", [None, Blob("x"), Blob("x", "encrypted"), Blob("x", issuer="other")])
def test_thinking_always_has_a_signature(blob: Blob | None) -> None:
    parts = [ReasoningDelta("a"), ReasoningDelta("b"), *([ReasoningBlob(blob)] if blob else []), *TEXT]
    thinking = content(*parts)[0]
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "ab")
    expected = Blob(blob.data, blob.kind, blob.issuer or "iss") if blob else None
    assert blobs.unpack(thinking["signature"]) == Reasoning(blob=expected)


def test_a_blob_without_thoughts_has_a_block_of_its_own() -> None:
    blocks = content(ReasoningBlob(Blob("x", "encrypted")), ReasoningBlob(Blob("y", "redacted")), *TEXT)
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text"]
    assert blobs.unpack(blocks[1]["data"]) == Reasoning(blob=Blob("y", "redacted", "iss"))


def test_two_thoughts_are_two_blocks() -> None:
    parts = [ReasoningDelta("a"), ReasoningBlob(Blob("x")), ReasoningDelta("b"), BlockEnd(), ReasoningDelta("c")]
    assert [block["thinking"] for block in content(*parts)] == ["a", "b", "c"]


OMITTED = ThinkingSettings("adaptive", shown="omitted")


def test_thoughts_that_the_client_does_not_show_are_in_the_signature() -> None:
    thinking = content(ReasoningDelta("a"), ReasoningDelta("\ud83d"), ReasoningBlob(Blob("x")), thinking=OMITTED)[0]
    assert thinking["thinking"] == ""
    assert blobs.unpack(thinking["signature"]) == Reasoning("a\ud83d", Blob("x", issuer="iss"))
    bare = content(ReasoningDelta("a"), *TEXT, thinking=OMITTED)[0]
    assert blobs.unpack(bare["signature"]) == Reasoning("a")


def test_hidden_thoughts_are_not_silent_and_not_kept_without_end() -> None:
    encoder = MessagesStreamEncoder(context(OMITTED))
    before = state_size(encoder, shared=encoder.context)
    piece = "x" * (MOST_HIDDEN // PING_EVERY // 4)
    stream = b"".join(encoder.encode(ReasoningDelta(piece)) for _ in range(PING_EVERY * 12)) + encoder.finish()
    assert stream.count(b"event: ping\n") >= 9
    blocks = read_stream(stream).content
    assert len(blocks) == 3
    assert (
        sum(len(blobs.unpack(block.signature).text) for block in blocks if block.type == "thinking")
        == len(piece) * PING_EVERY * 12
    )
    assert state_size(encoder, shared=encoder.context) < before + 1000  # fmt: skip


def test_a_client_without_thinking_gets_none() -> None:
    off = ThinkingSettings("off")
    parts: list[AnswerPart] = [ReasoningDelta("a"), ReasoningBlob(Blob("x", "redacted")), ReasoningBlob(Blob("x"))]
    assert content(*parts, *TEXT, thinking=off) == [{"type": "text", "text": "ab"}]


def test_the_signature_of_a_call_goes_before_it_and_comes_back() -> None:
    blocks = content(*TEXT, CallStart(0, "call_1", "f", blob=Blob("x")))
    assert [block["type"] for block in blocks] == ["text", "thinking", "tool_use"]
    sent_back = conversation({"role": "assistant", "content": blocks}).messages[0].content
    assert sent_back[1:] == [ToolCall("call_1", "f", "{}", blob=Blob("x", issuer="iss"))]


def test_citations_belong_to_their_text() -> None:
    web = Citation("https://a.example", "A", "quote", start=0, end=1)
    file = Citation(title="B", file_id="file_1")
    citations = read(*TEXT, CitationPart(web), CitationPart(file)).content[0].citations  # type: ignore[union-attr]
    assert citations is not None
    first, second = citations
    assert (first.type, first.url, first.title, first.cited_text) == (
        *("web_search_result_location", "https://a.example", "A", "quote"),
    )
    assert (second.type, second.document_title, second.file_id) == ("char_location", "B", "file_1")


def test_a_citation_without_a_text_becomes_one() -> None:
    assert content(*CALL, CitationPart(Citation("https://a.example", "A")))[1:] == [
        {"type": "text", "text": "[A](https://a.example)"}
    ]


def test_a_citation_before_its_text_belongs_to_it() -> None:
    source = CitationPart(Citation("https://a.example", "A", "quote"))
    (block,) = read(source, *TEXT, Finish("stop")).content
    assert block.text == "".join(part.text for part in TEXT if isinstance(part, TextDelta))  # type: ignore[union-attr]
    assert [each.url for each in block.citations or ()] == ["https://a.example"]  # type: ignore[union-attr]


def test_a_refusal_is_a_text_and_the_stop_reason() -> None:
    message = read(RefusalDelta("No"), RefusalDelta("."), Finish("stop"))
    assert message.content[0].to_dict() == {"type": "text", "text": "No."}
    assert message.stop_reason == "refusal"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([*TEXT, Finish("stop")], "end_turn"),
        (TEXT, "end_turn"),
        ([*CALL, Finish("stop")], "tool_use"),
        (CALL, "tool_use"),
        ([*CALL[:2], Finish("length")], "max_tokens"),
        ([*TEXT, Finish("content_filter")], "refusal"),
        ([*TEXT, Finish("stop_sequence", "###")], "stop_sequence"),
    ],
)
def test_the_stop_reason_is_told(parts: list[AnswerPart], reason: str) -> None:
    message = read(*parts)
    assert message.stop_reason == reason
    assert message.stop_sequence == ("###" if reason == "stop_sequence" else None)


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert content(TextDelta("a"), TextDelta("\ud83d"), TextDelta("\ude00")) == [
        {"type": "text", "text": "a\ud83d\ude00"}
    ]
    assert content(TextDelta("\ud83d"))[0]["text"] == "\ud83d"


@pytest.mark.parametrize(
    "part",
    [TextDelta(""), ReasoningDelta(""), RefusalDelta(""), LogprobsPart([]), Dropped("x"), BlockEnd(), CallEnd(0)],
)
def test_nothing_makes_no_block(part: AnswerPart) -> None:
    assert content(Start(), part) == []


def test_an_empty_text_ends_no_thoughts() -> None:
    parts = [ReasoningDelta("a"), TextDelta(""), ReasoningDelta("b")]
    assert len(content(*parts)) == 1


def test_a_broken_answer_raises_in_the_client() -> None:
    encoder = MessagesStreamEncoder(context())
    stream = b"".join(map(encoder.encode, TEXT)) + encoder.failed(StreamTruncated("It broke."))
    with pytest.raises(APIStatusError, match="It broke"):
        read_stream(stream)


@given(answers)
def test_a_stream_adds_up_to_the_whole_answer(parts: list[AnswerPart]) -> None:
    streamed, whole = read(*parts), read_answer(encode_message(context(), parts))
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert (streamed.stop_reason, streamed.stop_details) == (whole.stop_reason, whole.stop_details)
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.usage.input_tokens == whole.usage.input_tokens


def test_an_encoder_is_small() -> None:
    encoder = MessagesStreamEncoder(context())
    for part in (Start(), *TEXT, ReasoningDelta("a"), *CALL, UsagePart(Usage(1))):
        encoder.encode(part)
    assert state_size(encoder, shared=encoder.context) < 4000


@pytest.mark.skipif(not WHOLE, reason=MISSING)
@pytest.mark.parametrize("recorded", WHOLE, ids=str)
def test_recordings_are_read_as_they_were_decoded(recorded: Stream) -> None:
    parts = decoded(MessagesAnswerDecoder(), [recorded.body])
    answer, message = gather(parts), read(*parts)
    texts = [block.text for block in message.content if block.type == "text"]
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    calls = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert texts == [block.text for block in answer.blocks if isinstance(block, TextBlock) and block.text]
    assert thoughts == [
        block.text for block in answer.blocks if isinstance(block, ReasoningBlock) and not is_redacted(block)
    ]
    assert calls == [
        (block.id, block.name, from_json(block.arguments.encode() or b"{}", partial_mode=True))  # one is half a call
        for block in answer.blocks
        if isinstance(block, CallBlock)
    ]
    assert answer.usage is not None
    assert message.usage.output_tokens == answer.usage.total_output


def is_redacted(block: ReasoningBlock) -> bool:
    return block.blob is not None and block.blob.kind == "redacted"
