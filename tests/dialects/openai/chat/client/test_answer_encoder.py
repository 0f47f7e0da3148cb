"""Whole chat completions. That they equal the streams is tested with these."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from openai.types.chat import ChatCompletion

from proxy.dialects.openai.chat.client.answer_encoder import encode_completion
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    Finish,
    LogprobsPart,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.dialects.openai.chat.answers import answers, context


def test_a_completion_has_all_that_openai_s_has() -> None:
    parts = [Start("id", "theirs"), TextDelta("Hi"), UsagePart(Usage(3, 1, 2)), Finish("stop")]
    assert json.loads(encode_completion(context("mine"), parts)) == {
        "id": "chatcmpl-a1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "mine",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 2,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


@given(answers())
def test_any_completion_is_as_the_sdk_declares_it(parts: list[AnswerPart]) -> None:
    ChatCompletion.model_validate_json(encode_completion(context(), parts))


@pytest.mark.parametrize("parts", [[], [CallStart(0, "a", "f"), CallEnd(0)], [RefusalDelta("No.")]])
def test_an_answer_without_text_has_none(parts: list[AnswerPart]) -> None:
    choice = json.loads(encode_completion(context(), parts))["choices"][0]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == ("tool_calls" if "tool_calls" in choice["message"] else "stop")


def test_what_the_provider_did_not_report_is_left_out() -> None:
    assert "usage" not in json.loads(encode_completion(context(), [Start(), Finish("stop")]))


def test_log_probabilities_of_all_texts_are_one_list() -> None:
    parts: list[AnswerPart] = []
    for text in ("a", "b"):
        parts += [TextDelta(text), LogprobsPart([text]), RefusalDelta("c"), LogprobsPart(["c"], of_refusal=True)]
    found = json.loads(encode_completion(context(), parts))["choices"][0]["logprobs"]
    assert found == {"content": ["a", "b"], "refusal": ["c", "c"]}


def test_half_a_surrogate_pair_is_escaped() -> None:
    body = encode_completion(context(), [Start(), TextDelta("\ud83d")])
    assert json.loads(body)["choices"][0]["message"]["content"] == "\ud83d"


def test_log_probabilities_come_with_an_answer_that_is_only_a_call() -> None:
    parts: list[AnswerPart] = [Start(), CallStart(0, "c", "f"), CallDelta(0, "{}"), LogprobsPart(["a"])]
    (choice,) = json.loads(encode_completion(context(), parts))["choices"]
    assert choice["logprobs"] == {"content": ["a"], "refusal": None}
    assert choice["finish_reason"] == "tool_calls"
