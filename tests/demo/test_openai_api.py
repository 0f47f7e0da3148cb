from __future__ import annotations

import json

from proxy.demo.answer import Frame
from proxy.demo.openai_api import OpenAIApi
from proxy.demo.refusal import DemoRefusal


def test_a_refusal_is_a_status_with_openais_error_object() -> None:
    refusal = DemoRefusal(429, "Slow down.", "rate_limit_error", code="slow", param="model", retry_after=2)
    answer = OpenAIApi().refused(refusal)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    (frame,) = answer.frames
    assert isinstance(frame, Frame)
    assert json.loads(frame.data) == {
        "error": {"message": "Slow down.", "type": "rate_limit_error", "param": "model", "code": "slow"}
    }
