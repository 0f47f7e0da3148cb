from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.patches.applied import applied

PATH, NAME = "chat/completions", "reasoning-with-calls"
CALLS = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"reasoning_content": 1}'}}]


def test_the_member_is_added_beside_calls_and_all_else_stays() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"\\"tool_calls\\""},\n'
        b' { "tool_calls" : [{"id":"a"}],"role":"assistant","content":null},'
        b'{"role":"assistant","tool_calls":[{"id":"b"}], "reasoning_content" : null},'
        b'{"role":"assistant","tool_calls":[{"id":"c"}],"reasoning_content":"Hm"}]}'
    )
    expected = body.replace(b'{ "tool', b'{"reasoning_content":"", "tool').replace(b" : null", b' : ""')
    assert applied(PATH, NAME, body) == expected
    assert applied(PATH, NAME, expected) is expected


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "tool_calls"},
        {"role": "assistant", "tool_calls": None},
        {"role": "user", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "a", "content": '"tool_calls"'},
        {"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": CALLS},
    ],
)
def test_other_messages_pass_as_they_came(message: dict[str, Any]) -> None:
    body = json.dumps({"messages": [message]}).encode()
    assert applied(PATH, NAME, body) is body


messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"])},
    optional={
        "content": st.none() | st.text(),
        "tool_calls": st.none() | st.just(CALLS),
        "reasoning_content": st.none() | st.text(),
    },
)


@given(st.lists(messages))
def test_only_what_is_missing_is_added(given: list[dict[str, Any]]) -> None:
    found = json.loads(applied(PATH, NAME, json.dumps({"messages": given}).encode()))["messages"]
    for before, after in zip(given, found, strict=True):
        wanted = before["role"] == "assistant" and before.get("tool_calls") and before.get("reasoning_content") is None
        assert after == (before | {"reasoning_content": ""} if wanted else before)
