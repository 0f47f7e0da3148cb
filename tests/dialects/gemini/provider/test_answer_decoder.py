from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.provider.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.gathered import gather
from proxy.dialects.translation.parts import (
    AnswerFailed,
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Dropped,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.decoded import decoded
from tests.support.gemini import MODEL, USAGE, candidate, document, event
from tests.support.pump import split

START = Start("r", MODEL)
USED = UsagePart(Usage(9, None, 2))
STOP = Finish("stop")


def chunk(*parts: Any, finish: str | None = None, usage: Any = None, **members: Any) -> bytes:
    return event(document(candidate(*parts, finish=finish) | members, usage=usage))


def read(*blocks: bytes) -> list[AnswerPart]:
    """All parts but the start, as the relay gets them."""
    found = decoded(GeminiAnswerDecoder(), blocks)
    assert not found or found[0] == START
    return found[1:]


def whole(*parts: Any, finish: str | None = "STOP", **members: Any) -> list[AnswerPart]:
    body = json.dumps(document(candidate(*parts, finish=finish) | members, usage=None)).encode()
    found = list(GeminiAnswerDecoder().whole(body))
    assert found[0] == START
    return found[1:]


# Plain events


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_text_and_thoughts_after_the_first_event_are_plain(end: bytes) -> None:
    decoder = GeminiAnswerDecoder()
    first = event(document(candidate("a")), end)
    assert decoder.plain(first) is None
    assert decoder.decode(first) == [START, TextDelta("a")]
    assert decoder.plain(event(document(candidate("b")), end)) == TextDelta("b")
    thought = event(document(candidate({"text": "Hm", "thought": True})), end)
    assert decoder.plain(thought) == ReasoningDelta("Hm", summary=True)


@pytest.mark.parametrize(
    "more",
    [
        candidate("a", "b"),
        candidate(""),
        candidate("a", finish="STOP"),
        candidate("a", index=1),
        candidate({"text": "a", "thoughtSignature": "s"}),
        candidate({"text": "a", "inlineData": {"data": "AA=="}}),
        candidate({"functionCall": {"name": "f"}}),
        candidate("a") | {"groundingMetadata": {"webSearchQueries": ["x"]}},
        candidate("a") | {"citationMetadata": {}},
        candidate("a") | {"logprobsResult": {}},
        candidate(),
    ],
)
def test_an_event_with_anything_else_is_not_plain(more: Any) -> None:
    decoder = GeminiAnswerDecoder()
    decoder.decode(chunk("a"))
    assert decoder.plain(event(document(more))) is None


def test_two_candidates_and_an_error_are_not_plain() -> None:
    decoder = GeminiAnswerDecoder()
    decoder.decode(chunk("a"))
    assert decoder.plain(event(document(candidate("a"), candidate("b", index=1)))) is None
    assert decoder.plain(event(document(candidate("a"), error={"code": 500}))) is None
    assert decoder.plain(b"data: {\n\n") is None
    assert decoder.plain(b": comment\n\n") is None
    assert decoder.plain(b"data: {}") is None


def test_nothing_is_plain_after_a_finish_reason() -> None:
    decoder = GeminiAnswerDecoder()
    decoder.decode(chunk("a", finish="STOP"))
    assert decoder.plain(chunk("b")) is None
    assert decoder.decode(chunk("b")) == [TextDelta("b")]


def test_the_usage_of_a_plain_event_counts() -> None:
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 3}
    assert read(chunk("a", usage=USAGE), chunk("b", usage=counts)) == [
        TextDelta("a"),
        TextDelta("b"),
        UsagePart(Usage(9, None, 3)),
    ]


def test_a_usage_without_counts_does_not_count() -> None:
    odd = {"trafficType": "ON_DEMAND"}
    assert read(chunk("a", usage=USAGE), chunk("b", usage=odd))[-1] == USED
    assert read(chunk("a", usage=USAGE), chunk("b", usage={"promptTokenCount": "x"}))[-1] == USED


# Parts


def test_a_thought_is_a_summary_of_the_reasoning() -> None:
    found = read(chunk({"text": "Hm", "thought": True}), chunk("a", finish="STOP"))
    assert found == [ReasoningDelta("Hm", summary=True), TextDelta("a"), STOP]


