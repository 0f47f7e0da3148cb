"""Tools of chat requests, and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, ToolChoice, ToolDefinition
from proxy.errors import ClientFault, Untranslatable, WrongMember
from tests.dialects.openai.chat.requests import decoded

SCHEMA = {"type": "object", "properties": {}}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f"}}


def test_a_function_has_all_its_members() -> None:
    function = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    assert decoded(tools=[{"type": "function", "function": function}]).tools == [
        ToolDefinition("f", "d", SCHEMA, strict=True)
    ]


@pytest.mark.parametrize(
    ("form", "grammar"),
    [
        (None, None),
        ({"type": "text"}, None),
        (
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
            {"syntax": "lark", "definition": "start: x"},
        ),
    ],
)
def test_a_custom_tool_may_have_a_grammar(form: object, grammar: object) -> None:
    tool = {"type": "custom", "custom": {"name": "f", "description": "d", "format": form}}
    assert decoded(tools=[tool]).tools == [ToolDefinition("f", "d", kind="custom", grammar=grammar)]


def test_a_tool_may_end_what_is_cached() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    for tool in (FUNCTION | mark, {"type": "function", "function": {"name": "f"} | mark}):
        found = decoded(tools=[tool])
        assert (found.tools, found.dropped) == ([ToolDefinition("f", cache=CacheMark("1h"))], [])


def test_old_functions_are_tools_that_are_called_one_at_a_time() -> None:
    found = decoded(functions=[{"name": "f", "parameters": SCHEMA}], function_call={"name": "f"})
    assert found.tools == [ToolDefinition("f", parameters=SCHEMA)]
    assert found.tool_choice == ToolChoice("one", "f", parallel=False)
    assert found.legacy_functions
    assert not decoded(tools=[FUNCTION]).legacy_functions


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "code_interpreter", "openrouter:web_search"])
def test_hosted_tools_are_left_out_and_told(kind: str) -> None:
    found = decoded(tools=[FUNCTION, {"type": kind, "x": 1}])
    assert (found.tools, found.dropped) == ([ToolDefinition("f")], [f"tools[{kind}]"])


@pytest.mark.parametrize("kind", ["mcp", "namespace", "bash_20250124", "x"])
def test_unknown_tools_are_refused(kind: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(tools=[FUNCTION, {"type": kind}])
    assert caught.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        ("any", ToolChoice("any")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("one", "f")),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("one", "f")),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}},
            ToolChoice("any", allowed=("f",)),
        ),
        (None, ToolChoice()),
    ],
)
def test_each_choice_is_kept(value: object, choice: ToolChoice) -> None:
    assert decoded(tools=[FUNCTION], tool_choice=value).tool_choice == choice


@pytest.mark.parametrize("parallel", [True, False])
def test_calls_may_be_parallel_or_not(parallel: bool) -> None:
    assert decoded(tools=[FUNCTION], parallel_tool_calls=parallel).tool_choice == ToolChoice(parallel=parallel)


def test_the_old_choice_beside_the_new_one_is_told() -> None:
    found = decoded(tools=[FUNCTION], tool_choice="auto", function_call="none")
    assert (found.tool_choice, found.dropped) == (ToolChoice("auto"), ["function_call"])


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"tools": [FUNCTION | {"x": 1}]}, "tools[].x"),
        ({"tools": [{"type": "function", "function": {"name": "f", "x": 1}}]}, "tools[].function.x"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "x": 1}}]}, "tools[].custom.x"),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "text", "x": 1}}}]},
            "tools[].custom.format.x",
        ),
        ({"functions": [{"name": "f", "x": 1}]}, "functions[].x"),
        ({"function_call": {"name": "f", "x": 1}}, "function_call.x"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "f", "x": 1}}}, "tool_choice.custom.x"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [], "x": 1}}},
            "tool_choice.allowed_tools.x",
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [FUNCTION | {"x": 1}]},
                }
            },
            "tool_choice.allowed_tools.tools[].x",
        ),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}, "x": 1}}, "tool_choice.x"),
    ],
)
def test_unknown_members_of_tools_are_told(request_: dict[str, Any], path: str) -> None:
    assert decoded(**request_).dropped == [path]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_call_cannot_be_demanded_of_a_tool_that_is_left_out(choice: object) -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(tools=[{"type": "web_search"}], tool_choice=choice)
    assert caught.value.param == "tool_choice"
    assert decoded(tools=[{"type": "web_search"}], tool_choice="auto").tools == []


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "x"}}}]},
            "tools[0].custom.format.type",
        ),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar", "grammar": {}}}}]},
            "tools[0].custom.format.grammar.syntax",
        ),
        ({"functions": [{}]}, "functions[0].name"),
        ({"tool_choice": "x"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools.mode"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "x"}]}}},
            "tool_choice.allowed_tools.tools[0].type",
        ),
        ({"function_call": {}}, "function_call.name"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
def test_a_wrong_member_is_named(request_: dict[str, Any], path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decoded(**request_)
    assert isinstance(caught.value, WrongMember | Untranslatable)
    assert caught.value.param == path
