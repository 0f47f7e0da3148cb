"""Arguments of tool calls as JSON objects, whole and piece by piece."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.anthropic.client.call_input import CallInput
from proxy.dialects.translation.call_arguments import object_of
from proxy.dialects.translation.conversation import ToolKind


def streamed(pieces: list[str], kind: ToolKind = "function") -> str:
    found = CallInput(kind)
    return "".join(map(found.add, pieces)) + found.end()


JSON = st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=3)
TEXTS = JSON.map(json.dumps) | st.text(max_size=5).filter(lambda text: not text.lstrip().startswith("{"))


@given(TEXTS, st.integers(0, 9))
@example("null", 2)
@example("null\n", 4)
@example(" ", 0)
@example("nul", 1)
@example("\ud83d", 0)
def test_pieces_add_up_to_the_whole(text: str, cut: int) -> None:
    assert json.loads(streamed([text[:cut], text[cut:]])) == object_of(text)


@given(st.lists(st.text(max_size=3), max_size=3))
def test_the_text_of_a_custom_tool_is_one_argument(pieces: list[str]) -> None:
    assert json.loads(streamed(pieces, "custom")) == object_of("".join(pieces), "custom") == {"input": "".join(pieces)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"arguments": "[1]"}),
        ('{"a": 1', {"arguments": '{"a": 1'}),
        ("{'a': 1}", {"arguments": "{'a': 1}"}),
        ('{"a": 1e999}', {"arguments": '{"a": 1e999}'}),  # JSON has no other form of it
    ],
)
def test_arguments_that_are_no_object_become_a_text_in_one(text: str, expected: object) -> None:
    assert object_of(text) == expected


def test_the_rest_of_an_object_goes_to_the_client_as_it_comes() -> None:
    found = CallInput()
    assert (found.add(" "), found.plain) == ("", False)
    assert (found.add('{"a"'), found.plain) == ('{"a"', True)
    assert (found.add(" :1}"), found.end()) == (" :1}", "")
