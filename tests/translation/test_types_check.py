from __future__ import annotations

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from tests.translation.types_check import misfits

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES: dict[str, Any] = CHAT | {"max_tokens": 9}


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(content)}]}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"temperature": 1, "stop": "x", "logit_bias": {"1": 2}, "reasoning_effort": None},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}]},
        message("user", {"type": "image_url", "image_url": {"url": "https://a.example/b"}}),
    ],
)
def test_requests_of_the_chat_api_fit(more: dict[str, Any]) -> None:
    assert list(misfits(CHAT | more, CompletionCreateParamsNonStreaming)) == []


@pytest.mark.parametrize(
    ("more", "misfit"),
    [
        ({"top_k": 4}, "top_k: is unknown"),
        ({"temperature": "1"}, "temperature: '1' is no float"),
        ({"n": True}, "n: True is no int"),
        ({"tools": {}}, "tools: {} is no array"),
        ({"tools": [{"type": "function"}]}, "tools[0].function: is missing"),
        (message("user", {"type": "text"}), "messages[0].content[0].text: is missing"),
        (message("tool", "x"), "messages[0].tool_call_id: is missing"),
    ],
)
def test_wrong_requests_of_the_chat_api_do_not_fit(more: dict[str, Any], misfit: str) -> None:
    assert misfit in list(misfits(CHAT | more, CompletionCreateParamsNonStreaming))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        message("user", {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "b"}]}),
        message("assistant", {"type": "tool_use", "id": "a", "name": "f", "input": {"any": [None]}}),
    ],
)
def test_requests_of_the_messages_api_fit(more: dict[str, Any]) -> None:
    assert list(misfits(MESSAGES | more, MessageCreateParamsNonStreaming)) == []


@pytest.mark.parametrize(
    ("more", "misfit"),
    [
        ({"temperature": 1}, "temperature: is unknown"),
        ({"metadata": {"tag": "x"}}, "metadata.tag: is unknown"),
        ({"max_tokens": None}, "max_tokens: None is no int"),
        (message("user", {"type": "text", "text": "a", "name": "b"}), "messages[0].content[0].name: is unknown"),
        (message("assistant", {"type": "tool_use", "id": "a", "name": "f", "input": "{}"}), "messages[0].content[0].input: '{}' is no object"),
    ],
)  # fmt: skip
def test_wrong_requests_of_the_messages_api_do_not_fit(more: dict[str, Any], misfit: str) -> None:
    assert misfit in list(misfits(MESSAGES | more, MessageCreateParamsNonStreaming))
