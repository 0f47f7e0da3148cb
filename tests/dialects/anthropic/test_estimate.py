from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.call import REQUESTS
from proxy.dialects.call import Call
from proxy.dialects.json_estimate import MOST_BYTES, MOST_TOKENS

IMAGE = 1000
DATA = "QUJD" * 2000
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}


def call(**members: Any) -> Call:
    return REQUESTS.read(json.dumps({"model": "m"} | members).encode())


def prompt(**members: Any) -> int:
    return REQUESTS.prompt_tokens(call(**members), IMAGE, 300)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, 0),
        ({"system": "12345678"}, 2),
        ({"system": None}, 0),
        ({"system": [{"type": "text", "text": "1234", "cache_control": {"type": "ephemeral"}}]}, 1),
        ({"messages": [{"role": "user", "content": "1234"}], "system": "5678"}, 2),
        ({"messages": [{"role": "user", "content": [PICTURE, {"type": "text", "text": "1234"}]}]}, IMAGE + 1),
        ({"max_tokens": 5, "metadata": {"user_id": "long enough to count"}, "thinking": {"type": "enabled"}}, 0),
    ],
)
def test_four_bytes_of_text_are_a_token(members: dict[str, Any], expected: int) -> None:
    assert prompt(**members) == expected


def test_tools_count_by_the_bytes_of_their_json() -> None:
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    assert prompt(tools=tools) == math.ceil(len(json.dumps(tools)) / 4)


def test_blocks_that_are_not_known_count_by_their_bytes_without_payloads() -> None:
    content = [{"type": "something_new", "payload": "12"}, PICTURE, {"type": "thinking", "signature": DATA}]
    messages = [{"role": "user", "content": content}]
    assert prompt(messages=messages) == IMAGE + math.ceil((len(json.dumps(messages)) - 2 * len(DATA)) / 4)


def test_messages_of_megabytes_are_not_decoded() -> None:
    content = [{"type": "text", "text": "x" * MOST_BYTES}, PICTURE]
    messages = [{"role": "user", "content": content}]
    assert prompt(messages=messages) == IMAGE + math.ceil((len(json.dumps(messages)) - len(DATA)) / 4)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 70}, 70),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": 10**20}, MOST_TOKENS),
        ({"max_tokens": None}, 500),
        ({"max_tokens": "70"}, 70),  # as lenient servers read it
        ({"max_tokens": "many"}, 500),
        ({}, 500),
    ],
)
def test_the_output_is_bounded_by_max_tokens(members: dict[str, Any], expected: int) -> None:
    assert REQUESTS.output_tokens(call(**members), 500, 9) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "content", "text", "source", "data", "input", "title", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.lists(anything), anything, anything, anything)
def test_no_json_makes_it_raise_or_count_too_much(messages: Any, system: Any, tools: Any, most: Any) -> None:
    seen = call(messages=messages, system=system, tools=tools, max_tokens=most)
    assert 0 <= REQUESTS.prompt_tokens(seen, 0, 0) <= len(seen.body)
    assert 0 <= REQUESTS.output_tokens(seen, 70, 9) <= MOST_TOKENS
