from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ErrorInStream
from tests.support.answers import compact
from tests.support.gemini import MODEL, USAGE, candidate, document, event, events

COUNTED = Usage(input=9, cache_read=None, output=2, reasoning=None)
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
TEXT = event(document(candidate("a")))


def kind(data: Any, **options: Any) -> EventKind:
    return GeminiReader(**options).read(event(data))


# What an event is to the relay


@pytest.mark.parametrize(
    "part",
    [{"text": "a"}, {"text": " "}, {"text": "hm", "thought": True}, {"text": "", "thoughtSignature": "c2ln"},
     {"functionCall": {"name": "f", "args": {}}}, {"functionCall": {}}, {"inlineData": {"mimeType": "image/png", "data": ""}},
     {"executableCode": {"code": ""}}, {"partOfTomorrow": None}, "no object"],
)  # fmt: skip
def test_the_first_part_is_content(part: Any) -> None:
    assert kind(document({"content": {"parts": [part], "role": "model"}})) is EventKind.CONTENT


@pytest.mark.parametrize(
    "found",
    [{}, {"content": {"role": "model"}}, {"content": {"parts": []}}, {"content": {"parts": [{"text": ""}]}},
     {"content": {"parts": [{"text": "", "thought": True}, {}]}}, {"content": None}, {"safetyRatings": []},
     {"groundingMetadata": {}}, {"finishReason": "FINISH_REASON_UNSPECIFIED"}, {"finishReason": None}],
)  # fmt: skip
def test_a_candidate_without_parts_is_preliminary(found: dict[str, Any]) -> None:
    assert kind(document(found)) is EventKind.PRELIMINARY


