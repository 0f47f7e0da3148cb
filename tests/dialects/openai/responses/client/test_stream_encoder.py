"""Streams of the Responses API as a whole, and as the openai package reads them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.responses import Response

from proxy.dialects.openai.responses.client.stream_encoder import ResponsesStreamEncoder
from proxy.dialects.provider_error import ProviderError, fault_of
from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
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
from tests.support.responses import context, decoded, events_of, read_stream, response_of, stream_of, types_of
from tests.translation.grammar import check_responses

ANSWER: list[AnswerPart] = [
    Start("x", "up"),
    ReasoningDelta("Hm."),
    ReasoningBlob(Blob("sig")),
    TextDelta("Hel"),
    TextDelta("lo"),
    CallStart(0, "c", "f"),
    CallDelta(0, '{"a":1}'),
    CallEnd(0),
    Finish("tool_calls"),
    UsagePart(Usage(10, 5, 7, 3)),
]


def test_a_stream_begins_and_ends_with_the_response() -> None:
    events = events_of(stream_of(ANSWER))
    check_responses(events)
    first, second, *_, last = events
    assert (first["type"], second["type"]) == ("response.created", "response.in_progress")
    assert first["response"] == second["response"]
    assert (first["response"]["status"], first["response"]["model"], first["response"]["output"]) == (
        "in_progress", "up", []
    )  # fmt: skip
    assert (last["type"], last["response"]["status"]) == ("response.completed", "completed")
    assert last["response"]["usage"]["total_tokens"] == 25


def test_the_package_reads_a_stream() -> None:
    events, response = read_stream(stream_of(ANSWER))
    assert response.output_text == "Hello"
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert [event.snapshot for event in events if event.type == "response.output_text.delta"] == ["Hel", "Hello"]
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 3


def test_the_number_of_the_last_event_is_known_after_each_part() -> None:
    encoder = ResponsesStreamEncoder(context())
    assert encoder.sequence == -1
    seen = -1
    for part in ANSWER:
        seen += encoder.encode(part).count(b"\ndata: ")
        assert encoder.sequence == seen
    encoder.finish()
    assert encoder.sequence > seen


def test_an_answer_without_anything_is_complete() -> None:
    assert types_of(stream_of([])) == ["created", "in_progress", "completed"]
    assert types_of(stream_of([Start(), Finish("stop")])) == ["created", "in_progress", "completed"]


@pytest.mark.parametrize(
    ("reason", "incomplete"),
    [("length", "max_output_tokens"), ("context", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_that_was_cut_is_incomplete(reason: Any, incomplete: str) -> None:
    parts = [TextDelta("Hel"), Finish(reason)]
    last = events_of(stream_of(parts))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "incomplete")
    assert last["response"]["incomplete_details"] == {"reason": incomplete}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert response_of(parts)["incomplete_details"] == {"reason": incomplete}


@pytest.mark.parametrize("reason", ["stop", "stop_sequence", "tool_calls", "pause"])
def test_other_answers_are_complete(reason: Any) -> None:
    assert types_of(stream_of([TextDelta("Hi"), Finish(reason)]))[-1] == "completed"


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        ([Finish("refusal")], ["The model refused to answer."]),
        ([TextDelta("Well."), Finish("refusal", detail="Not that.")], ["Well.", "Not that."]),
        ([RefusalDelta("No."), Finish("refusal", detail="Not that.")], ["No."]),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_model_or_the_provider(parts: list[AnswerPart], texts: list[str]) -> None:
    """Not as an incomplete response, which Codex would repeat."""
    last = events_of(stream_of(parts))[-1]
    assert last["type"] == "response.completed"
    for output in (last["response"]["output"], response_of(parts)["output"]):
        assert [part.get("text") or part["refusal"] for part in output[0]["content"]] == texts


def failed(*parts: AnswerPart, fault: Any = None) -> tuple[bytes, Any]:
    encoder = ResponsesStreamEncoder(context())
    begun = b"".join(map(encoder.encode, parts))
    last = encoder.failed(fault or StreamTruncated("Cut."))
    return begun + last, json.loads(last.partition(b"data: ")[2])


def test_a_broken_stream_ends_with_the_items_that_are_complete() -> None:
    stream, last = failed(*ANSWER[:4])
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning"]
    assert last["response"]["error"] == {"code": "invalid_prompt", "message": "Cut."}
    assert last["sequence_number"] == len(events_of(stream)) - 1
    Response.model_validate(last["response"])


def test_the_package_raises_on_a_broken_stream() -> None:
    with pytest.raises(openai.APIError) as caught:
        read_stream(failed(*ANSWER[:4])[0])
    assert (caught.value.code, caught.value.message) == ("upstream_stream_truncated", "Cut.")


def test_a_stream_that_broke_before_its_first_content_may_be_repeated() -> None:
    assert failed(Start("x", "up"))[1]["response"]["error"]["code"] == "server_error"
    assert failed()[1]["sequence_number"] == 0
    limited = fault_of(ProviderError("Slow down.", status=429))
    assert failed(fault=limited)[1]["response"]["error"]["code"] == "rate_limit_exceeded"


# Any answer: the events keep their order, and say what the plain answer says.

TEXTS = st.text(alphabet=st.characters(codec=None), min_size=1, max_size=3)
BLOBS = st.builds(Blob, TEXTS.filter(str.isascii), st.sampled_from(["signature", "redacted"]))
CALLS = st.tuples(
    st.sampled_from(["f", "shell"]),
    st.sampled_from(["function", "custom"]),
    st.sampled_from(["", "n"]),
    st.none() | BLOBS,
    st.lists(TEXTS | st.sampled_from(['{"commands":["ls"]}', '{"a":1}']), max_size=2),
)
CITATIONS = st.builds(Citation, TEXTS, TEXTS, TEXTS, TEXTS, st.none() | st.integers(0, 9))
CITED = st.builds(lambda text, citation: [TextDelta(text), CitationPart(citation)], TEXTS, CITATIONS)
ANSWERS = st.lists(
    st.one_of(
        st.builds(TextDelta, TEXTS),
        st.builds(RefusalDelta, TEXTS),
        st.builds(ReasoningDelta, TEXTS, st.booleans()),
        st.builds(ReasoningBlob, BLOBS),
        CITED,
        st.just(LogprobsPart([{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}])),
        st.builds(UsagePart, st.builds(Usage, st.none() | st.integers(0, 9), st.none(), st.integers(0, 9))),
        st.just(BlockEnd()),
        CALLS,
    ),
    max_size=12,
)
SETTINGS = st.sampled_from([None, {"summary": "auto"}])


def parts_of(answer: list[Any]) -> list[AnswerPart]:
    """As ``CallParts`` puts them in order: each call has an id, and ends before anything else begins."""
    parts: list[AnswerPart] = [Start("x", "up")]
    for index, part in enumerate(answer):
        if not isinstance(part, tuple):
            parts += part if isinstance(part, list) else [part]
            continue
        name, kind, namespace, blob, texts = part
        parts.append(CallStart(index, f"c{index}", name, kind, namespace, blob))
        parts += [CallDelta(index, text) for text in texts]
        parts.append(CallEnd(index))
    return parts


@given(ANSWERS, st.sampled_from(["stop", "length", "refusal", "content_filter"]), SETTINGS)
@example([[TextDelta("\ud800"), CitationPart(Citation("0", "0", "0", "0"))], BlockEnd()], "stop", None)
def test_a_stream_says_what_the_plain_answer_says(answer: list[Any], reason: Any, reasoning: Any) -> None:
    request = decoded(input="Hi", tools=[{"type": "shell"}], reasoning=reasoning)
    parts = [*parts_of(answer), Finish(reason)]
    stream = stream_of(parts, request, issuer="iss")
    events = events_of(stream)
    check_responses(events)
    assert events[-1]["response"] == response_of(parts, request, issuer="iss")
    read_stream(stream)
