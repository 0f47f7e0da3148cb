from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.tools_encoder import encode_tools
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import FACTS, OPENAI, asking, encoding

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = ToolDefinition("weather", "The weather.", SCHEMA)
TIME = ToolDefinition("time", parameters=SCHEMA, namespace="clock")
BY_NAME = {"type": "function", "function": {"name": "weather"}}


def encoded(
    *tools: ToolDefinition, facts: ModelFacts = FACTS, source: str = "openai.responses", **choice: Any
) -> tuple[Any, tuple[str, ...]]:
    """The members, and what is told."""
    context = encoding(facts, source)
    conversation = asking(tools=list(tools), tool_choice=ToolChoice(**choice), source=source)
    return encode_tools(conversation, context), context.losses.names


def function(tool: ToolDefinition) -> Any:
    return encoded(tool)[0]["tools"][0]["function"]


def test_a_function_has_what_the_client_says_of_it() -> None:
    assert encoded(WEATHER) == (
        {"tools": [{"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}]},
        (),
    )  # fmt: skip
    assert function(ToolDefinition("f", strict=True))["strict"] is True
    assert function(ToolDefinition("f", strict=False))["strict"] is False


@pytest.mark.parametrize(
    ("facts", "source", "strict", "told"),
    [
        (OPENAI, "anthropic.messages", False, ("tools[].strict",)),
        (FACTS, "anthropic.messages", True, ()),
        (OPENAI, "openai.responses", True, ()),  # for OpenAI to judge
    ],
)
def test_a_schema_that_openai_does_not_enforce_is_sent_to_it_without_strict(
    facts: ModelFacts, source: str, strict: bool, told: tuple[str, ...]
) -> None:
    optional = ToolDefinition("f", parameters=SCHEMA | {"additionalProperties": False}, strict=True)
    found, dropped = encoded(optional, facts=facts, source=source)
    assert (found["tools"][0]["function"]["strict"], dropped) == (strict, told)


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": "object", "properties": {}, "$defs": {}}, {"type": "object", "properties": {}, "$defs": {}}),
    ],
)
def test_the_arguments_of_a_function_are_an_object(schema: Any, sent: Any) -> None:
    assert function(ToolDefinition("f", parameters=schema))["parameters"] == sent


def test_a_custom_tool_is_a_function_with_a_text() -> None:
    tool = ToolDefinition("patch", "Patch.", kind="custom", grammar={"syntax": "lark", "definition": "start: /a/"})
    found, dropped = encoded(tool)
    sent = found["tools"][0]["function"]
    assert sent["description"].startswith("Patch.")
    assert "start: /a/" in sent["description"]
    assert sent["parameters"]["required"] == ["input"]
    assert dropped == ("tools[].format",)
    assert encoded(ToolDefinition("patch", kind="custom"))[1] == ()


def test_a_namespace_is_part_of_the_name_and_long_names_are_shortened() -> None:
    assert function(TIME)["name"] == "clock__time"
    assert len(function(ToolDefinition("x" * 100))["name"]) == 64


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({}, {}),
        ({"mode": "auto"}, {"tool_choice": "auto"}),
        ({"mode": "none"}, {"tool_choice": "none"}),
        ({"mode": "any"}, {"tool_choice": "required"}),
        ({"mode": "one", "name": "weather"}, {"tool_choice": BY_NAME}),
        ({"mode": "one", "name": "time", "namespace": "clock"},
         {"tool_choice": {"type": "function", "function": {"name": "clock__time"}}}),
        ({"mode": "auto", "parallel": False}, {"tool_choice": "auto", "parallel_tool_calls": False}),
        ({"parallel": True}, {"parallel_tool_calls": True}),
    ],
)  # fmt: skip
def test_a_choice_has_its_counterpart(choice: dict[str, Any], sent: dict[str, Any]) -> None:
    found, dropped = encoded(WEATHER, TIME, **choice)
    assert {name: value for name, value in found.items() if name != "tools"} == sent
    assert dropped == ()


def test_only_some_tools_may_be_called() -> None:
    found, _ = encoded(WEATHER, TIME, facts=OPENAI, mode="any", allowed=("weather",))
    assert len(found["tools"]) == 2
    assert found["tool_choice"] == {
        "type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [BY_NAME]},
    }  # fmt: skip


@pytest.mark.parametrize("name", ["time", "clock__time"])
def test_other_servers_get_only_the_tools_that_may_be_called(name: str) -> None:
    found, dropped = encoded(WEATHER, TIME, mode="any", allowed=(name,))
    assert [tool["function"]["name"] for tool in found["tools"]] == ["clock__time"]
    assert found["tool_choice"] == "required"
    assert dropped == ()


def test_without_tools_there_is_no_choice() -> None:
    assert encoded(mode="auto", parallel=False) == ({}, ())
    assert encoded(WEATHER, mode="auto", allowed=()) == ({}, ())


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([], {"mode": "any"}),
        ([], {"mode": "one", "name": "weather"}),
        ([WEATHER], {"mode": "one", "name": "web_search"}),
        ([WEATHER], {"mode": "any", "allowed": ("web_search",)}),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused(tools: list[ToolDefinition], choice: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable, match="'tool_choice'"):
        encoded(*tools, **choice)


def test_what_the_model_refuses_is_refused_before() -> None:
    with pytest.raises(Untranslatable, match="'tools'"):
        encoded(WEATHER, facts=ModelFacts(effort_with_tools="no"))
    with pytest.raises(Untranslatable, match="'tool_choice'"):
        encoded(WEATHER, facts=ModelFacts(forced_tools=False), mode="any")
    assert encoded(facts=ModelFacts(effort_with_tools="no")) == ({}, ())