@pytest.mark.parametrize("reason", ["STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "REASON_OF_TOMORROW"])
def test_a_finish_reason_is_content(reason: str) -> None:
    assert kind(document(candidate(finish=reason))) is EventKind.CONTENT


@pytest.mark.parametrize(
    "data",
    [{}, document(), document(promptFeedback={"safetyRatings": []}), document(promptFeedback={"blockReason": ""})],
)
def test_usage_and_feedback_without_candidates_are_preliminary(data: Any) -> None:
    assert kind(data) is EventKind.PRELIMINARY


@pytest.mark.parametrize("data", [{"object": "x"}, {"candidates": ["text"]}, [1], [{}, {}], "text", 5, None])
def test_json_of_unknown_shape_is_content(data: Any) -> None:
    assert kind(data) is EventKind.CONTENT


@pytest.mark.parametrize("block", [b"\n", b"\r\n", b"\r"])
def test_a_blank_line_is_a_comment(block: bytes) -> None:
    assert GeminiReader().read(block) is EventKind.COMMENT


@pytest.mark.parametrize(
    "block", [b": ping\n\n", b":\r\n\r\n", b"nothing\n\n", b"event: x\n\n", b"data:\n\n", b"data: [DONE]\n\n", b"data: [DONE]\r\n\r\n"]
)  # fmt: skip
def test_what_googles_sdk_cannot_read_has_no_data(block: bytes) -> None:
    reader = GeminiReader()
    assert reader.read(block) is EventKind.NO_DATA
    assert (reader.complete, reader.ended) == (False, False)


def test_text_that_is_no_json_is_malformed() -> None:
    assert GeminiReader().read(b"data: {\n\n") is EventKind.MALFORMED


@pytest.mark.parametrize(
    "wrap", [lambda error: error, lambda error: [error], lambda error: error | {"candidates": [candidate("a")]}]
)
def test_an_error_event_is_read(wrap: Any) -> None:
    reader = GeminiReader()
    assert reader.read(event(wrap(OVERLOADED))) is EventKind.ERROR
    assert reader.error == ProviderError("The model is overloaded.", type="UNAVAILABLE", code=503, status=503)


def test_an_error_event_by_its_name_alone_is_an_error() -> None:
    reader = GeminiReader()
    assert reader.read(b"event: error\ndata: {}\n\n") is EventKind.ERROR
    assert reader.error is not None


def test_an_error_outside_of_any_event_is_read() -> None:
    reader = GeminiReader()
    assert reader.read(json.dumps([OVERLOADED], indent=2).encode() + b"\n\n") is EventKind.UNFRAMED_ERROR
    assert reader.error is not None
    assert reader.error.status == 503


# Plain chunks


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_chunk_of_one_candidate_is_plain(end: bytes) -> None:
    reader = GeminiReader()
    assert reader.plain(event(document(candidate("ä", index=0)), end))
    assert reader.usage == COUNTED


@pytest.mark.parametrize(
    "block",
    [
        event(document(candidate("a", finish="STOP"))),
        event(document(candidate("a"), candidate("b", index=1))),
        event(document()),
        event(document(candidate("a"), error={"message": "x"})),
        event(OVERLOADED),
        event({"candidates": None}),
        event({"candidates": [5]}),
        event([document(candidate("a"))]),
        TEXT[:-2],
        TEXT + b"\r\n",
        TEXT + TEXT,
        b"id: 1\r\n" + TEXT,
        TEXT[:20] + b"\n" + TEXT[20:],
        TEXT[:20] + b"\r" + TEXT[20:],
        TEXT.replace(b"data: ", b"data:"),
        TEXT.replace(b'"a"', b'"\xff"'),
        TEXT[:-4] + b"\r\n\n",
        TEXT[:-4] + b"\r\r",
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b"\n",
        b"",
    ],
)
def test_everything_else_is_not_plain(block: bytes) -> None:
    assert not GeminiReader().plain(block)


def test_with_several_candidates_no_chunk_is_plain() -> None:
    assert not GeminiReader(2).plain(TEXT)


@given(st.binary(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_no_bytes_raise(data: bytes, end: bytes) -> None:
    reader = GeminiReader()
    reader.plain(data)
    reader.plain(b"data: " + data + end + end)
    reader.read(data, first=True)
    reader.read(b"data: " + data + end + end)
    assert reader.usage is None or reader.usage == reader.usage


MEMBERS = (
    *("candidates", "content", "parts", "text", "finishReason", "index", "error", "code", "status", "promptFeedback"),
    *("usageMetadata", "promptTokenCount", "promptTokensDetails", "modality", "tokenCount", "blockReason"),
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(any_json)
def test_what_is_plain_reads_as_content_or_preliminary(data: Any) -> None:
    block = b"data: " + json.dumps(data).encode() + b"\n\n"
    fast, slow = GeminiReader(), GeminiReader()
    found = slow.read(block)
    if fast.plain(block):
        assert found in (EventKind.CONTENT, EventKind.PRELIMINARY)
        assert not slow.complete
        assert fast.usage == slow.usage


# Whole or cut


def complete(*datas: Any, choices: int = 1) -> tuple[bool, bool]:
    """``complete`` and ``open_ended`` after these events, each tried as a plain one first."""
    reader = GeminiReader(choices)
    for data in datas:
        assert reader.plain(event(data)) or reader.read(event(data)) is not None
    assert not reader.ended
    return reader.complete, reader.open_ended


def test_a_finish_reason_completes_the_stream() -> None:
    assert complete(document(candidate("a"))) == (False, False)
    assert complete(document(candidate("a")), document(candidate(finish="STOP"))) == (True, True)


def test_every_candidate_must_finish() -> None:
    first, second = (document(candidate("a", finish="STOP", index=place)) for place in (0, 1))
    assert complete(first, document(candidate("b", index=1)), choices=2) == (False, False)
    assert complete(first, document(candidate("b", index=1)), second, choices=2) == (True, True)
    assert complete(document(candidate("a", finish="STOP", index=0), candidate("b", index=1))) == (False, False)


def test_fewer_candidates_than_requested_are_whole_where_http_ends_them() -> None:
    assert complete(document(candidate("a", finish="STOP")), choices=3) == (False, True)


def test_a_blocked_prompt_is_complete() -> None:
    assert complete(document(promptFeedback={"blockReason": "SAFETY"})) == (True, False)
    assert kind(document(promptFeedback={"blockReason": "SAFETY"})) is EventKind.CONTENT


def test_a_candidate_that_goes_on_has_not_finished() -> None:
    stop, more = document(candidate("a", finish="STOP")), document(candidate("b"))
    assert complete(stop, more) == (False, False)
    assert complete(stop, more, more, stop) == (True, True)
    assert complete(document(candidate(finish="STOP")), more) == (False, False)


def test_metadata_after_the_finish_reason_leaves_the_stream_complete() -> None:
    late = document({"groundingMetadata": {"webSearchQueries": ["x"]}, "index": 0})
    assert complete(document(candidate("a", finish="STOP", index=0)), late, document()) == (True, True)


# Usage and model


def test_the_last_usage_counts() -> None:
    reader = GeminiReader()
    for count in (1, 2, 3):
        assert reader.plain(event(document(candidate("a"), usage=USAGE | {"candidatesTokenCount": count})))
    assert reader.usage == Usage(9, None, 3, None)
    assert reader.plain(event(document(candidate("a"), usage=None)))
    assert reader.usage == Usage(9, None, 3, None)
    reader.read(event(document(candidate(finish="STOP"), usage=USAGE | {"candidatesTokenCount": 9})))
    assert reader.usage == Usage(9, None, 9, None)


@pytest.mark.parametrize("usage", [{"trafficType": "ON_DEMAND"}, {}, None, {"promptTokenCount": "nine"}, 5])
def test_usage_without_counts_hides_no_earlier_one(usage: Any) -> None:
    reader = GeminiReader()
    reader.read(TEXT)
    for data in (document(candidate("a")) | {"usageMetadata": usage}, document(candidate()) | {"usageMetadata": usage}):
        assert reader.plain(event(data)) or reader.read(event(data)) is not None
        assert reader.usage == COUNTED


def test_a_stream_without_usage_has_none() -> None:
    reader = GeminiReader()
    assert reader.plain(event(document(candidate("a"), usage=None)))
    assert reader.usage is None


def test_an_error_may_have_usage() -> None:
    reader = GeminiReader()
    reader.read(event(OVERLOADED | {"usageMetadata": USAGE}))
    assert reader.usage == COUNTED


def test_the_model_is_that_of_the_first_event() -> None:
    reader = GeminiReader()
    for block in events("a", "b"):
        reader.read(block)
    assert reader.response_model == MODEL


def test_lenient_json_is_counted() -> None:
    reader = GeminiReader()
    assert (
        reader.read(b'data: {"candidates":[{"content":{"parts":[{"text":"a\tb"}]},"avgLogprobs":NaN}]}\n\n')
        is EventKind.CONTENT
    )
    assert reader.lenient == 1


# Whole answers


@pytest.mark.parametrize(
    ("body", "info"),
    [
        (document(candidate("ä", finish="STOP")), AnswerInfo(MODEL, COUNTED)),
        ({"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]}, AnswerInfo()),
        ({"embedding": {"values": [0.1]}}, AnswerInfo()),
        ({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 4}}, AnswerInfo("", Usage(4))),
        ({"promptFeedback": {"blockReason": "SAFETY"}, "error": None}, AnswerInfo()),
        ({}, AnswerInfo()),
        ([document(candidate("a")), document(candidate(finish="STOP"))], AnswerInfo(MODEL, COUNTED)),
        ({"modelVersion": 5, "usageMetadata": "x"}, AnswerInfo()),
        ([], AnswerInfo()),
        ("text", AnswerInfo()),
    ],
)
def test_an_answer_has_its_model_and_usage(body: Any, info: AnswerInfo) -> None:
    assert GeminiReader.read_answer(compact(body)) == info


def test_a_lenient_answer_is_not_strict() -> None:
    assert GeminiReader.read_answer(b'{"modelVersion":"m","x":NaN}') == AnswerInfo("m", None, strict=False)
    assert GeminiReader.read_answer(b'{"modelVersion":"m","x":"\xff"}') == AnswerInfo("m", None, strict=False)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"<html>", b"{"])
def test_no_answer_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        GeminiReader.read_answer(body)


@pytest.mark.parametrize("body", [OVERLOADED, [OVERLOADED]])
def test_an_error_in_an_answer_is_raised(body: Any) -> None:
    with pytest.raises(ErrorInStream) as raised:
        GeminiReader.read_answer(compact(body))
    assert (raised.value.status, raised.value.provider_type) == (503, "UNAVAILABLE")


def test_the_error_of_a_refusal_is_read() -> None:
    assert GeminiReader.read_error(compact([OVERLOADED])) == ProviderError(
        "The model is overloaded.", type="UNAVAILABLE", code=503, status=503
    )
    assert GeminiReader.read_error(b"<html>") is None
