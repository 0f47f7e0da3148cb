from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.usage import Usage, UsageDetails
from proxy.errors import BrokenAnswer, ErrorInStream, UpstreamAuthFailed
from tests.support.answers import compact
from tests.support.messages import HELLO, START, STOP, USAGE, begin, delta, event, stop


def kinds(*blocks: bytes) -> list[EventKind]:
    reader = MessagesReader()
    return [reader.read(block) for block in blocks]


# Plain events


@pytest.mark.parametrize(
    "block",
    [
        HELLO,
        delta(type="text_delta", text="wörld \u2028"),
        delta(type="thinking_delta", thinking="hm"),
        delta(type="input_json_delta", partial_json='{"a":'),
        delta(type="something_new", more={"x": [1]}),
        HELLO.replace(b"}}\n", b"}}      \n"),
        HELLO.replace(b'"type":"content_block_delta",', b""),
    ],
)
def test_an_event_of_content_is_plain(block: bytes) -> None:
    assert MessagesReader().plain(block)
    assert MessagesReader().read(block) is EventKind.CONTENT


@pytest.mark.parametrize(
    "block",
    [
        START,
        STOP,
        begin(type="text", text=""),
        event("content_block_stop", index=0),
        stop("end_turn", output_tokens=5),
        event("ping"),
        event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        event("error", error={}).replace(b"event: error", b"event: content_block_delta"),
        HELLO.replace(b"event: content_block_delta\n", b""),
        HELLO.replace(b"data: ", b"data:"),
        HELLO.replace(b"\n", b"\r\n"),
        HELLO.replace(b"\n", b"\r"),
        HELLO[:-1],
        HELLO[:-4] + b"\n\n",
        HELLO + b"\n",
        HELLO + HELLO,
        HELLO.replace(b"Hello", b"\xff"),
        HELLO.replace(b"Hello", b"\\ud83c"),
        HELLO.replace(b"Hello", b"a\ndata: b"),
        HELLO.replace(b'"index":0', b'"index":NaN'),
        HELLO.replace(b'"index":0', b'"error":{"message":"odd"}'),
        HELLO.replace(b'"type":"content_block_delta"', b'"type":"error"'),
        b"event: content_block_delta\ndata: [1]\n\n",
        b"event: content_block_delta\ndata: %b\n\n" % (b"[" * 100_000),
        b"",
    ],
)
def test_everything_else_is_not_plain(block: bytes) -> None:
    assert not MessagesReader().plain(block)


# Kinds


@pytest.mark.parametrize(
    "block",
    [
        START,
        event("message_start"),
        event("message_start", message=None),
        event("ping"),
        b"event: ping\ndata: {}\n\n",
        begin(type="text", text=""),
        begin(type="text", text="", citations=None),
        begin(type="thinking", thinking="", signature=""),
        delta(type="text_delta", text=""),
        delta(type="thinking_delta", thinking=""),
        delta(type="input_json_delta", partial_json=""),
        event("content_block_stop", index=0),
        stop(None, output_tokens=0),
        event("message_delta"),
    ],
)
def test_events_without_content_are_preliminary(block: bytes) -> None:
    assert kinds(block) == [EventKind.PRELIMINARY]


@pytest.mark.parametrize(
    "block",
    [
        HELLO,
        HELLO.replace(b"event: content_block_delta\n", b""),
        begin(type="text", text="Hi"),
        begin(type="tool_use", id="toolu_1", name="f", input={}),
        begin(type="redacted_thinking", data="opaque"),
        begin(type="server_tool_use", id="s", name="web_search", input={}),
        begin(type="web_search_tool_result", tool_use_id="s", content=[]),
        begin(type="something_new"),
        begin(type={"a": 1}),
        begin(type=[]),
        event("content_block_start", index=0),
        delta(type="signature_delta", signature="c2ln"),
        delta(type="citations_delta", citation={"cited_text": "x"}),
        delta(type="something_new"),
        event("something_new"),
        event("message_start", message={"content": [{"type": "text", "text": "Hi"}]}),
        b"data: [1]\n\n",
        b'data: {"type":5}\n\n',
    ],
)
def test_content_and_what_is_not_known_is_content(block: bytes) -> None:
    assert kinds(block) == [EventKind.CONTENT]


