from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.native import Asked
from tests.clients.responses_api import ResponsesApi
from tests.translation import chat_provider, messages_provider
from tests.translation.grammar import check_chat, check_messages, check_responses

ASKED = Asked("m", True, (), "", signed=True, reasons=True)
THOUGHT = {"type": "thinking", "thinking": "Hmmm", "signature": "c2ln"}


def payloads(events: list[bytes]) -> list[dict[str, Any]]:
    found = [event.partition(b"data: ")[2].strip() for event in events]
    return [json.loads(data) for data in found if data != b"[DONE]"]


MESSAGES = payloads(
    messages_provider.events(
        messages_provider.answer(THOUGHT, messages_provider.text("Hello"), messages_provider.call("a", "f", x=1))
    )
)
CHAT = payloads(
    chat_provider.chunks(
        chat_provider.answer("tool_calls", content="Hello", tool_calls=[chat_provider.call("a", "f", '{"x": 1}')])
    )
)
API = ResponsesApi()
RESPONSES = payloads(API.events(API.calls(ASKED, "f", {"x": 1})))


def test_streams_of_the_providers_pass() -> None:
    check_messages(MESSAGES)
    check_chat(CHAT)
    check_responses(RESPONSES)
    check_responses(payloads(API.events(API.says(ASKED, "Hello"))))


def may_be_missing(event: dict[str, Any]) -> bool:
    """Pings, and deltas without which the rest still adds up."""
    delta = event.get("delta", {})
    return event["type"] == "ping" or delta.get("type") in ("text_delta", "thinking_delta", "signature_delta")


@pytest.mark.parametrize("left_out", range(len(MESSAGES)))
def test_each_other_event_of_a_message_is_needed(left_out: int) -> None:
    rest = MESSAGES[:left_out] + MESSAGES[left_out + 1 :]
    if may_be_missing(MESSAGES[left_out]) or MESSAGES[left_out].get("delta", {}).get("partial_json") == "":
        check_messages(rest)
    else:
        with pytest.raises((AssertionError, ValueError)):
            check_messages(rest)


@pytest.mark.parametrize("left_out", [0, *range(len(CHAT) - 6, len(CHAT))])
def test_the_role_the_calls_and_the_end_of_a_completion_are_needed(left_out: int) -> None:
    rest = CHAT[:left_out] + CHAT[left_out + 1 :]
    call = (CHAT[left_out]["choices"] or [{"delta": {}}])[0]["delta"].get("tool_calls")
    if call and "id" not in call[0]:
        check_chat(rest)
    else:
        with pytest.raises(AssertionError):
            check_chat(rest)


@pytest.mark.parametrize("left_out", range(len(RESPONSES)))
def test_each_event_of_a_response_is_needed(left_out: int) -> None:
    rest = RESPONSES[:left_out] + RESPONSES[left_out + 1 :]
    with pytest.raises((AssertionError, KeyError)):
        check_responses([event | {"sequence_number": number} for number, event in enumerate(rest)])
