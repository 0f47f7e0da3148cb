"""Tool calls in assistant messages."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import Blob, CacheMark, Part, ToolCall
from proxy.errors import Untranslatable, WrongMember
from tests.dialects.openai.chat.requests import assistant, decoded

FUNCTION: dict[str, Any] = {"name": "f", "arguments": "{}"}


def calls(*given: dict[str, Any]) -> list[Part]:
    return assistant(tool_calls=list(given)).content


def test_functions_and_custom_tools_are_called() -> None:
    assert calls(
        {"id": "a", "type": "function", "function": FUNCTION, "index": 0},
        {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
    ) == [ToolCall("a", "f", "{}"), ToolCall("b", "patch", "*** Begin", "custom")]


def test_a_call_without_a_type_has_that_of_its_member() -> None:
    assert calls({"id": "a", "function": FUNCTION}, {"id": "b", "custom": {"name": "g", "input": ""}}) == [
        ToolCall("a", "f", "{}"),
        ToolCall("b", "g", "", "custom"),
    ]


def test_arguments_may_be_an_object() -> None:
    assert calls({"id": "a", "function": {"name": "f", "arguments": {"a": [1]}}}) == [ToolCall("a", "f", '{"a":[1]}')]


def test_no_arguments_are_no_text() -> None:
    assert calls({"id": "a", "function": {"name": "f"}}) == [ToolCall("a", "f")]


def test_a_signature_comes_back_with_its_issuer() -> None:
    extra = {"google": {"thought_signature": "sl1.issuer.sAAAA"}}
    assert calls({"id": "a", "function": FUNCTION, "extra_content": extra}) == [
        ToolCall("a", "f", "{}", blob=Blob("AAAA", "signature", "issuer"))
    ]
    extra = {"google": {"thought_signature": "AAAA"}}
    assert calls({"id": "a", "function": FUNCTION, "extra_content": extra}) == [
        ToolCall("a", "f", "{}", blob=Blob("AAAA"))
    ]
    for extra in ({}, {"google": {}}, {"google": {"thought_signature": ""}}):
        assert calls({"id": "a", "function": FUNCTION, "extra_content": extra}) == [ToolCall("a", "f", "{}")]


def test_a_call_may_end_what_is_cached() -> None:
    call = {"id": "a", "function": FUNCTION, "cache_control": {"type": "ephemeral"}}
    assert calls(call) == [ToolCall("a", "f", "{}", cache=CacheMark())]


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ({"function": FUNCTION | {"x": 1}}, "function.x"),
        ({"custom": {"name": "f", "input": "", "x": 1}}, "custom.x"),
        ({"function": FUNCTION, "extra_content": {"x": 1}}, "extra_content.x"),
        ({"function": FUNCTION, "extra_content": {"google": {"x": 1}}}, "extra_content.google.x"),
    ],
)
def test_unknown_members_of_calls_are_told(call: dict[str, Any], path: str) -> None:
    message = {"role": "assistant", "tool_calls": [{"id": "a", **call}]}
    assert decoded(messages=[message]).dropped == [f"messages[].tool_calls[].{path}"]


def test_unknown_calls_are_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        calls({"id": "a", "function": FUNCTION}, {"id": "b", "type": "shell"})
    assert caught.value.param == "messages[0].tool_calls[1].type"


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ({"type": "function"}, "function"),
        ({"function": {}}, "function.name"),
        ({"function": {"name": "f", "arguments": 1}}, "function.arguments"),
        ({"custom": {"name": "f", "input": []}}, "custom.input"),
        ({"id": 1, "function": FUNCTION}, "id"),
        ({"function": FUNCTION, "extra_content": 1}, "extra_content"),
        ({"function": FUNCTION, "extra_content": {"google": 1}}, "extra_content.google"),
        (
            {"function": FUNCTION, "extra_content": {"google": {"thought_signature": 1}}},
            "extra_content.google.thought_signature",
        ),
    ],
)
def test_a_wrong_call_is_named(call: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongMember) as caught:
        calls(call)
    assert caught.value.param == f"messages[0].tool_calls[0].{path}"


def test_a_wrong_old_call_is_named() -> None:
    with pytest.raises(WrongMember) as caught:
        assistant(function_call={"name": "f", "arguments": 1})
    assert caught.value.param == "messages[0].function_call.arguments"