@pytest.mark.parametrize(
    "reason",
    ["end_turn", "max_tokens", "tool_use", "stop_sequence", "pause_turn", "refusal", "model_context_window_exceeded"],
)
def test_a_stream_is_complete_after_any_stop_reason(reason: str) -> None:
    reader = MessagesReader()
    assert [reader.read(block) for block in (START, HELLO)] == [EventKind.PRELIMINARY, EventKind.CONTENT]
    assert not reader.complete
    assert reader.read(stop(reason, output_tokens=5)) is EventKind.CONTENT
    assert (reader.complete, reader.ended) == (True, False)
    assert reader.read(STOP) is EventKind.DONE
    assert (reader.complete, reader.ended) == (True, True)


def test_the_name_stands_in_for_a_missing_type() -> None:
    reader = MessagesReader()
    assert reader.read(b"event: message_stop\ndata: {}\n\n") is EventKind.DONE
    assert reader.ended


def test_done_of_another_dialect_does_not_complete_a_stream() -> None:
    reader = MessagesReader()
    assert reader.read(b"data: [DONE]\n\n") is EventKind.DONE
    assert not reader.complete


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (b": x\n\n", EventKind.COMMENT),
        (b"event: ping\n\n", EventKind.NO_DATA),
        (b"event: content_block_delta\ndata: {\n\n", EventKind.MALFORMED),
        (b'{"type":"error","error":{"type":"api_error","message":"x"}}\n\n', EventKind.UNFRAMED_ERROR),
    ],
)
def test_other_blocks_are_read_as_in_every_dialect(block: bytes, kind: EventKind) -> None:
    assert kinds(block) == [kind]


# Facts


def test_the_model_and_the_usage_are_noted() -> None:
    reader = MessagesReader()
    reader.read(START)
    assert (reader.response_model, reader.usage) == ("claude-x", Usage(9, 4, 1, None))
    reader.read(stop("end_turn", output_tokens=7, output_tokens_details={"thinking_tokens": 3}))
    assert reader.usage == Usage(9, 4, 4, 3)


def test_a_fallback_at_the_provider_changes_the_model() -> None:
    reader = MessagesReader()
    reader.read(START)
    for successor, model in ((None, "claude-x"), ({"model": 5}, "claude-x"), ({"model": "claude-y"}, "claude-y")):
        assert reader.read(begin(type="fallback", to=successor)) is EventKind.CONTENT
        assert reader.response_model == model


