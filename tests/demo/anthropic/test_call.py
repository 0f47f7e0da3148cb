from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.demo.anthropic.call import CountCall, MessagesCall, all_text
from proxy.demo.reply import Ask

USE = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "noon"}]}


def ask(*messages: tuple[str, Any], **more: Any) -> Ask:
    listed = [{"role": role, "content": content} for role, content in messages]
    body = {"model": "demo", "max_tokens": 9, "messages": listed, **more}
    return msgspec.convert(body, MessagesCall).ask


def test_the_prompt_is_the_last_text_of_the_user() -> None:
    found = ask(("user", "one"), ("assistant", "two"), ("user", [{"type": "text", "text": "three"}]), system="zero")
    assert (found.prompt, found.text.split(), found.tool_result) == ("three", ["zero", "one", "two", "three"], None)
    assert found.limit == 9


def test_a_system_message_at_the_end_is_no_prompt_and_hides_no_result() -> None:
    found = ask(("user", "one"), ("assistant", [USE]), ("user", [RESULT]), ("system", "be brief"))
    assert (found.prompt, found.tool_result) == ("one", "noon")
    assert found.text.split() == ["one", "noon", "be", "brief"]


def test_what_an_agent_adds_to_a_prompt_is_not_the_prompt() -> None:
    reminder = {"type": "text", "text": "<system-reminder>call a tool</system-reminder>"}
    assert ask(("user", [reminder, {"type": "text", "text": "a poem"}])).prompt == "a poem"


@pytest.mark.parametrize("content", ["noon", [{"type": "text", "text": "noon"}]])
def test_a_result_of_a_tool_is_its_text(content: Any) -> None:
    assert ask(("user", [RESULT | {"content": content}])).tool_result == "noon"
    assert ask(("user", [{"type": "tool_result", "tool_use_id": "x"}])).tool_result == ""


def test_only_tools_of_the_client_are_called() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [
        {"name": "weather", "input_schema": schema},
        {"name": "clock", "type": "custom", "input_schema": {}, "cache_control": {"type": "ephemeral"}},
        {"name": "web_search", "type": "web_search_20250305"},
    ]
    found = ask(("user", "hi"), tools=tools)
    assert [(tool.name, tool.parameters) for tool in found.tools] == [("weather", schema), ("clock", {})]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ({"type": "auto"}, {"type": "auto"}),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "clock"}, {"type": "tool", "name": "clock"}),
    ],
)
def test_a_choice_of_tools_has_the_words_of_the_demo(choice: Any, expected: Any) -> None:
    assert ask(("user", "hi"), tool_choice=choice).tool_choice == expected


def test_a_schema_asks_for_json() -> None:
    schema = {"type": "object"}
    found = ask(("user", "hi"), output_config={"format": {"type": "json_schema", "schema": schema}})
    assert (found.json, found.schema) == (True, schema)
    assert ask(("user", "hi"), output_config={"effort": "low"}).json is False


def test_a_count_needs_no_limit() -> None:
    call = msgspec.convert({"model": "m", "messages": [{"role": "user", "content": "a b"}], "system": []}, CountCall)
    assert all_text(call).split() == ["a", "b"]
