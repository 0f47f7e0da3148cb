from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, Text, ToolCall, ToolDefinition, ToolResult
from proxy.dialects.translation.model_facts import ModelFacts
from tests.support.chat_encoding import FACTS, Encoded, asking, encode, message

BREAKPOINTS = ModelFacts(openai=True, cache_marks="breakpoint")
CONTROLS = ModelFacts(cache_marks="cache_control")
IN_CONTENT = "messages[].content[].cache_control"


def marked(ttl: str, facts: ModelFacts) -> Encoded:
    return encode(asking(message("user", Text("Hi", CacheMark(ttl)))), facts)


@pytest.mark.parametrize(
    ("facts", "ttl", "members", "dropped"),
    [
        (BREAKPOINTS, "", {"prompt_cache_breakpoint": {"mode": "explicit"}}, ()),
        (BREAKPOINTS, "5m", {"prompt_cache_breakpoint": {"mode": "explicit"}}, ()),
        (BREAKPOINTS, "12h", {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}, ()),
        (BREAKPOINTS, "1h", {"prompt_cache_breakpoint": {"mode": "explicit"}}, (IN_CONTENT + ".ttl",)),
        (CONTROLS, "", {"cache_control": {"type": "ephemeral"}}, ()),
        (CONTROLS, "1h", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, ()),
        (CONTROLS, "12h", {"cache_control": {"type": "ephemeral"}}, (IN_CONTENT + ".ttl",)),
    ],
)
def test_a_mark_is_what_the_server_knows(
    facts: ModelFacts, ttl: str, members: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    found = marked(ttl, facts)
    assert found.body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"} | members]}]
    assert found.dropped == dropped


def test_a_mark_is_told_where_the_server_knows_none() -> None:
    found = marked("1h", FACTS)
    assert found.body["messages"] == [{"role": "user", "content": "Hi"}]
    assert found.dropped == (IN_CONTENT,)


def test_each_place_of_a_mark_has_its_name() -> None:
    mark = CacheMark()
    conversation = asking(
        message("system", Text("Be brief.", mark)),
        message("user", "Hi"),
        message("assistant", ToolCall("a", "f", cache=mark)),
        message("tool", ToolResult("a", [Text("1", mark)])),
        tools=[ToolDefinition("f", cache=mark)],
        cache=mark,
    )
    own = {
        "system[].cache_control",
        IN_CONTENT,
        "messages[].content[].content[].cache_control",
        "tools[].cache_control",
        "cache_control",
    }
    assert set(encode(conversation).dropped) == own


def test_a_result_has_its_mark() -> None:
    conversation = asking(
        message("user", "Hi"),
        message("assistant", ToolCall("a", "f")),
        message("tool", ToolResult("a", [Text("1"), Text("2")], cache=CacheMark())),
    )
    content = encode(conversation, CONTROLS).body["messages"][2]["content"]
    assert content == [
        {"type": "text", "text": "1"},
        {"type": "text", "text": "2", "cache_control": {"type": "ephemeral"}},
    ]


def test_openai_marks_the_end_of_the_prompt_by_itself() -> None:
    found = encode(asking(cache=CacheMark()), BREAKPOINTS)
    assert found.body["prompt_cache_options"] == {"mode": "implicit"}
    assert found.dropped == ()
    assert encode(asking(cache=CacheMark("30m")), BREAKPOINTS).body["prompt_cache_options"]["ttl"] == "30m"
    longer = encode(asking(cache=CacheMark("12h")), BREAKPOINTS)
    assert longer.body["prompt_cache_options"] == {"mode": "implicit"}
    assert longer.dropped == ("cache_control.ttl",)


def test_elsewhere_the_last_part_has_the_mark() -> None:
    found = encode(asking(cache=CacheMark()), CONTROLS)
    assert found.body["messages"][-1]["content"] == [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    ]
    assert found.dropped == ()


def test_a_prompt_that_ends_with_calls_cannot_be_marked() -> None:
    found = encode(asking(message("user", "Hi"), message("assistant", ToolCall("a", "f")), cache=CacheMark()), CONTROLS)
    assert found.dropped == ("cache_control",)
