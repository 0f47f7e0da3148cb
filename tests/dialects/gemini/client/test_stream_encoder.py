"""Neutral parts as the chunks of a stream, read by Google's SDK, and sent back by it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from google.genai.errors import ServerError
from google.genai.types import Content, FinishReason, GenerateContentResponse
from hypothesis import given

from proxy.dialects.gemini.client.answer_encoder import encode_generation
from proxy.dialects.gemini.client.stream_encoder import PING_EVERY, GeminiStreamEncoder
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.call_arguments import object_of
from proxy.dialects.translation.calls import MOST_BUFFERED
from proxy.dialects.translation.conversation import (
    Blob,
    Citation,
    Conversation,
    Part,
    Reasoning,
    Text,
    ThinkingSettings,
    ToolCall,
)
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
from proxy.errors import BrokenAnswer, StreamTruncated
from tests.support.gemini import answer_of, data_of, stream_of
from tests.support.gemini_requests import decoded
from tests.support.neutral_parts import answers
from tests.support.state_size import state_size

TEXT: list[AnswerPart] = [TextDelta("a"), TextDelta("b")]
CALL: list[AnswerPart] = [CallStart(0, "call_1", "f"), CallDelta(0, '{"x":'), CallDelta(0, "1}"), CallEnd(0)]
CALLED = {"id": "call_1", "name": "f", "args": {"x": 1}}


def context(*, shows: bool = True, model: str = "") -> AnswerContext:
    thinking = ThinkingSettings(shown="summary" if shows else "")
    return AnswerContext(Conversation("gemini.generate", [], thinking=thinking), "0af1", 1_700_000_000, model, 7, "iss")


def encoded(*given: AnswerPart, shows: bool = True, model: str = "") -> bytes:
    encoder = GeminiStreamEncoder(context(shows=shows, model=model))
    return b"".join(map(encoder.encode, given)) + encoder.finish()


def chunks(*given: AnswerPart, shows: bool = True) -> list[dict[str, Any]]:
    """The documents of a stream, in which no line is of a kind that Google's SDKs cannot read."""
    stream = encoded(*given, shows=shows)
    assert all(line.startswith(b"data: {") for line in stream.splitlines() if line)
    return data_of(stream)


def parts(*given: AnswerPart, shows: bool = True) -> list[dict[str, Any]]:
    return [part for chunk in chunks(*given, shows=shows) for part in chunk["candidates"][0]["content"]["parts"]]


def read(*given: AnswerPart, shows: bool = True) -> list[GenerateContentResponse]:
    return list(stream_of([encoded(*given, shows=shows)]))


def sent_back(read: Sequence[GenerateContentResponse], *, thoughts: bool = True) -> list[Part]:
    """What the decoder makes of an answer in the next request. Gemini CLI sends no thoughts back."""
    contents = [chunk.candidates[0].content for chunk in read if chunk.candidates]
    found = [content for content in contents if isinstance(content, Content)]
    for content in found:
        content.parts = [part for part in content.parts or () if thoughts or not part.thought]
    made = [json.loads(content.model_dump_json(exclude_none=True, by_alias=True)) for content in found]
    messages = decoded(*made).messages
    return messages[0].content if messages else []


def signature_of(part: dict[str, Any]) -> str:
    return base64.b64decode(part["thoughtSignature"]).decode()


