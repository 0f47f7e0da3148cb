"""Tools and their choice."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.output_schema import strict_schema
from proxy.dialects.anthropic.provider.tools_encoder import EncodedTools, ToolsEncoder, placeholders
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import CacheMark, Conversation, ToolChoice, ToolDefinition
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolName, ToolNames
from proxy.errors import Untranslatable

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
NULLABLE = {"type": ["string", "null"]}


def encoded(
    *tools: ToolDefinition,
    choice: ToolChoice | None = None,
    form: Any = None,
    names: ToolNames | None = None,
    **facts: Any,
) -> tuple[EncodedTools, tuple[str, ...]]:
    losses = Losses()
    encoder = ToolsEncoder(ModelFacts(**facts), losses, names or ToolNames(128), member_names("openai.chat"))
    conversation = Conversation("openai.chat", [], list(tools), choice or ToolChoice())
    return encoder.encode(conversation, form), losses.names


def definition(tool: ToolDefinition, **facts: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found, told = encoded(tool, **facts)
    return found.definitions[0], told


def choice_of(choice: ToolChoice) -> Any:
    return encoded(ToolDefinition("f"), ToolDefinition("g"), choice=choice)[0].choice


# Definitions


def test_a_function() -> None:
    tool = ToolDefinition("f", "Does it.", SCHEMA, cache=CacheMark())
    mark = {"cache_control": {"type": "ephemeral"}}
    assert definition(tool) == ({"name": "f", "description": "Does it.", "input_schema": SCHEMA} | mark, ())


@pytest.mark.parametrize(
    ("schema", "sent", "told"),
    [
        (None, {"type": "object", "properties": {}}, False),
        (True, {"type": "object", "properties": {}}, False),
        ({}, {"type": "object"}, False),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}, False),
        ({"type": ["object", "null"]}, {"type": "object"}, False),
        (
            {
                "anyOf": [
                    {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
                    {"properties": {"a": {}}, "required": ["a"]},
                ]
            },
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
            True,
        ),
        (
            {
                "type": "object",
                "properties": {"c": {}},
                "required": ["c"],
                "allOf": [{"required": ["a"]}, "odd"],
                "oneOf": 5,
            },
            {"type": "object", "properties": {"c": {}}, "required": ["c", "a"]},
            True,
        ),
    ],
)
def test_a_schema_is_one_of_an_object_without_alternatives(schema: Any, sent: Any, told: bool) -> None:
    found, names = definition(ToolDefinition("f", parameters=schema))
    assert found == {"name": "f", "input_schema": sent}
    assert names == (("tools[].function.parameters",) if told else ())


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    names = ToolNames()
    tool = ToolDefinition("patch", kind="custom", grammar={"syntax": "lark", "definition": "start: /a/"})
    found, told = encoded(tool, names=names)
    assert "start: /a/" in found.definitions[0]["description"]
    assert found.definitions[0]["input_schema"]["required"] == ["input"]
    assert told == ("tools[].custom.format",)
    assert names.original("patch") == ToolName("patch", kind="custom")
    assert definition(ToolDefinition("patch", kind="custom"))[1] == ()


def test_namespaces_stand_before_the_name() -> None:
    names = ToolNames(128)
    found, _ = encoded(ToolDefinition("run", namespace="shell"), ToolDefinition("run"), names=names)
    assert [tool["name"] for tool in found.definitions] == ["shell__run", "run"]
    assert names.original("shell__run") == ToolName("run", "shell")


def test_a_tool_that_repeats_is_sent_once_and_another_of_its_name_is_refused() -> None:
    found, _ = encoded(ToolDefinition("f"), ToolDefinition("f"))
    assert len(found.definitions) == 1
    with pytest.raises(Untranslatable, match="Two tools have the name 'f'"):
        encoded(ToolDefinition("f"), ToolDefinition("f", "Other."))


# Strict tools


def test_a_strict_tool_has_a_closed_schema() -> None:
    found, told = definition(ToolDefinition("f", parameters=SCHEMA, strict=True))
    assert (found, told) == ({"name": "f", "input_schema": SCHEMA, "strict": True}, ())
    assert "strict" not in definition(ToolDefinition("f", parameters=SCHEMA, strict=False))[0]


def test_a_constraint_that_strictness_lacks_is_told() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    found, told = definition(ToolDefinition("f", parameters=schema, strict=True))
    assert (found["strict"], told) == (True, ("tools[].function.parameters",))


@pytest.mark.parametrize(
    ("schema", "facts"),
    [
        (SCHEMA, {"structured": False}),
        ({"type": "object", "additionalProperties": {}}, {}),
        ({"anyOf": [SCHEMA]}, {}),
        (None, {}),
    ],
)
def test_strictness_that_cannot_be_kept_is_told(schema: Any, facts: dict[str, Any]) -> None:
    found, told = definition(ToolDefinition("f", parameters=schema, strict=True), **facts)
    assert "strict" not in found
    assert "tools[].function.strict" in told


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, 20),
        ({"type": "object", "properties": {"a": NULLABLE, "b": NULLABLE}, "required": ["a", "b"]}, 8),
        ({"type": "object", "properties": {name: {"type": "string"} for name in "abcde"}}, 4),
    ],
)
def test_strict_tools_are_as_many_as_the_api_takes(schema: Any, strict: int) -> None:
    found, told = encoded(*(ToolDefinition(f"f{index}", parameters=schema, strict=True) for index in range(25)))
    assert [tool.get("strict", False) for tool in found.definitions] == [True] * strict + [False] * (25 - strict)
    assert told == ("tools[].function.strict",)


def test_the_schema_of_the_answer_counts_as_well() -> None:
    unions = {"type": "object", "properties": {f"a{n}": NULLABLE for n in range(15)}}
    tool = ToolDefinition("f", parameters={"type": "object", "properties": {"a": NULLABLE, "b": NULLABLE}}, strict=True)
    assert "strict" in encoded(tool)[0].definitions[0]
    assert "strict" not in encoded(tool, form=strict_schema(unions))[0].definitions[0]


# The choice


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(), None),
        (ToolChoice(parallel=True), None),
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("auto", parallel=True), {"type": "auto"}),
        (ToolChoice("none"), {"type": "none"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (ToolChoice("any"), {"type": "any"}),
        (ToolChoice("one", "g"), {"type": "tool", "name": "g"}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("any", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("one", "f", parallel=False), {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
    ],
)
def test_each_choice_has_a_counterpart(choice: ToolChoice, sent: Any) -> None:
    assert choice_of(choice) == sent


@pytest.mark.parametrize("allowed", [("f", "x__h"), ("h", "f")])
def test_only_allowed_tools_are_sent_but_all_are_known(allowed: tuple[str, ...]) -> None:
    names = ToolNames()
    tools = [ToolDefinition("f"), ToolDefinition("g.1"), ToolDefinition("h", namespace="x")]
    found, told = encoded(*tools, choice=ToolChoice("any", allowed=allowed), names=names)
    assert [tool["name"] for tool in found.definitions] == ["f", "x__h"]
    assert (found.choice, found.forced, told) == ({"type": "any"}, True, ())
    assert names.original(names.name("g.1")).name == "g.1"


@pytest.mark.parametrize(
    ("choice", "facts", "reason"),
    [
        (ToolChoice("any", allowed=()), {}, "no tool to call"),
        (ToolChoice("one", "other"), {}, "no tool 'other'"),
        (ToolChoice("any"), {"forced_tools": False}, "cannot be made to call"),
        (ToolChoice("one", "f"), {"forced_tools": False}, "cannot be made to call"),
    ],
)
def test_a_demand_that_cannot_be_met_is_refused(choice: ToolChoice, facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(Untranslatable, match=reason) as caught:
        encoded(ToolDefinition("f"), choice=choice, **facts)
    assert caught.value.param == "tool_choice"


def test_a_demand_of_the_old_kind_is_refused_by_its_name() -> None:
    conversation = Conversation("openai.chat", [], [], ToolChoice("one", "f"), legacy_functions=True)
    encoder = ToolsEncoder(ModelFacts(), Losses(), ToolNames(), member_names("openai.chat"))
    with pytest.raises(Untranslatable) as caught:
        encoder.encode(conversation, None)
    assert caught.value.param == "function_call"


def test_without_tools_there_is_no_choice() -> None:
    assert encoded(choice=ToolChoice("none", parallel=False))[0] == EncodedTools()


def test_tools_that_were_called_have_a_definition_but_may_not_be_called() -> None:
    empty = {"type": "object", "properties": {}}
    assert placeholders(["f"]) == EncodedTools([{"name": "f", "input_schema": empty}], {"type": "none"})
    assert placeholders([]) == EncodedTools()
