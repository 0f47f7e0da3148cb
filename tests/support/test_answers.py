from __future__ import annotations

import json

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support import (
    answered_by,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    unspliced,
)
from tests.support.answers import compact


def test_a_scripted_stream_is_valid_for_the_openai_package() -> None:
    events = chat_events("Hello", " world", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    chunks = [ChatCompletionChunk.model_validate_json(event[6:]) for event in events[:-1]]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello world"
    assert [c.choices[0].finish_reason for c in chunks if c.choices] == [None, None, None, "stop"]
    assert chunks[-1].usage is not None
    assert events[-1] == b"data: [DONE]\n\n"


def test_a_scripted_completion_is_valid_for_the_openai_package() -> None:
    assert ChatCompletion.model_validate(completion("Hi", usage=None)).choices[0].message.content == "Hi"


def test_endings_can_be_left_out() -> None:
    assert b"[DONE]" not in chat_chunks("a", done=False)
    assert b"stop" not in chat_chunks("a", finish=None)


def test_events_are_data_json_or_raw_bytes() -> None:
    assert sse("[DONE]", {"a": "é"}, b": ping\n\n") == 'data: [DONE]\n\ndata: {"a":"é"}\n\n: ping\n\n'.encode()


def test_a_json_response_has_a_content_length() -> None:
    head, body = json_answer(error_json(), 500, [("X", "y")])
    assert head.data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert head.data.endswith(b"Content-Length: %d\r\nX: y\r\n\r\n" % len(body.data))
    assert json.loads(body.data)["error"]["type"] == "server_error"


def test_a_response_splits_into_provider_bytes_and_the_member() -> None:
    member = b'"_router":' + compact(answered_by())
    assert unspliced(b'\n{ "a":1 ,%b}\n' % member) == (b'\n{ "a":1 }\n', answered_by())
    assert unspliced(b"{%b}" % member) == (b"{}", answered_by())
    metadata = answered_by("mé", attempts=2)
    assert unspliced(b'{"a":1,"_router":%b}' % compact(metadata)) == (b'{"a":1}', metadata)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"a":1,"_router":{} }', b'{"a":1,"_router":{ }}', b'{"a":1,"_router":{},"b":2}', b'{"a":1 "_router":{}}'],
)
def test_a_missing_or_misplaced_member_is_a_failure(body: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        unspliced(body)