def test_each_piece_of_a_text_is_a_chunk() -> None:
    found = chunks(Start("x", "model-x"), *TEXT, Finish("stop"))
    same = {"modelVersion": "model-x", "responseId": "0af1"}
    candidates = [chunk["candidates"] for chunk in found]
    assert candidates == [
        [{"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0}],
        [{"content": {"parts": [{"text": "b"}], "role": "model"}, "index": 0}],
        [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "STOP"}],
    ]
    assert all(same.items() <= chunk.items() for chunk in found)


def test_the_model_is_the_one_that_the_client_asked_for() -> None:
    (chunk,) = stream_of([encoded(Start("x", "model-x"), model="alias")])
    assert chunk.model_version == "alias"


def test_each_chunk_has_content_so_that_the_sdks_keep_the_turn() -> None:
    for chunk in read(*TEXT, *CALL, LogprobsPart([{"token": "a", "logprob": -1.0}]), Finish("content_filter")):
        assert chunk.parts


def test_a_call_is_sent_whole_when_its_arguments_are_complete() -> None:
    encoder = GeminiStreamEncoder(context())
    assert b"".join(map(encoder.encode, CALL[:-1])) == b""
    (chunk,) = data_of(encoder.encode(CALL[-1]))
    assert chunk["candidates"][0]["content"]["parts"] == [{"functionCall": CALLED}]


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [([], {}), (["null"], {}), (["[1]"], {"arguments": "[1]"}), (['{"x"'], {"arguments": '{"x"'}), (["{}"], {})],
)
def test_the_arguments_of_a_call_are_always_an_object(pieces: list[str], arguments: Any) -> None:
    call: list[AnswerPart] = [CallStart(3, "1", "f"), *(CallDelta(3, each) for each in pieces), CallEnd(3)]
    assert parts(*call)[0]["functionCall"]["args"] == arguments


def test_calls_do_not_share_their_arguments() -> None:
    found = parts(*CALL, CallStart(1, "call_2", "g"), CallEnd(1), CallEnd(1))
    assert [part.get("functionCall", {}).get("args") for part in found] == [{"x": 1}, {}, None]


def test_arguments_without_end_break_the_answer() -> None:
    encoder = GeminiStreamEncoder(context())
    encoder.encode(CALL[0])
    encoder.encode(CallDelta(0, "x" * MOST_BUFFERED))
    with pytest.raises(BrokenAnswer, match="too long"):
        encoder.encode(CallDelta(0, "x"))


def test_parts_without_an_event_are_not_silent() -> None:
    """A client would give up while a long file is written into the arguments of a call."""
    encoder = GeminiStreamEncoder(context(shows=False))
    encoder.encode(CALL[0])
    long = [encoder.encode(CallDelta(0, " ")) for _ in range(PING_EVERY)]
    hidden = [encoder.encode(ReasoningDelta(" ")) for _ in range(PING_EVERY)]
    assert long == hidden == [b""] * (PING_EVERY - 1) + [b"\n"]


@pytest.mark.parametrize("following", [TEXT[:1], CALL], ids=["text", "call"])
@pytest.mark.parametrize("shows", [True, False])
def test_reasoning_goes_into_the_signature_of_the_next_part(following: list[AnswerPart], shows: bool) -> None:
    found = parts(ReasoningDelta("H"), ReasoningDelta("m."), ReasoningBlob(Blob("SIG")), *following, shows=shows)
    thoughts = [{"text": "H", "thought": True}, {"text": "m.", "thought": True}] if shows else []
    assert found[: len(thoughts)] == thoughts
    assert blobs.unpack(signature_of(found[len(thoughts)])) == Reasoning("Hm.", Blob("SIG", issuer="iss"))
    assert sum("thoughtSignature" in part for part in found) == 1


def test_reasoning_without_a_signature_goes_with_calls_only() -> None:
    assert not any("thoughtSignature" in part for part in parts(ReasoningDelta("Hm."), *TEXT))
    assert blobs.unpack(signature_of(parts(ReasoningDelta("Hm."), *CALL)[1])) == Reasoning("Hm.")


def test_what_no_part_follows_gets_one_of_its_own() -> None:
    redacted = ReasoningBlob(Blob("R", "redacted"))
    found = parts(ReasoningDelta("Hm."), ReasoningBlob(Blob("SIG")), redacted, *TEXT, redacted, shows=False)
    assert [(part["text"], "thoughtSignature" in part) for part in found] == [
        *(("", True), ("a", True), ("b", False), ("", True), ("", False)),
    ]


