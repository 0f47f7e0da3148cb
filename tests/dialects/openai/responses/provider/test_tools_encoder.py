from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, ToolChoice, ToolDefinition
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import asking
from tests.support.responses_encoding import OPENAI, OTHER, encode, settings

SCHEMA = {"type": "object", "properties": {"a": {}}}
F, G = ToolDefinition("f", "Does f.", SCHEMA), ToolDefinition("g", namespace="ns")
PATCH = ToolDefinition("patch", kind="custom", grammar={"syntax": "lark", "definition": "start: /a/"})


def tools(*given: ToolDefinition, facts: ModelFacts = OPENAI, **choice: Any) -> dict[str, Any]:
    return settings(facts, tools=list(given), tool_choice=ToolChoice(**choice))[0]


def test_a_function_is_not_strict_unless_the_client_says_so() -> None:
    sent, strict = tools(F, ToolDefinition("h", strict=True))["tools"]
    assert sent == {"type": "function", "name": "f", "description": "Does f.", "parameters": SCHEMA, "strict": False}
    assert strict["strict"] is True


def test_a_schema_that_openai_does_not_enforce_is_sent_without_strict() -> None:
    given = [ToolDefinition("f", parameters=SCHEMA | {"additionalProperties": False}, strict=True)]
    found = encode(asking(tools=given, source="anthropic.messages"))
    assert (found.body["tools"][0]["strict"], found.dropped) == (False, ("tools[].strict",))


def test_a_custom_tool_keeps_its_grammar_at_openai() -> None:
    assert tools(PATCH)["tools"] == [
        {
            "type": "custom",
            "name": "patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
        }
    ]


def test_a_custom_tool_is_a_function_elsewhere() -> None:
    body, dropped = settings(OTHER, tools=[PATCH])
    assert body["tools"][0]["parameters"]["required"] == ["input"]
    assert dropped == ("tools[].custom.format",)


def test_names_in_a_namespace_are_flattened() -> None:
    assert tools(G)["tools"][0]["name"] == "ns__g"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"mode": "auto"}, "auto"),
        ({"mode": "none"}, "none"),
        ({"mode": "any"}, "required"),
        ({"mode": "one", "name": "f"}, {"type": "function", "name": "f"}),
        ({"mode": "one", "name": "g", "namespace": "ns"}, {"type": "function", "name": "ns__g"}),
        ({"mode": "one", "name": "patch"}, {"type": "custom", "name": "patch"}),
        (
            {"allowed": ("g", "patch")},
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "ns__g"}, {"type": "custom", "name": "patch"}],
            },
        ),
    ],
)
def test_the_choice_of_tools(choice: Any, expected: Any) -> None:
    assert tools(F, G, PATCH, **choice)["tool_choice"] == expected


def test_only_allowed_tools_are_sent_to_servers_without_that_choice() -> None:
    body = tools(F, G, facts=OTHER, mode="any", allowed=("ns__g",))
    assert [each["name"] for each in body["tools"]] == ["ns__g"]
    assert body["tool_choice"] == "required"


def test_one_call_at_a_time() -> None:
    assert tools(F, parallel=False)["parallel_tool_calls"] is False


@pytest.mark.parametrize("choice", [{"mode": "any"}, {"mode": "one", "name": "f"}])
def test_a_choice_that_cannot_be_met_is_refused(choice: Any) -> None:
    with pytest.raises(Untranslatable):
        tools(**choice)
    with pytest.raises(Untranslatable):
        tools(F, facts=ModelFacts(forced_tools=False), **choice)


def test_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(Untranslatable, match="no tool 'x'"):
        tools(F, mode="one", name="x")


def test_a_mark_on_a_tool_is_told() -> None:
    marked = ToolDefinition("f", cache=CacheMark())
    assert settings(tools=[marked])[1] == ("tools[].prompt_cache_breakpoint",)
