from __future__ import annotations

import re
from typing import Any

import pytest
from google.genai.types import BlockedReason, FinishReason

from proxy.dialects.gemini.provider.answer_finish import GeminiFinish
from proxy.dialects.translation.parts import AnswerFailed, Finish


def finish(reason: Any, *, called: bool = False, **members: Any) -> Finish | AnswerFailed | None:
    found = GeminiFinish()
    failure = found.read({"finishReason": reason} | members)
    return failure or found.part(called=called)


def test_a_turn_that_ends_has_stopped() -> None:
    assert finish("STOP") == Finish("stop")
    assert finish("STOP", called=True) == Finish("tool_calls")


def test_the_limit_is_told_although_there_are_calls() -> None:
    assert finish("MAX_TOKENS", called=True) == Finish("length")
    assert finish("CONTINUATION") == Finish("length")


def test_a_filter_has_the_provider_s_words() -> None:
    assert finish("SAFETY", finishMessage="It was unsafe.") == Finish("content_filter", detail="It was unsafe.")
    assert finish("STOP", finishMessage="Fine.") == Finish("stop")


def test_an_end_without_an_answer_is_a_failure() -> None:
    found = finish("MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: f(")
    assert isinstance(found, AnswerFailed)
    assert found.message == (
        "The model made a tool call that is not valid. (MALFORMED_FUNCTION_CALL: Malformed function call: f()"
    )
    assert isinstance(finish("OTHER"), AnswerFailed)


@pytest.mark.parametrize("reason", [None, "", "FINISH_REASON_UNSPECIFIED", 5])
def test_no_reason_is_no_end(reason: Any) -> None:
    found = GeminiFinish()
    assert found.read({"finishReason": reason}) is None
    assert not found.noted
    assert found.part(called=True) is None


def test_the_last_reason_counts() -> None:
    found = GeminiFinish()
    found.read({"finishReason": "STOP"})
    found.read({"finishReason": "MAX_TOKENS"})
    found.read({})
    assert found.part(called=False) == Finish("length")


@pytest.mark.parametrize("reason", [each.value for each in FinishReason])
def test_every_reason_of_the_sdk_has_a_meaning(reason: str) -> None:
    """But for the turn that ends, and no reason: the filters and failures are named, as others count as an end."""
    found = finish(reason)
    if reason == "STOP":
        assert found == Finish("stop")
    elif reason == "FINISH_REASON_UNSPECIFIED":
        assert found is None
    else:
        assert found != Finish("stop")


def test_a_blocked_prompt_is_filtered() -> None:
    found = GeminiFinish()
    assert found.read_feedback({"promptFeedback": {"blockReason": "SAFETY"}})
    assert found.part(called=False) == Finish("content_filter", detail="The provider blocked the request (SAFETY).")
    found.read_feedback({"promptFeedback": {"blockReason": "JAILBREAK", "blockReasonMessage": "No."}})
    assert found.part(called=False) == Finish("content_filter", detail="No.")


@pytest.mark.parametrize("chunk", [{}, {"promptFeedback": {}}, {"promptFeedback": {"safetyRatings": []}}])
def test_a_prompt_that_was_not_blocked_is_none(chunk: Any) -> None:
    found = GeminiFinish()
    assert not found.read_feedback(chunk)
    assert found.part(called=False) is None


@pytest.mark.parametrize("reason", [each.value for each in BlockedReason])
def test_every_block_reason_of_the_sdk_is_one(reason: str) -> None:
    blocked = GeminiFinish().read_feedback({"promptFeedback": {"blockReason": reason}})
    assert blocked is not bool(re.search("UNSPECIFIED", reason))