def test_a_stream_without_usage_has_none() -> None:
    reader = MessagesReader()
    reader.read(event("message_start", message={"model": 5, "usage": None}))
    reader.read(event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": "many"}))
    assert (reader.response_model, reader.usage, reader.complete) == ("", None, True)


@pytest.mark.parametrize(
    ("block", "message", "status"),
    [
        (event("error", error={"type": "overloaded_error", "message": "Overloaded"}), "Overloaded", 529),
        (event("error", error={"type": "api_error", "message": "Internal server error"}), "Internal server error", 0),
        (event("error", error={"type": "rate_limit_error", "message": "Slow"}), "Slow", 429),
        (event("error", error={"type": "authentication_error", "message": "No"}), "No", 401),
        (event("error", error={"type": "timeout_error", "message": "Late"}), "Late", 504),
        (event("error", error={"type": "permission_error", "message": "No"}), "No", 403),
        (event("error", message="flat"), "flat", 0),
        (event("error"), "", 0),
        (b"event: error\ndata: {}\n\n", "The provider reported an error.", 0),
        (b"event: error\ndata: []\n\n", "The provider reported an error.", 0),
        (b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n', "Overloaded", 529),
        (b'data: {"error":{"message":"not even typed","code":400}}\n\n', "not even typed", 400),
    ],
)
def test_an_error_is_found_in_any_form(block: bytes, message: str, status: int) -> None:
    reader = MessagesReader()
    assert reader.read(block) is EventKind.ERROR
    assert reader.error is not None
    assert (reader.error.message, reader.error.status) == (message, status)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "delta", "message", "content_block", "usage", "error", "stop_reason", "text", "x"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
names = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error", "other"]
)


@given(
    names,
    st.none() | names,
    st.dictionaries(st.sampled_from(["delta", "message", "content_block", "usage", "error"]), anything),
)
def test_no_event_makes_the_reader_raise(name: str, kind: str | None, members: dict[str, Any]) -> None:
    document = ({} if kind is None else {"type": kind}) | members
    block = f"event: {name}\ndata: {json.dumps(document)}\n\n".encode()
    reader, plain = MessagesReader(), MessagesReader().plain(block)
    found = reader.read(block)
    if plain:
        assert found in (EventKind.CONTENT, EventKind.PRELIMINARY)
        assert (reader.error, reader.complete, reader.usage) == (None, False, None)
    assert (found is EventKind.ERROR) == (reader.error is not None)


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda at, byte: HELLO[:at] + bytes([byte]) + HELLO[at + 1 :],
        st.integers(0, len(HELLO) - 1),
        st.integers(0, 255),
    )
)
def test_no_bytes_make_the_reader_raise(block: bytes) -> None:
    reader = MessagesReader()
    if reader.plain(block):
        assert reader.read(block) in (EventKind.CONTENT, EventKind.PRELIMINARY)
    else:
        reader.read(block)


# Whole answers

MESSAGE = {"type": "message", "model": "claude-x", "content": [{"type": "text", "text": "Hi"}], "usage": USAGE}


def test_a_message_has_a_model_and_a_usage() -> None:
    details = {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 2}}
    info = MessagesReader.read_answer(compact(MESSAGE | {"usage": USAGE | details}))
    assert info == AnswerInfo("claude-x", Usage(9, 4, 1, None, UsageDetails(cache_write=5, cache_write_1h=2)))


@pytest.mark.parametrize("body", [b'{"input_tokens":14}', b'{"input_tokens":14,"context_management":{}}', b"[]", b"5"])
def test_a_count_of_tokens_has_no_usage(body: bytes) -> None:
    assert MessagesReader.read_answer(body) == AnswerInfo()


@pytest.mark.parametrize(
    ("change", "strict"), [((b'"Hi"', b'"\\ud83c"'), True), ((b'"Hi"', b'"\xff"'), False), ((b'"Hi"', b"NaN"), False)]
)
def test_unusual_json_is_read_by_lenient_means(change: tuple[bytes, bytes], strict: bool) -> None:
    info = MessagesReader.read_answer(compact(MESSAGE).replace(*change))
    assert info == AnswerInfo("claude-x", Usage(9, 4, 1, None), strict)


def test_an_answer_of_unexpected_types_is_left_to_the_client() -> None:
    assert MessagesReader.read_answer(b'{"model":5,"usage":{"input_tokens":"9"}}') == AnswerInfo()


def test_an_error_in_a_200_is_an_error() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(ErrorInStream, match="Overloaded") as caught:
        MessagesReader.read_answer(compact(body))
    assert (caught.value.status, caught.value.provider_type) == (503, "overloaded_error")
    with pytest.raises(UpstreamAuthFailed):
        MessagesReader.read_answer(b'{"type":"error","error":{"type":"authentication_error","message":"x"}}')


@pytest.mark.parametrize("body", [b"", b" \n", b"<html>", b"{"])
def test_an_answer_that_is_no_json_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        MessagesReader.read_answer(body)
