"""Tools of requests, and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types

from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from tests.support.gemini_requests import decoded, dropped, refused

OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
STRICT = OBJECT | {"required": ["a"], "additionalProperties": False}


def function(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"name": name} | members


def tools(*functions: dict[str, Any]) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": list(functions)}]}


def choice(*names: str, schema: Any = OBJECT, **calling: Any) -> dict[str, Any]:
    given = tools(*(function(name, parametersJsonSchema=schema) for name in names))
    return given | {"toolConfig": {"functionCallingConfig": calling}}


def test_a_function_in_either_kind_of_schema() -> None:
    own = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    found = decoded(**tools(function(description="d", parameters=own), function("g", parameters_json_schema=OBJECT)))
    assert found.tools == [ToolDefinition("f", "d", OBJECT), ToolDefinition("g", "", OBJECT)]
    assert found.dropped == []


def test_a_function_without_arguments() -> None:
    assert decoded(**tools(function())).tools == [ToolDefinition("f")]


def test_a_json_schema_passes_as_it_is() -> None:
    schema = {"$schema": "x", "type": "object", "properties": {"property_ordering": {"const": 1}}, "any_of": []}
    assert decoded(**tools(function(parametersJsonSchema=schema))).tools[0].parameters == schema


def test_functions_may_be_in_several_tools_or_one_object() -> None:
    several = {"tools": [{"functionDeclarations": [function("f")]}, {"function_declarations": [function("g")]}]}
    assert [tool.name for tool in decoded(**several).tools] == ["f", "g"]
    one = {"tools": {"functionDeclarations": [function("f")]}}
    assert [tool.name for tool in decoded(**one).tools] == ["f"]


def test_what_others_lack_is_told() -> None:
    given = function(
        parameters={}, parametersJsonSchema={}, response={}, responseJsonSchema={}, behavior="NON_BLOCKING", new=1
    )
    path = "tools[].functionDeclarations[]."
    names = ("new", "response", "responseJsonSchema", "behavior", "parameters")
    assert dropped(**tools(given)) == [path + name for name in names]
    assert dropped(**tools(function(behavior="BLOCKING"))) == []


def test_each_tool_of_the_sdk_is_read_told_or_refused() -> None:
    """A tool that a later version of the SDK adds is refused until somebody decides."""
    for name, field in types.Tool.model_fields.items():
        alias = field.alias or name
        if alias == "functionDeclarations":
            continue
        if alias == "computerUse":
            assert refused(tools=[{alias: {}}]) == "tools[0].computerUse"
            continue
        assert dropped(tools=[{alias: {}}]) == [f"tools[{alias}]"]
        assert dropped(tools=[{name: {}}]) == [f"tools[{name}]"]


def test_an_unknown_tool_is_refused() -> None:
    assert refused(tools=[{"teleport": {}}]) == "tools[0].teleport"
    assert dropped(tools=[{"teleport": None}]) == []


@pytest.mark.parametrize(
    ("given", "member"),
    [
        (tools(function(), function()), "tools[0].functionDeclarations[1].name"),
        (tools({}), "tools[0].functionDeclarations[0].name"),
        (tools(function(parameters=5)), "tools[0].functionDeclarations[0].parameters"),
        ({"tools": 5}, "tools"),
        ({"tools": [{"functionDeclarations": 5}]}, "tools[0].functionDeclarations"),
    ],
)
def test_an_error_names_the_function(given: dict[str, Any], member: str) -> None:
    assert refused(**given) == member


@pytest.mark.parametrize(
    ("calling", "expected"),
    [
        ({}, ToolChoice()),
        ({"mode": "MODE_UNSPECIFIED"}, ToolChoice()),
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "none"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("any")),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice("one", "g")),
        ({"mode": "ANY", "allowed_function_names": ["f", "g"]}, ToolChoice("any", allowed=("f", "g"))),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, ToolChoice("auto", allowed=("g",))),
    ],
)
def test_the_choice(calling: dict[str, Any], expected: ToolChoice) -> None:
    assert decoded(**choice("f", "g", **calling)).tool_choice == expected


def test_validated_arguments_are_strict_where_others_enforce_the_schema() -> None:
    found = decoded(**choice("f", schema=STRICT, mode="VALIDATED"))
    assert ([tool.strict for tool in found.tools], found.dropped) == ([True], [])
    found = decoded(**choice("f", mode="VALIDATED"))
    assert [tool.strict for tool in found.tools] == [None]
    assert found.dropped == ["toolConfig.functionCallingConfig.mode"]


def test_a_demand_that_nothing_can_meet_is_refused() -> None:
    given = {"tools": [{"googleSearch": {}}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
    assert refused(**given) == "toolConfig.functionCallingConfig.mode"
    assert refused(**choice("f", mode="SOMETIMES")) == "toolConfig.functionCallingConfig.mode"


def test_other_members_of_the_config_are_told() -> None:
    given = choice("f", mode="AUTO", streamFunctionCallArguments=True)
    given["toolConfig"]["retrievalConfig"] = {}
    assert dropped(**given) == [
        "toolConfig.retrievalConfig",
        "toolConfig.functionCallingConfig.streamFunctionCallArguments",
    ]