def test_the_signature_of_a_call_is_that_of_its_part() -> None:
    found = parts(ReasoningDelta("Hm."), CallStart(0, "call_1", "f", blob=Blob("SIG")), CallEnd(0), shows=False)
    assert blobs.unpack(signature_of(found[0])) == Reasoning("Hm.")
    assert blobs.unpack_call(signature_of(found[1])) == Blob("SIG", issuer="iss")


def test_thoughts_are_not_kept_without_end() -> None:
    encoder = GeminiStreamEncoder(context(shows=False))
    before = state_size(encoder, shared=encoder.context)
    stream = b"".join(encoder.encode(ReasoningDelta("x" * 10_000)) for _ in range(100))
    stream += b"".join(map(encoder.encode, [ReasoningBlob(Blob("SIG")), *CALL]))
    (reasoning, call) = sent_back(list(stream_of([stream + encoder.finish()])))
    assert reasoning == Reasoning("x" * 1_000_000, Blob("SIG", issuer="iss"))
    assert isinstance(call, ToolCall)
    assert state_size(encoder, shared=encoder.context) < before + 1000


def test_the_usage_stands_in_the_last_chunk() -> None:
    *others, last = read(*TEXT, UsagePart(Usage(1)), Finish("stop"), UsagePart(Usage(10, 5, 2, 3)))
    assert not any(chunk.usage_metadata for chunk in others)
    usage = last.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.total_token_count) == (15, 5, 20)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (2, 3)
    assert read(*TEXT)[-1].usage_metadata is None


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (TEXT, "STOP", None),
        ([*TEXT, Finish("stop")], "STOP", None),
        ([*CALL, Finish("tool_calls")], "STOP", None),
        ([*TEXT, Finish("length")], "MAX_TOKENS", None),
        ([*TEXT, Finish("context")], "MAX_TOKENS", "The context of the model is full."),
        ([*TEXT, Finish("content_filter")], "SAFETY", None),
        ([RefusalDelta("No."), Finish("stop")], "SAFETY", None),
        ([RefusalDelta("No."), Finish("refusal", detail="Weapons.")], "SAFETY", "Weapons."),
        ([*TEXT, Finish("stop_sequence", "###")], "STOP", "The answer ended before the stop sequence '###'."),
        ([*TEXT, Finish("pause")], "STOP", "The provider paused the answer. It goes on if it is sent back."),
    ],
)
def test_why_the_answer_ended(given: list[AnswerPart], reason: str, message: str | None) -> None:
    (candidate,) = chunks(*given)[-1]["candidates"]
    assert (candidate["finishReason"], candidate.get("finishMessage")) == (reason, message)
    (read_one,) = read(*given)[-1].candidates or ()
    assert read_one.finish_reason is FinishReason(reason)


def test_a_refusal_is_text_in_the_models_words_or_the_providers() -> None:
    assert [part["text"] for part in parts(RefusalDelta("No"), RefusalDelta("."), Finish("refusal"))] == ["No", ".", ""]
    assert [part["text"] for part in parts(Finish("refusal", detail="Weapons."))] == ["Weapons.", ""]


def test_sources_stand_in_the_last_chunk() -> None:
    source = CitationPart(Citation("https://a.example", "A"))
    last = read(TextDelta("ä"), source, BlockEnd(), TextDelta("b"), source)[-1]
    grounding = last.candidates[0].grounding_metadata if last.candidates else None
    assert grounding is not None
    (chunk,) = grounding.grounding_chunks or ()
    assert chunk.web is not None
    assert (chunk.web.uri, chunk.web.title) == ("https://a.example", "A")
    segments = [(each.segment, each.grounding_chunk_indices) for each in grounding.grounding_supports or ()]
    assert [(each.start_index, each.end_index, indices) for each, indices in segments if each] == [
        *((0, 2, [0]), (2, 3, [0])),
    ]


