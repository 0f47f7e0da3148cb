from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.demo.answer import DemoAnswer, Frame
from proxy.demo.anthropic.api import AnthropicApi
from proxy.demo.models import MODELS
from proxy.demo.refusal import DemoRefusal

API = AnthropicApi()


def body(answer: DemoAnswer) -> Any:
    return json.loads(b"".join(frame.data for frame in answer.frames if isinstance(frame, Frame)))


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (404, 404, "not_found_error"),
        (413, 413, "request_too_large"),
        (500, 500, "api_error"),
        (503, 529, "overloaded_error"),
    ],
)
def test_an_error_has_anthropics_status_and_type(status: int, expected: int, kind: str) -> None:
    answer = API.refused(DemoRefusal(status, "No."))
    assert answer.status == expected
    assert body(answer)["type"] == "error"
    assert body(answer)["error"] == {"type": kind, "message": "No."}


def test_a_rate_limit_has_the_time_to_wait_in_a_header() -> None:
    answer = API.refused(DemoRefusal(429, "Slow down.", retry_after=2))
    assert (answer.headers, body(answer)["error"]["type"]) == ({"Retry-After": "2"}, "rate_limit_error")


def test_a_long_prompt_is_refused_in_anthropics_words() -> None:
    answer = API.refused(DemoRefusal(400, "OpenAI's words", code="context_length_exceeded"))
    assert body(answer)["error"]["message"].startswith("prompt is too long")


def test_all_models_are_on_one_page() -> None:
    page = API.models(MODELS)
    assert [model["id"] for model in page["data"]] == [model.name for model in MODELS]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, MODELS[0].name, MODELS[-1].name)
