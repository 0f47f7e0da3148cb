"""Whole chat requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase, CompletionCreateParamsStreaming

from proxy.dialects.openai.chat.client.request_decoder import ChatRequestDecoder
from proxy.dialects.translation.conversation import CacheMark, Conversation, ConversationMessage, Text
from proxy.errors import ClientFault, Untranslatable, WrongMember
from proxy.wire.criteria import FIELDS
from tests.dialects.openai.chat.requests import HI, decoded, dropped, messages, refused

# Members of OpenAI's own that no other dialect has.
NOWHERE_ELSE = {"moderation", "prediction", "web_search_options", "prompt_cache_retention", "audio"}


def test_a_small_request_says_no_more_than_it_does() -> None:
    found = decoded()
    assert found == Conversation("openai.chat", [ConversationMessage("user", [Text("Hi")])])


def test_whole_numbers_and_strings_reach_their_places() -> None:
    found = decoded(
        verbosity="low",
        service_tier="flex",
        metadata={"a": "b"},
        prompt_cache_key="k",
        store=True,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert (found.verbosity, found.service_tier, found.tags, found.cache_key) == ("low", "flex", {"a": "b"}, "k")
    assert (found.store, found.stream, found.wants_usage, found.dropped) == (True, True, True, [])


def test_each_member_of_the_sdk_is_read_or_told() -> None:
    """A member that a later version of the SDK adds is told until somebody decides."""
    for name in CompletionCreateParamsBase.__annotations__ | CompletionCreateParamsStreaming.__annotations__:
        path = refused(**{name: {}})
        if path is None:
            assert (name in dropped(**{name: {}})) is (name in NOWHERE_ELSE), name
        else:
            assert path.partition(".")[0] == name


@pytest.mark.parametrize(
    "member",
    ["min_p", "repetition_penalty", "chat_template_kwargs", "provider", "guided_json", "modèle"],
)
def test_a_member_of_another_server_is_told(member: str) -> None:
    assert dropped(**{member: 0}) == [member]


def test_null_members_are_no_loss() -> None:
    assert dropped(min_p=None, audio=None) == []


def test_criteria_of_the_gateway_are_neither_decoded_nor_told() -> None:
    assert decoded(**dict.fromkeys(FIELDS, 1)) == decoded()


def test_what_is_lost_twice_is_told_once() -> None:
    message = {"role": "user", "content": "Hi", "weight": 1}
    assert dropped(messages=[message, message], x=1) == ["x", "messages[].weight"]


def test_answers_that_are_no_text_are_refused() -> None:
    assert decoded(modalities=["text"]).dropped == []
    with pytest.raises(Untranslatable) as caught:
        decoded(modalities=["text", "audio"])
    assert caught.value.param == "modalities"


@pytest.mark.parametrize(
    ("members", "mark"),
    [
        ({"prompt_cache_options": {"ttl": "30m"}}, CacheMark("30m")),
        ({"prompt_cache_options": {"mode": "implicit"}}, CacheMark()),
        ({"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}, None),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, CacheMark("1h")),
    ],
)
def test_a_request_may_mark_the_end_of_its_prompt(members: dict[str, Any], mark: CacheMark | None) -> None:
    found = decoded(**members)
    assert (found.cache, found.dropped) == (mark, [])


def test_a_mark_without_a_lifetime_has_that_of_the_request() -> None:
    part = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    found = decoded(messages=[HI | {"content": [part]}], prompt_cache_options={"mode": "explicit", "ttl": "30m"})
    assert found.messages[0].content == [Text("Hi", CacheMark("30m"))]


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ClientFault, match="JSON"):
        ChatRequestDecoder().decode(body)


@pytest.mark.parametrize("messages", [None, {}, "Hi", ["Hi"]])
def test_messages_are_an_array_of_objects(messages: object) -> None:
    with pytest.raises(WrongMember, match="messages"):
        decoded(messages=messages)


def test_half_a_surrogate_pair_is_kept() -> None:
    body = b'{"messages":[{"role":"user","content":"\\ud83d"}]}'
    assert ChatRequestDecoder().decode(body).messages[0].content == [Text("\ud83d")]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "text", "function"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "content"]), inner),
    max_leaves=8,
)
NAMES = sorted(
    {*CompletionCreateParamsBase.__annotations__, "reasoning", "thinking", "enable_thinking", "top_k", "cache_control"}
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_request_is_decoded_or_refused_with_the_member_s_name(request: dict[str, Any]) -> None:
    path = refused(**request)
    assert path is None or path.partition("[")[0].partition(".")[0] in request


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "", "x"])
MEMBERS = ["content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"]
REASONING = ["reasoning", "reasoning_content", "reasoning_details", "cache_control", "prompt_cache_breakpoint"]
MESSAGE = st.builds(
    lambda role, members: {"role": role} | members, ROLES, st.dictionaries(st.sampled_from(MEMBERS + REASONING), JSON)
)


@given(st.lists(MESSAGE, max_size=4))
def test_any_messages_are_decoded_or_refused_with_the_member_s_path(given_: list[dict[str, Any]]) -> None:
    path = refused(messages=given_)
    if path is None:
        assert len(messages(*given_)) == len(given_)
    else:
        assert int(path.partition("]")[0].removeprefix("messages[")) in range(len(given_))
