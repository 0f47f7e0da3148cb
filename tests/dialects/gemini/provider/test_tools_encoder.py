from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, ToolChoice, ToolDefinition
from proxy.errors import Untranslatable
from tests.support.gemini_encoding import NEW, OLDEST, asking, encode

SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
F, G = ToolDefinition("f"), ToolDefinition("g", namespace="ns")


def body(*tools: ToolDefinition, choice: ToolChoice | None = None, facts: Any = NEW) -> dict[str, Any]:
    return encode(asking(tools=list(tools), tool_choice=choice or ToolChoice()), facts).body


def declared(*tools: ToolDefinition, **members: Any) -> list[dict[str, Any]]:
    (found,) = body(*tools, **members)["tools"]
    declarations: list[dict[str, Any]] = found["functionDeclarations"]
    return declarations


def config(*tools: ToolDefinition, choice: ToolChoice) -> dict[str, Any]:
    found: dict[str, Any] = body(*tools, choice=choice).get("toolConfig", {}).get("functionCallingConfig", {})
    return found


def test_a_function_has_its_json_schema() -> None:
    assert declared(ToolDefinition("f", "Does it.", SCHEMA)) == [
        {"name": "f", "description": "Does it.", "parametersJsonSchema": SCHEMA}
    ]
    assert declared(ToolDefinition("f", parameters={"properties": {"a": {}}}))[0]["parametersJsonSchema"]["type"]


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_function_without_arguments_has_no_schema(schema: Any) -> None:
    assert declared(ToolDefinition("f", parameters=schema)) == [{"name": "f"}]


def test_older_models_get_schemas_without_references() -> None:
    (found,) = declared(ToolDefinition("f", parameters=SCHEMA), facts=OLDEST)
    assert found["parameters"] == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_what_an_older_schema_cannot_say_is_told() -> None:
    tool = ToolDefinition("f", parameters={"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 2}}})
    assert encode(asking(tools=[tool]), NEW).dropped == ()
    assert encode(asking(tools=[tool]), OLDEST).dropped == ("tools[].function.parameters",)


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    grammar = {"syntax": "lark", "definition": "start: /a/"}
    conversation = asking(tools=[ToolDefinition("x", kind="custom", grammar=grammar)])
    (found,) = encode(conversation).body["tools"][0]["functionDeclarations"]
    assert found["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert "start: /a/" in found["description"]
    assert encode(conversation).dropped == ("tools[].custom.format",)


def test_names_begin_with_a_letter_and_have_their_namespace() -> None:
    names = [each["name"] for each in declared(G, ToolDefinition("3d.render"), ToolDefinition("x" * 70))]
    assert names[0] == "ns__g"
    assert names[1].startswith("_3d_render_")
    assert len(names[2]) == 64


def test_a_mark_of_a_tool_is_told() -> None:
    assert encode(asking(tools=[ToolDefinition("f", cache=CacheMark())])).dropped == (
        "tools[].prompt_cache_breakpoint",
    )


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (ToolChoice(), {}),
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("any"), {"mode": "ANY"}),
        (ToolChoice("one", "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice("one", "g", "ns"), {"mode": "ANY", "allowedFunctionNames": ["ns__g"]}),
        (ToolChoice("any", allowed=("ns__g", "gone")), {"mode": "ANY", "allowedFunctionNames": ["ns__g"]}),
        (ToolChoice("auto", allowed=("f",)), {"mode": "AUTO"}),
    ],
)
def test_a_choice_among_tools_is_a_mode(choice: ToolChoice, found: Any) -> None:
    assert config(F, G, choice=choice) == found


def test_only_the_allowed_tools_are_sent_where_the_model_may_choose() -> None:
    assert [each["name"] for each in declared(F, G, choice=ToolChoice("auto", allowed=("g",)))] == ["ns__g"]
    assert len(declared(F, G, choice=ToolChoice("any", allowed=("g",)))) == 2
    assert "tools" not in body(F, choice=ToolChoice("auto", allowed=()))


@pytest.mark.parametrize(
    "choice", [ToolChoice("one", "gone"), ToolChoice("one", "g"), ToolChoice("any", allowed=("gone",))]
)
def test_a_choice_of_a_tool_that_is_not_there_is_refused(choice: ToolChoice) -> None:
    with pytest.raises(Untranslatable) as caught:
        body(F, G, choice=choice)
    assert caught.value.param == "tool_choice"


@pytest.mark.parametrize("mode", ["any", "one"])
def test_a_choice_without_tools_is_refused(mode: Any) -> None:
    with pytest.raises(Untranslatable):
        body(choice=ToolChoice(mode, "f"))
    assert body(choice=ToolChoice("auto")) == encode(asking()).body


def test_strict_tools_are_validated() -> None:
    strict = ToolDefinition("f", parameters=SCHEMA, strict=True)
    assert config(strict, choice=ToolChoice()) == {"mode": "VALIDATED"}
    assert config(strict, choice=ToolChoice("any")) == {"mode": "ANY"}  # which validates them as well
    assert config(ToolDefinition("f", strict=False), choice=ToolChoice()) == {}
    assert encode(asking(tools=[strict]), OLDEST).dropped == ("tools[].function.strict",)


def test_one_call_at_a_time_is_told() -> None:
    assert encode(asking(tools=[F], tool_choice=ToolChoice(parallel=False))).dropped == ("parallel_tool_calls",)
    assert encode(asking(tools=[F], tool_choice=ToolChoice(parallel=True))).dropped == ()
    found = encode(asking(tools=[F], tool_choice=ToolChoice(parallel=False), source="anthropic.messages"))
    assert found.dropped == ("tool_choice.disable_parallel_tool_use",)
