"""The object ``response``."""

from __future__ import annotations

import json

import pytest
from openai.types.responses import Response, ResponseUsage

from proxy.dialects.openai.responses.client.response_object import ResponseObject, usage_object
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.usage import Usage, UsageDetails
from tests.support.responses import context, decoded

# Members that Open Responses requires (schema/components/schemas/ResponseResource.json of openresponses/openresponses).
REQUIRED = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *("presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier"),
    "prompt_cache_key",
}


def test_an_object_has_every_member_and_repeats_the_request() -> None:
    request = decoded(
        input="Hi",
        instructions="Be brief.",
        store=True,
        truncation="auto",
        tools=[{"type": "custom", "name": "exec"}],
        tool_choice={"type": "custom", "name": "exec"},
        metadata={"a": "b"},
    )
    made = ResponseObject(context(request))
    made.name_model("up")
    found = json.loads(made.make("completed", [b'{"type":"x"}', b'{"type":"y"}']))
    assert found.keys() >= REQUIRED
    Response.model_validate(found | {"output": []})
    assert (found["id"], found["model"], found["status"], found["created_at"]) == (
        "resp_abc", "up", "completed", 1_790_000_000
    )  # fmt: skip
    assert found["output"] == [{"type": "x"}, {"type": "y"}]
    assert (found["instructions"], found["metadata"]) == ("Be brief.", {"a": "b"})
    assert (found["tools"], found["tool_choice"]["name"]) == ([{"type": "custom", "name": "exec"}], "exec")
    assert (found["store"], found["truncation"], found["usage"]) == (False, "disabled", None)


def test_the_name_that_the_answer_must_have_comes_first() -> None:
    made = ResponseObject(context(model="alias"))
    made.name_model("up")
    assert json.loads(made.make("in_progress"))["model"] == "alias"


def test_a_request_of_another_dialect_has_no_echo() -> None:
    found = json.loads(ResponseObject(context(Conversation("other", []))).make("in_progress"))
    assert found.keys() >= REQUIRED


def test_why_a_response_is_not_complete() -> None:
    made = ResponseObject(context())
    cut = json.loads(made.make("incomplete", incomplete="content_filter"))
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    failed = json.loads(made.make("failed", error={"code": "server_error", "message": "Cut."}))
    assert (failed["error"], failed["incomplete_details"]) == ({"code": "server_error", "message": "Cut."}, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(10, 5, 7, 3, UsageDetails(cache_write=2, cache_write_1h=1, audio_output=4)), (18, 5, 3, 14, 3)),
        (Usage(10, None, 7), (10, 0, 0, 7, 0)),
        (Usage(0, 0, 0, 0), (0, 0, 0, 0, 0)),
        (Usage(1), (1, 0, 0, 0, 0)),
        (Usage(None, None, 1), (0, 0, 0, 1, 0)),
    ],
)
def test_usage(usage: Usage, expected: tuple[int, ...]) -> None:
    found = ResponseUsage.model_validate(usage_object(usage))
    assert expected == (
        found.input_tokens,
        found.input_tokens_details.cached_tokens,
        found.input_tokens_details.cache_write_tokens,
        found.output_tokens,
        found.output_tokens_details.reasoning_tokens,
    )
    assert found.total_tokens == found.input_tokens + found.output_tokens


def test_a_usage_that_is_not_known_is_null() -> None:
    assert usage_object(Usage()) is None
