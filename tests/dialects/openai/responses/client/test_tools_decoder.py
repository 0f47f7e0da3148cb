"""Tools of a Responses request, and the choice among them, in neutral terms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.errors import ClientFault, Untranslatable
from tests.support.responses import Json, decoded

PARAMETERS = {"type": "object", "properties": {"a": {"type": "string"}}}
F: Json = {"type": "function", "name": "f", "description": "Does it.", "parameters": PARAMETERS, "strict": True}
EXEC: Json = {"type": "custom", "name": "exec", "description": "Runs it."}
LARK = {"syntax": "lark", "definition": "start: /.+/"}


def tools(*found: Json) -> list[ToolDefinition]:
    return decoded(input="Hi", tools=list(found)).tools


def namespace(name: str, *inner: Json, description: str = "") -> Json:
    return {"type": "namespace", "name": name, "description": description, "tools": list(inner)}


def test_functions() -> None:
    assert tools(F) == [ToolDefinition("f", "Does it.", PARAMETERS, strict=True)]
    assert tools({"type": "function", "name": "f", "parameters": None}) == [ToolDefinition("f")]


@pytest.mark.parametrize(
    ("form", "grammar"), [({}, None), ({"type": "text"}, None), ({"type": "grammar"} | LARK, LARK)]
)
def test_custom_tools(form: Json, grammar: Json | None) -> None:
    expected = ToolDefinition("exec", "Runs it.", kind="custom", grammar=grammar)
    assert tools(EXEC | ({"format": form} if form else {})) == [expected]


def test_tools_of_namespaces_are_flattened_and_the_first_describes_the_namespace() -> None:
    found = tools(namespace("n", F, EXEC, description="All of them."), namespace("o", F), F)
    assert [(tool.namespace, tool.name, tool.description) for tool in found] == [
        ("n", "f", "Does it.\n\nThe tools n__*: All of them."),
        ("n", "exec", "Runs it."),
        ("o", "f", "Does it."),
        ("", "f", "Does it."),
    ]


def test_of_two_tools_with_one_name_the_later_one_counts() -> None:
    again = {"type": "additional_tools", "role": "developer", "tools": [F | {"description": "Anew."}]}
    found = decoded(again, tools=[F])
    assert ([tool.description for tool in found.tools], found.dropped) == (["Anew."], ["input[].tools[f]"])
    assert decoded(again | {"tools": [F]}, tools=[F]).dropped == []


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_preview_2025_03_11", "file_search", "code_interpreter", "image_generation"),
        *("tool_search", "programmatic_tool_calling"),
    ],
)
def test_tools_that_openai_runs_are_told(kind: str) -> None:
    found = decoded(input="Hi", tools=[{"type": kind}, F])
    assert ([tool.name for tool in found.tools], found.dropped) == (["f"], [f"tools[{kind}]"])
    assert json.loads(b"{%b}" % found.echo)["tools"] == [F]


@pytest.mark.parametrize("tool", [{"type": "shell"}, {"type": "shell", "environment": {"type": "local"}}])
def test_a_shell_of_the_client_s_is_a_function(tool: Json) -> None:
    (found,) = tools(tool)
    assert (found.name, found.call_type, found.kind) == ("shell", "shell_call", "function")
    assert found.parameters["required"] == ["commands"]


def test_a_shell_in_a_container_is_told() -> None:
    found = decoded(input="Hi", tools=[{"type": "shell", "environment": {"type": "container_auto"}}])
    assert (found.tools, found.dropped) == ([], ["tools[shell]"])


def test_a_search_that_the_client_runs_is_a_function_of_its_own_description() -> None:
    search = {"type": "tool_search", "execution": "client", "description": "Searches.", "parameters": PARAMETERS}
    assert tools(search) == [ToolDefinition("tool_search", "Searches.", PARAMETERS, call_type="tool_search_call")]


@pytest.mark.parametrize("kind", ["mcp", "computer", "computer_use_preview", "invented", ""])
def test_a_tool_that_only_openai_knows_is_refused(kind: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        tools(F, {"type": kind})
    assert caught.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("tool", "path"),
    [
        ({"type": "function"}, "tools[0].name"),
        (F | {"parameters": "a"}, "tools[0].parameters"),
        (EXEC | {"format": {"type": "invented"}}, "tools[0].format.type"),
        (EXEC | {"format": {"type": "grammar"}}, "tools[0].format.syntax"),
        (namespace("n", F, {"type": "mcp"}), "tools[0].tools[1].type"),
        (namespace("n", namespace("o")), "tools[0].tools[0].type"),
        ({"type": "namespace", "tools": []}, "tools[0].name"),
    ],
)
def test_a_wrong_tool_is_refused_with_the_member(tool: Json, path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        tools(tool)
    assert caught.value.param == path


def test_members_of_tools_that_nobody_else_has_are_told() -> None:
    more = {"defer_loading": True, "allowed_callers": ["direct", "programmatic"], "async": True, "output_schema": {}}
    assert decoded(input="Hi", tools=[F | more]).dropped == [
        "tools[].output_schema",
        "tools[].defer_loading",
        "tools[].async",
        "tools[].allowed_callers",
    ]
    harmless = {"defer_loading": False, "allowed_callers": ["direct"], "async": None}
    assert decoded(input="Hi", tools=[F | harmless]).dropped == []


# The choice

TOOLS = [F, EXEC, namespace("n", F | {"name": "g"}), {"type": "shell"}]


def choice(value: Any, **members: Any) -> ToolChoice:
    return decoded(**{"input": "Hi", "tools": TOOLS, "tool_choice": value} | members).tool_choice


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        ({"type": "function", "name": "f"}, ToolChoice("one", "f")),
        ({"type": "custom", "name": "exec"}, ToolChoice("one", "exec")),
        ({"type": "function", "name": "g"}, ToolChoice("one", "g", "n")),
        ({"type": "function", "name": "g", "namespace": "n"}, ToolChoice("one", "g", "n")),
        ({"type": "shell"}, ToolChoice("one", "shell")),
    ],
)
def test_choices(value: Any, expected: ToolChoice) -> None:
    assert choice(value) == expected


def test_members_of_a_choice_that_nobody_knows_are_told() -> None:
    one = {"type": "function", "name": "f", "odd": 1}
    assert decoded(input="Hi", tools=TOOLS, tool_choice=one).dropped == ["tool_choice.odd"]


def test_one_call_at_a_time() -> None:
    assert choice("auto", parallel_tool_calls=False) == ToolChoice("auto", parallel=False)
    assert choice(None, parallel_tool_calls=True, tools=[]) == ToolChoice(parallel=True)


@pytest.mark.parametrize(("mode", "neutral"), [("auto", "auto"), ("required", "any")])
def test_some_tools(mode: str, neutral: Any) -> None:
    allowed = [
        *({"type": "function", "name": "f"}, {"type": "namespace", "name": "n"}, {"type": "shell"}),
        {"type": "web_search"},
    ]
    found = decoded(input="Hi", tools=TOOLS, tool_choice={"type": "allowed_tools", "mode": mode, "tools": allowed})
    assert found.tool_choice == ToolChoice(neutral, allowed=("f", "g", "shell"))
    assert found.dropped == ["tool_choice.tools[web_search]"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("any", "tool_choice"),
        (1, "tool_choice"),
        ({"type": "web_search_preview"}, "tool_choice.type"),
        ({"type": "mcp", "server_label": "a"}, "tool_choice.type"),
        ({"type": "apply_patch"}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.name"),
        ({"type": "allowed_tools", "mode": "none", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}, "tool_choice.tools"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}, "tool_choice.tools[0].type"),
    ],
)
def test_a_choice_that_cannot_be_kept_is_refused(value: Any, path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        choice(value)
    assert caught.value.param == path


def test_without_a_tool_that_is_left_nothing_can_be_chosen() -> None:
    hosted = [{"type": "web_search"}]
    assert choice("auto", tools=hosted) == choice("none", tools=hosted) == ToolChoice()
    with pytest.raises(Untranslatable) as caught:
        choice("required", tools=hosted)
    assert caught.value.param == "tool_choice"