def test_a_signature_of_a_text_follows_it() -> None:
    assert whole({"text": "a", "thoughtSignature": "s"}) == [TextDelta("a"), ReasoningBlob(Blob("s")), STOP]
    assert read(chunk("a"), chunk({"text": "", "thoughtSignature": "s"}, finish="STOP")) == [
        TextDelta("a"),
        ReasoningBlob(Blob("s")),
        STOP,
    ]


def test_a_signature_of_a_call_belongs_to_it() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}
    assert whole(call, {"functionCall": {"id": "2", "name": "g"}}) == [
        *(CallStart(0, "", "f", blob=Blob("s")), CallDelta(0, '{"a":1}'), CallEnd(0)),
        *(CallStart(1, "2", "g"), CallEnd(1)),
        Finish("tool_calls"),
    ]


def test_text_ends_a_call_in_pieces() -> None:
    begun = {
        "functionCall": {"name": "f", "willContinue": True, "partialArgs": [{"jsonPath": "$.a", "boolValue": True}]}
    }
    assert read(chunk(begun), chunk("b", finish="STOP")) == [
        *(CallStart(0, "", "f"), CallDelta(0, '{"a":true}'), CallEnd(0)),
        TextDelta("b"),
        Finish("tool_calls"),
    ]


def test_no_text_is_plain_while_a_call_continues() -> None:
    decoder = GeminiAnswerDecoder()
    decoder.decode(chunk({"functionCall": {"name": "f", "willContinue": True}}))
    assert decoder.plain(chunk("b")) is None
    assert decoder.decode(chunk("b")) == [CallEnd(0), TextDelta("b")]
    assert decoder.plain(chunk("c")) == TextDelta("c")


def test_the_end_of_a_stream_ends_a_call_in_pieces() -> None:
    begun = {"functionCall": {"name": "f", "willContinue": True}}
    piece = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}
    assert read(chunk(begun), chunk(piece), chunk("", finish="STOP")) == [
        *(CallStart(0, "", "f"), CallDelta(0, '{"a":"x"}'), CallEnd(0)),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, "inlineData"),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, "executableCode"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, "codeExecutionResult"),
        ({"toolCall": {"id": "1"}}, "toolCall"),
        ({"text": "", "partMetadata": {"a": 1}}, "partMetadata"),
    ],
)
def test_a_part_that_no_other_dialect_has_is_told(part: Any, name: str) -> None:
    assert whole(part) == [Dropped(name), STOP]


def test_members_of_a_candidate_that_no_other_dialect_has_are_told() -> None:
    found = whole("a", safetyRatings=[{"category": "x"}], urlContextMetadata={"a": 1}, continuationToken="t")
    assert found[1:-1] == [Dropped("safetyRatings"), Dropped("urlContextMetadata"), Dropped("continuationToken")]


def test_other_candidates_are_told() -> None:
    found = read(event(document(candidate("a"), candidate("b", index=1), usage=None)))
    assert found == [TextDelta("a"), Dropped("candidates")]


# The end


def test_what_belongs_to_the_text_comes_before_the_calls() -> None:
    call = {"functionCall": {"id": "a", "name": "f", "args": {}}}
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.example"}}]}
    tokens = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.5}]}
    citation = CitationPart(Citation("https://a.example"))
    found = whole("Hi", call, groundingMetadata=grounding, logprobsResult=tokens)
    (logprobs,) = [each for each in found if isinstance(each, LogprobsPart)]
    assert found[:4] == [TextDelta("Hi"), logprobs, citation, CallStart(0, "a", "f")]
    alone = whole(call, groundingMetadata=grounding)
    assert alone.index(CallStart(0, "a", "f")) < alone.index(citation)


def test_sources_usage_and_finish_come_at_the_end() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}]}
    found = read(chunk("a", finish="STOP", usage=USAGE, groundingMetadata=grounding), chunk("b"))
    assert found == [TextDelta("a"), TextDelta("b"), CitationPart(Citation("https://a.example", "A")), USED, STOP]


def test_a_blocked_prompt_is_an_answer() -> None:
    found = read(event(document(usage=None, promptFeedback={"blockReason": "SAFETY"})))
    assert found == [Finish("content_filter", detail="The provider blocked the request (SAFETY).")]


