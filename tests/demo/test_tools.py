from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.demo.tools import Tool, arguments, chosen

SEARCH, CLOCK = Tool("web_search"), Tool("clock")


@pytest.mark.parametrize(
    ("choice", "prompt", "expected"),
    [
        (None, "please search for it", SEARCH),
        (None, "what does the clock say", CLOCK),
        (None, "use a tool", SEARCH),
        (None, "a poem", None),
        ("auto", "a poem", None),
        ("required", "a poem", SEARCH),
        ("none", "use the clock tool", None),
        ({"type": "function", "function": {"name": "clock"}}, "a poem", CLOCK),
        ({"type": "function", "name": "clock"}, "a poem", CLOCK),
        ({"type": "function", "name": "absent"}, "a poem", None),
    ],
)
def test_a_tool_is_chosen_by_order_by_name_or_by_the_prompt(choice: Any, prompt: str, expected: Tool | None) -> None:
    assert chosen([SEARCH, CLOCK], choice, prompt) is expected


def test_without_tools_none_is_called() -> None:
    assert chosen([], "required", "use a tool") is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "Paris"),
        ({}, "Paris"),
        ({"type": ["string", "null"]}, "Paris"),
        ({"enum": ["x", "y"]}, "x"),
        ({"type": "integer"}, 3),
        ({"type": "boolean"}, True),
        ({"type": "array"}, []),
        ({"type": "null"}, None),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 3}),
    ],
)
def test_an_argument_matches_its_schema(schema: dict[str, Any], value: Any) -> None:
    tool = Tool("t", {"type": "object", "properties": {"x": schema}})
    assert json.loads(arguments(tool, "Weather in Paris for 3 days")) == {"x": value}


def test_only_required_arguments_are_set_if_any_is_required() -> None:
    tool = Tool("t", {"properties": {"a": {}, "b": {}}, "required": ["b"]})
    assert json.loads(arguments(tool, "hello")) == {"b": "hello"}


def test_a_tool_without_parameters_gets_an_empty_object() -> None:
    assert arguments(Tool("t"), "") == "{}"
