from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.demo.answer import DemoAnswer, Frame
from proxy.demo.gemini.api import GeminiApi
from proxy.demo.models import MODELS
from proxy.demo.refusal import DemoRefusal

API = GeminiApi()


def error(answer: DemoAnswer) -> Any:
    return json.loads(b"".join(frame.data for frame in answer.frames if isinstance(frame, Frame)))["error"]


@pytest.mark.parametrize(
    ("status", "expected", "word"),
    [
        (400, 400, "INVALID_ARGUMENT"),
        (401, 400, "INVALID_ARGUMENT"),
        (404, 404, "NOT_FOUND"),
        (429, 429, "RESOURCE_EXHAUSTED"),
        (500, 500, "INTERNAL"),
        (503, 503, "UNAVAILABLE"),
    ],
)
def test_an_error_has_googles_status_and_word(status: int, expected: int, word: str) -> None:
    answer = API.refused(DemoRefusal(status, "No."))
    assert answer.status == expected
    assert error(answer) == {"code": expected, "message": "No.", "status": word}


def test_a_wrong_key_has_a_reason() -> None:
    found = error(API.refused(DemoRefusal(401, "OpenAI's words", code="invalid_api_key")))
    assert found["message"].startswith("API key not valid")
    assert found["details"][0]["reason"] == "API_KEY_INVALID"


def test_the_time_to_wait_is_a_detail_and_no_header() -> None:
    answer = API.refused(DemoRefusal(429, "Slow down.", retry_after=2))
    (detail,) = error(answer)["details"]
    assert (answer.headers, detail["retryDelay"]) == ({}, "2s")
    assert detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo"


def test_a_wrong_member_is_named() -> None:
    (detail,) = error(API.refused(DemoRefusal(400, "No.", param="contents")))["details"]
    assert detail["fieldViolations"] == [{"field": "contents", "description": "No."}]


def test_models_are_listed_with_their_methods() -> None:
    listed = {model["name"]: model for model in API.models(MODELS)["models"]}
    assert set(listed) == {f"models/{model.name}" for model in MODELS}
    assert listed["models/demo"]["supportedGenerationMethods"] == ("generateContent", "countTokens")
    assert listed["models/demo-embedding"]["supportedGenerationMethods"] == ("embedContent", "batchEmbedContents")
    assert listed["models/demo-image"]["supportedGenerationMethods"] == ()
