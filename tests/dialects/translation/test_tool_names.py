from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import ToolDefinition
from proxy.dialects.translation.tool_names import ToolName, ToolNames

LONG = "mcp__plugin_with_a_very_long_name__a_tool_with_a_name_that_is_as_long_as_that"

names = st.text(st.characters(), min_size=1, max_size=150) | st.text("ab_-", min_size=1, max_size=80)
namespaces = st.just("") | st.text("ab_", min_size=1, max_size=8)
tools = st.builds(ToolDefinition, names, namespace=namespaces)


def key(tool: ToolDefinition) -> tuple[str, str]:
    return tool.namespace, tool.name


@given(st.lists(tools, unique_by=key, max_size=8), st.sampled_from([64, 128]))
@example([ToolDefinition("b__c", namespace="a"), ToolDefinition("c", namespace="a__b"), ToolDefinition("a__b__c")], 64)
def test_names_fit_are_unique_and_can_be_reversed(given: list[ToolDefinition], limit: int) -> None:
    found = ToolNames(limit)
    sent = [found.add(tool) for tool in given]
    assert len(set(sent)) == len(given)
    for tool, name in zip(given, sent, strict=True):
        assert re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{limit}}}", name)
        assert found.original(name) == ToolName(tool.name, tool.namespace, tool.kind)
        assert found.name(tool.name, tool.namespace) == name


@given(tools)
def test_a_tool_has_the_same_name_in_each_request(tool: ToolDefinition) -> None:
    alone, second = ToolNames(), ToolNames()
    second.add(ToolDefinition("other"))
    assert alone.add(tool) == second.add(tool) == ToolNames().name(tool.name, tool.namespace)


@pytest.mark.parametrize("name", ["f", "get_weather", "mcp__a__b", "a" * 64])
def test_a_name_that_fits_stays(name: str) -> None:
    assert ToolNames().add(ToolDefinition(name)) == name


def test_any_other_is_shortened_and_told_apart_by_a_hash() -> None:
    one, two = (ToolNames().add(ToolDefinition(LONG + end)) for end in "12")
    assert one != two
    assert one[:55] == two[:55] == LONG[:55]
    assert re.fullmatch("a_b_[0-9a-f]{8}", ToolNames().add(ToolDefinition("a.b")))
    assert ToolNames(128).add(ToolDefinition(LONG)) == LONG


def test_a_namespace_stands_before_the_name() -> None:
    found = ToolNames()
    assert found.add(ToolDefinition("run", namespace="shell", kind="custom")) == "shell__run"
    assert found.original("shell__run") == ToolName("run", "shell", "custom")


def test_a_name_that_no_tool_has_stays() -> None:
    assert ToolNames().original("invented") == ToolName("invented")


def test_a_name_begins_with_a_letter_where_the_provider_needs_one() -> None:
    names = ToolNames(letter_first=True)
    assert [names.add(ToolDefinition(each)) for each in ("f", "_f", "F3")] == ["f", "_f", "F3"]
    assert re.fullmatch("_3d_[0-9a-f]{8}", names.add(ToolDefinition("3d")))
    assert re.fullmatch("_-x_[0-9a-f]{8}", names.add(ToolDefinition("-x")))
    assert names.original(names.name("3d")) == ToolName("3d")
    assert ToolNames().add(ToolDefinition("3d")) == "3d"