def test_a_failure_is_a_part_at_once() -> None:
    found = GeminiAnswerDecoder().decode(chunk(finish="MALFORMED_FUNCTION_CALL"))
    assert found[0] == START
    assert isinstance(found[1], AnswerFailed)


def test_events_without_content_are_no_start() -> None:
    assert read(event(document())) == []
    assert read(b": comment\n\n", b"data: 5\n\n", b"data: {\n\n", b"data: [DONE]\n\n") == []
    assert list(GeminiAnswerDecoder().whole(b"{")) == []
    assert list(GeminiAnswerDecoder().whole(b"5")) == []


def test_log_probabilities_are_as_openai_has_them() -> None:
    result = {
        "chosenCandidates": [{"token": "ü", "tokenId": 5, "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [
            {"candidates": [{"token": "ü", "logProbability": -0.5}, {"token": "u", "logProbability": -2}]}
        ],
    }
    first, second = {"token": "ü", "logprob": -0.5, "bytes": [195, 188]}, {"token": "b", "logprob": 0.0, "bytes": [98]}
    others = [first, {"token": "u", "logprob": -2, "bytes": [117]}]
    found = whole("üb", logprobsResult=result)
    assert found[1] == LogprobsPart([first | {"top_logprobs": others}, second | {"top_logprobs": []}])


# Whole answers


def test_a_whole_answer_may_be_an_array_of_events() -> None:
    events = [document(candidate("a"), usage=None), 5, document(candidate("b", finish="STOP"))]
    assert list(GeminiAnswerDecoder().whole(json.dumps(events).encode())) == [
        *(START, TextDelta("a"), TextDelta("b")),
        *(USED, STOP),
    ]


# Any input

STREAM = b"".join(
    [
        chunk({"text": "Hm", "thought": True}, usage={"promptTokenCount": 9}),
        chunk("Grüße"),
        chunk(", Welt"),
        chunk({"text": "", "thoughtSignature": "s"}),
        chunk({"functionCall": {"name": "f", "args": {"a": "ü"}}}),
        event(document(candidate(finish="STOP"))),
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_no_split_of_the_bytes_changes_a_part(cuts: list[int]) -> None:
    assert decoded(GeminiAnswerDecoder(), split(STREAM, tuple(cuts))) == decoded(GeminiAnswerDecoder(), [STREAM])


KEYS = st.sampled_from(
    ["candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args",
     "index", "partialArgs", "jsonPath", "stringValue", "willContinue", "finishReason", "finishMessage",
     "promptFeedback", "blockReason", "usageMetadata", "promptTokenCount", "groundingMetadata", "groundingChunks",
     "web", "uri", "groundingSupports", "segment", "endIndex", "groundingChunkIndices", "citationMetadata",
     "citations", "logprobsResult", "chosenCandidates", "topCandidates", "token", "logProbability", "responseId",
     "error"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=3) | st.sampled_from(["STOP", "SAFETY", "$.a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4))
def test_no_json_raises(documents: list[Any]) -> None:
    stream = [event(each) for each in documents]
    gather(decoded(GeminiAnswerDecoder(), stream))
    for each in documents:
        GeminiAnswerDecoder().whole(json.dumps(each).encode())


PARTS = st.lists(JSON | st.fixed_dictionaries({}, optional={"text": JSON, "functionCall": JSON, "thought": JSON}))
CANDIDATES = st.fixed_dictionaries({}, optional={"content": st.fixed_dictionaries({"parts": PARTS}), "finishReason": JSON,
                                                 "groundingMetadata": JSON, "logprobsResult": JSON})  # fmt: skip


@given(st.lists(CANDIDATES, max_size=3))
def test_no_candidate_raises(candidates: list[Any]) -> None:
    stream = [event({"candidates": [each]}) for each in candidates]
    gather(decoded(GeminiAnswerDecoder(), stream))


def test_deep_json_is_left_out() -> None:
    decoder = GeminiAnswerDecoder()
    decoder.decode(chunk("a"))
    deep = b'data: {"candidates":' + b"[" * 100_000 + b"\n\n"
    assert decoder.plain(deep) is None
    assert decoder.decode(deep) == ()
