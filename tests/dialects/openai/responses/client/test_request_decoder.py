"""Requests of the Responses API in neutral terms: the request as a whole, and what it may not have."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.responses.client.request_decoder import ResponsesRequestDecoder
from proxy.dialects.translation.conversation import Conversation, Text
from proxy.errors import ClientFault, Untranslatable
from tests.support.responses import decoded

decode = ResponsesRequestDecoder().decode


def test_a_short_request_is_a_message_of_the_user() -> None:
    found = decode(b'{"model":"m","input":"Hi"}')
    assert [(each.role, each.content) for each in found.messages] == [("user", [Text("Hi")])]
    assert (found.source, found.dropped, found.wants_usage, found.stream) == ("openai.responses", [], True, False)


def test_instructions_are_the_first_message() -> None:
    found = decoded({"role": "developer", "content": "Second."}, instructions="First.")
    assert [(each.role, each.content) for each in found.messages] == [
        ("system", [Text("First.")]),
        ("system", [Text("Second.")]),
    ]


def test_members_with_a_neutral_meaning_are_carried() -> None:
    found = decoded(
        input="Hi",
        max_output_tokens=100,
        service_tier="flex",
        metadata={"a": "b"},
        prompt_cache_key="key",
        stream=True,
        include=["reasoning.encrypted_content"],
    )
    assert (found.output_tokens, found.service_tier, found.tags) == (100, "flex", {"a": "b"})
    assert (found.cache_key, found.stream, found.include) == ("key", True, {"reasoning.encrypted_content"})
    assert found.dropped == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
    ],
)
def test_a_request_that_needs_state_is_refused_with_the_reason(name: str, value: Any) -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(input="Hi", **{name: value})
    assert (caught.value.code, caught.value.param, caught.value.status) == ("unsupported_state", name, 400)


def test_a_reference_to_an_item_is_refused() -> None:
    for item in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        with pytest.raises(Untranslatable) as caught:
            decoded(item)
        assert (caught.value.code, caught.value.param) == ("unsupported_state", "input[0].type")


def test_members_that_say_no_state_is_needed_are_harmless() -> None:
    found = decoded(input="Hi", background=False, store=False, previous_response_id=None, truncation="disabled")
    assert found.dropped == []


def test_what_nobody_else_has_is_told_once() -> None:
    found = decoded(
        {"role": "user", "content": "a", "name": "n"},
        {"role": "user", "content": "b", "name": "n"},
        client_metadata={"a": "b"},
        moderation={"model": "m"},
        invented=None,
    )
    assert found.dropped == ["input[].name", "client_metadata", "moderation"]


def test_criteria_for_the_choice_of_a_model_are_not_for_providers() -> None:
    assert decoded(input="Hi", tags=["a"], min_context_size=1, prefer_fast=True).dropped == []


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "invalid_json"), (b"\xff", "invalid_json"), (b"[]", "invalid_body"), (b'{"model":"m"}', "invalid_type")],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decode(body)
    assert caught.value.code == code


@pytest.mark.parametrize("value", [1, {}, True])
def test_an_input_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(ClientFault, match="'input' must be a string or an array"):
        decoded(input=value)


def test_an_answer_repeats_the_request_with_openai_s_defaults() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {}, "strict": True}, {"type": "web_search"}]
    text = {"verbosity": "low"}
    echo = json.loads(b"{%b}" % decoded(input="Hi", temperature=0.5, text=text, tools=tools, user="u").echo)
    assert echo == {
        "frequency_penalty": 0,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "presence_penalty": 0,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "temperature": 0.5,
        "tool_choice": "auto",
        "top_logprobs": 0,
        "top_p": 1,
        "user": "u",
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tools": tools[:1],
    }


# Any JSON in the place of any member: a request is decoded, or refused with a reason.

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = json.loads((Path(__file__).parent / "requests.json").read_text())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, each in inner for found in places(each, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


@given(st.data())
def test_any_member_may_have_any_value(data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(REQUESTS))
    changed = replaced(request, data.draw(st.sampled_from(places(request))), data.draw(ANYTHING))
    with suppress(ClientFault):
        assert isinstance(decode(json.dumps(changed).encode()), Conversation)


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_requests_themselves_are_decoded(request_: Any) -> None:
    assert decode(json.dumps(request_).encode()).messages
