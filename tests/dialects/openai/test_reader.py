from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.base import AnswerInfo
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ErrorInStream
from tests.support.answers import completion

read_answer = OtherReader.read_answer


def test_model_and_usage_of_a_completion_are_read() -> None:
    assert read_answer(json.dumps(completion()).encode()) == AnswerInfo("up-model", Usage(9, None, 2, None))


@pytest.mark.parametrize(
    "body",
    [b'\n\n\r\n\t {"model":"m"}', b'{"model":"m"}\n\n', b'{"model":"m","error":null}', b'{"model":"m","error":{}}'],
)
def test_blank_lines_and_an_empty_error_are_ignored(body: bytes) -> None:
    assert read_answer(body) == AnswerInfo("m", None)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b'{"model":5}',
        b'{"usage":"much"}',
        b'{"model":null,"usage":null}',
        b'{"text":"\\ud83d"}',
    ],
)
def test_json_of_any_shape_is_an_answer(body: bytes) -> None:
    assert read_answer(body) == AnswerInfo()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"usage": {"prompt_tokens": 5, "completion_tokens": 7}, "text": "\ud83d"},
            AnswerInfo("m", Usage(5, None, 7, None)),
        ),
        ({"usage": {"prompt_tokens": 5}, "error": False}, AnswerInfo("m", Usage(5, None, None, None))),
        ({"usage": {"prompt_tokens": "5"}}, AnswerInfo("m")),
    ],
)
def test_an_invalid_member_does_not_affect_the_others(members: dict[str, Any], expected: AnswerInfo) -> None:
    assert read_answer(json.dumps({"model": "m"} | members).encode()) == expected


@pytest.mark.parametrize("body", [b"", b" ", b"\n\n\r\n"])
def test_an_empty_body_is_no_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer) as caught:
        read_answer(body)
    assert (caught.value.status, caught.value.code) == (502, "upstream_empty_answer")


@pytest.mark.parametrize(
    "body",
    [b"<!DOCTYPE html>", b"{", b'{"model":"m"', b'{"model":"m"}{"model":"m"}', b'{"a":\xff}', b"\xff",
     b"data: {}\n\n", b"[" * 100_000 + b"]" * 100_000, b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
)  # fmt: skip
def test_invalid_json_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer) as caught:
        read_answer(body)
    assert (caught.value.status, caught.value.code) == (502, "upstream_broken_answer")


@pytest.mark.parametrize(
    ("document", "status"),
    [({"error": {"message": "late", "code": 429}}, 429), ({"error": "late"}, 502), ([{"error": {"message": "late", "code": 503}}], 503),
     ({"model": "m", "choices": [], "error": {"message": "late", "type": "server_error"}}, 500)],
)  # fmt: skip
def test_an_error_in_disguise_is_an_error(document: Any, status: int) -> None:
    with pytest.raises(ErrorInStream) as caught:
        read_answer(json.dumps(document).encode())
    assert (caught.value.status, caught.value.message) == (status, "late")


@pytest.mark.parametrize(
    "body",
    [b'{"model":"m","score":NaN}', b'{"model":"m","logprob":-Infinity}', b'{"model":"m","text":"a\nb"}', b'{"model":"m","text":"\xff"}'],
)  # fmt: skip
def test_lenient_json_is_an_answer(body: bytes) -> None:
    assert read_answer(body) == AnswerInfo("m", strict=False)
    assert read_answer(b'{"model":"m"}') == AnswerInfo("m")


def test_an_error_in_lenient_json_is_an_error() -> None:
    with pytest.raises(ErrorInStream):
        read_answer(b'{"a":"\xff","error":{"message":"x"}}')