def test_log_probabilities() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5}]}
    found = [
        chunk.candidates[0].logprobs_result for chunk in read(TextDelta("a"), LogprobsPart([token])) if chunk.candidates
    ]
    (logprobs,) = [each for each in found if each]
    (chosen,) = logprobs.chosen_candidates or ()
    assert (chosen.token, chosen.log_probability) == ("a", -0.5)
    (top,) = logprobs.top_candidates or ()
    assert [(each.token, each.log_probability) for each in top.candidates or ()] == [("b", -1.5)]


@pytest.mark.parametrize(
    "part",
    [TextDelta(""), ReasoningDelta(""), RefusalDelta(""), LogprobsPart([]), Dropped("x"), BlockEnd(), CallEnd(0), Start()],
)  # fmt: skip
def test_nothing_makes_no_chunk(part: AnswerPart) -> None:
    assert GeminiStreamEncoder(context()).encode(part) == b""


def test_half_a_surrogate_pair_is_escaped() -> None:
    found = parts(TextDelta("\ud83d"), TextDelta("\ude00"), ReasoningDelta("\ud83d"))
    assert [part["text"] for part in found] == ["\ud83d", "\ude00", "\ud83d", ""]
    assert signature_of(parts(ReasoningDelta("\ud83d"), *CALL, shows=False)[0])


def test_a_broken_answer_raises_in_the_client() -> None:
    encoder = GeminiStreamEncoder(context())
    stream = b"".join(map(encoder.encode, TEXT)) + encoder.failed(StreamTruncated("It broke."))
    with pytest.raises(ServerError, match="It broke"):
        list(stream_of([stream]))


def test_an_encoder_is_small() -> None:
    encoder = GeminiStreamEncoder(context())
    for part in (Start(), *TEXT, ReasoningDelta("a"), *CALL, UsagePart(Usage(1))):
        encoder.encode(part)
    assert state_size(encoder, shared=encoder.context) < 4000


@given(answers)
def test_a_stream_adds_up_to_the_whole_answer(given: list[AnswerPart]) -> None:
    streamed, whole = read(*given), answer_of(encode_generation(context(), given))
    assert sent_back(streamed) == sent_back([whole])
    last = streamed[-1]
    assert (last.usage_metadata, last.model_version) == (whole.usage_metadata, whole.model_version)
    one, other = (last.candidates or ())[0], (whole.candidates or ())[0]
    assert one.finish_reason is other.finish_reason
    assert (one.grounding_metadata is None) is (other.grounding_metadata is None)


@given(answers)
def test_an_answer_comes_back_as_it_was(given: list[AnswerPart]) -> None:
    """Text, signed reasoning and calls, whether or not the client sends thoughts back."""
    answer = gather(given)
    expected: list[Any] = []
    for block in answer.blocks:
        match block:
            case TextBlock(text) if text:
                expected.append(text)
            case ReasoningBlock(blob=Blob() as blob):
                expected.append((blob.data, blob.kind))
            case CallBlock():
                own = None if block.blob is None else block.blob.data
                expected.append((block.id, block.name, object_of(block.arguments), own))
    if answer.finish and not any(isinstance(block, TextBlock) and block.refusal for block in answer.blocks):
        expected.append(answer.finish.detail)
    for thoughts in (True, False):
        found: list[Any] = []
        for part in sent_back(read(*given), thoughts=thoughts):
            match part:
                case Text():
                    found.append(part.text)
                case Reasoning(blob=Blob() as blob):
                    found.append((blob.data, blob.kind))
                case ToolCall():
                    blob = part.blob
                    found.append((part.id, part.name, json.loads(part.arguments), blob and blob.data))
        assert joined(found) == joined(expected)


def joined(found: list[Any]) -> list[Any]:
    """Texts that follow each other are one; empty ones are none."""
    made: list[Any] = []
    for each in found:
        if isinstance(each, str) and made and isinstance(made[-1], str):
            made[-1] += each
        elif each != "":
            made.append(each)
    return made
