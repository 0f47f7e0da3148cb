"""Tools of requests in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, ToolChoice, ToolDefinition
from proxy.errors import Untranslatable, WrongMember
from tests.support.messages import conversation

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"name": "f", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def changed(kind: str, **tool: Any) -> Any:
    return {"role": "system", "content": [{"type": kind, "tool": tool}]}


def names(*messages: Any, **members: Any) -> list[str]:
    return [tool.name for tool in conversation(*messages, **members).tools]


def test_a_function_is_carried_whole() -> None:
    tool = TOOL | {"type": "custom", "description": "d", "strict": True, "cache_control": {"type": "ephemeral"}}
    assert conversation(tools=[tool]).tools == [ToolDefinition("f", "d", SCHEMA, True, cache=CacheMark())]


@pytest.mark.parametrize("name", ["eager_input_streaming", "defer_loading", "allowed_callers", "input_examples", "odd"])
def test_members_of_tools_that_only_anthropic_has_are_told(name: str) -> None:
    found = conversation(tools=[TOOL | {name: True}])
    assert found.dropped == [f"tools[].{name}"]
    assert len(found.tools) == 1


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("web_search_20260318", "web_search"),
        ("web_fetch_20250910", "web_fetch"),
        ("code_execution_20260521", "code_execution"),
        ("tool_search_tool_regex_20251119", "tool_search_tool_regex"),
        ("tool_search_tool_bm25", "tool_search_tool_bm25"),
        ("advisor_20260301", "advisor"),
        ("mcp_toolset", "mcp_toolset"),
    ],
)
def test_tools_that_run_at_anthropic_are_told(kind: str, told: str) -> None:
    found = conversation(tools=[{"type": kind, "name": "x", "max_uses": 3}, TOOL], tool_choice={"type": "auto"})
    assert [tool.name for tool in found.tools] == ["f"]
    assert found.dropped == [f"tools[{told}]"]
    assert found.tool_choice.mode == "auto"


@pytest.mark.parametrize(
    "kind",
    [
        *("bash_20250124", "text_editor_20250728", "computer_20251124", "memory_20250818"),
        *("browser_toolset_20260801", "computer_toolset_20260801", "tool_of_next_month_20270101"),
    ],
)
def test_tools_whose_schema_is_not_in_the_request_are_refused(kind: str) -> None:
    with pytest.raises(Untranslatable, match=kind) as caught:
        conversation(tools=[TOOL, {"type": kind, "name": "x"}])
    assert caught.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("any", parallel=False)),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice("one", "f")),
        (None, ToolChoice()),
    ],
)
def test_the_choice_is_carried(choice: Any, expected: ToolChoice) -> None:
    assert conversation(tools=[TOOL], tool_choice=choice).tool_choice == expected


def test_a_choice_among_no_tools_is_left_out() -> None:
    assert conversation(tools=[SEARCH], tool_choice={"type": "auto"}).tool_choice == ToolChoice()


@pytest.mark.parametrize(
    ("choice", "param"),
    [({"type": "any"}, "tool_choice.type"), ({"type": "tool", "name": "web_search"}, "tool_choice.name")],
)
def test_a_forced_call_of_a_tool_at_anthropic_is_refused(choice: Any, param: str) -> None:
    with pytest.raises(Untranslatable, match="Anthropic") as caught:
        conversation(tools=[SEARCH], tool_choice=choice)
    assert caught.value.param == param


def test_tools_that_the_conversation_adds_and_removes_are_those_at_its_end() -> None:
    added = changed("tool_addition", type="tool_definition", definition=TOOL | {"name": "g"})
    removed = changed("tool_removal", type="tool_reference", name="f")
    again = changed("tool_addition", type="tool_reference", name="f")
    assert names("Hi", added, tools=[TOOL]) == ["f", "g"]
    assert names("Hi", added, removed, tools=[TOOL]) == ["g"]
    assert names("Hi", removed, again, tools=[TOOL]) == ["f"]


def test_a_later_definition_of_a_tool_replaces_the_first() -> None:
    other = changed("tool_addition", type="tool_definition", definition=TOOL | {"description": "new"})
    assert conversation("Hi", other, tools=[TOOL]).tools == [ToolDefinition("f", "new", SCHEMA)]


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        (changed("tool_removal", type="mcp_toolset_reference", server_name="s"), "messages[].content[tool_removal]"),
        (changed("tool_addition", type="tool_definition", definition=SEARCH), "messages[].content[tool_addition]"),
        (changed("tool_addition", type="tool_reference", name="g"), "messages[].content[tool_addition]"),
        (changed("tool_removal", type="tool_reference", name="f", odd=1), "messages[].content[].tool.odd"),
        (
            changed("tool_addition", type="tool_definition", definition=TOOL | {"defer_loading": True}),
            "messages[].content[].tool.definition.defer_loading",
        ),
    ],
)
def test_what_is_lost_of_a_change_is_told(change: Any, dropped: str) -> None:
    assert conversation("Hi", change, tools=[TOOL]).dropped == [dropped]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": [{"name": "f", "input_schema": 1}]}, "tools[0].input_schema"),
        ({"tools": [TOOL | {"strict": "yes"}]}, "tools[0].strict"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"messages": [changed("tool_addition", type="tool_definition", definition={})]}, "messages[0].content[0].tool.definition.name"),
        ({"messages": [changed("tool_removal", type="odd")]}, "messages[0].content[0].tool.type"),
        ({"messages": [{"role": "system", "content": [{"type": "tool_addition"}]}]}, "messages[0].content[0].tool"),
    ],
)  # fmt: skip
def test_wrong_tools_are_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises((WrongMember, Untranslatable)) as caught:
        conversation(**members)
    assert caught.value.param == param
