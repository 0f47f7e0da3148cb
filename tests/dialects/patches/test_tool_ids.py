from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.patches.tool_ids import short_id
from tests.dialects.patches.applied import applied

PATH, NAME = "chat/completions", "short-tool-ids"
BODY = (
    b'{"messages":[{"role":"user","content":"\\"tool_calls\\""},\n'
    b' {"role":"assistant","tool_calls":[ {"id" : "call_1","type":"function","function":{"name":"f","arguments":"{}"}},'
    b'{"type":"function","function":{"name":"id","arguments":"{\\"id\\": 1}"},"id":"abcDEF123"}]},'
    b'{"role":"tool","tool_call_id":"call_1","content":"call_1"},'
    b'{"tool_call_id":"abcDEF123","role":"tool","content":"x"}]}'
)


def test_a_call_and_its_result_get_the_same_short_id_and_all_else_stays() -> None:
    new = short_id("call_1").encode()
    expected = BODY.replace(b'"id" : "call_1"', b'"id" : "%b"' % new).replace(
        b'"tool_call_id":"call_1"', b'"tool_call_id":"%b"' % new
    )
    assert applied(PATH, NAME, BODY) == expected
    assert applied(PATH, NAME, expected) is expected


@given(st.text())
def test_every_id_becomes_nine_letters_and_digits(text: str) -> None:
    found = short_id(text)
    assert re.fullmatch("[a-zA-Z0-9]{9}", found)
    assert short_id(found) == found


def test_different_ids_stay_different() -> None:
    assert len({short_id(f"call_{number}") for number in range(20_000)}) == 20_000


def test_the_short_id_never_changes_as_caches_of_prompts_depend_on_it() -> None:
    assert short_id("call_abc") == short_id("call_abc") != short_id("call_abd")
    assert short_id("toolu_01A09q90qw90lq917835lq9") == "L4lugQ9Qs"


def test_ids_that_are_no_texts_are_left_to_the_provider() -> None:
    for value in ("null", "5", '["call_1"]', '{"id":"call_1"}'):
        body = f'{{"messages":[{{"tool_call_id":{value},"tool_calls":[{{"id":{value}}}]}}]}}'.encode()
        assert applied(PATH, NAME, body) is body


def test_an_id_may_be_escaped() -> None:
    body = b'{"messages":[{"tool_call_id":"call\\u005f1"}]}'
    assert json.loads(applied(PATH, NAME, body))["messages"][0]["tool_call_id"] == short_id("call_1")
