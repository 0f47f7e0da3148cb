"""Requests of the Messages API made of any conversation: the API would take them, and nothing said is lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.anthropic.provider.request_encoder import MessagesRequestEncoder
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.conversation import (
    CacheMark,
    Conversation,
    ConversationMessage,
    JsonFormat,
    SamplingSettings,
    Text,
    ThinkingSettings,
    ToolChoice,
    ToolDefinition,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable
from proxy.providers.models.claude import CLAUDE
from tests.support.conversations import OWN, SCHEMA, SIGNATURE, Said, conversations
from tests.translation.messages_rules import of_body

HI = ConversationMessage("user", [Text("Hi")])
ENCODER = MessagesRequestEncoder()
# Only the first answer of a loop of calls must think: the API itself answers without thinking in the middle.
IN_THE_MIDDLE = "messages: expected thinking before the last tool_use"


def encoded(conversation: Conversation, model: str = "", **facts: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body, and what was lost. ``model``: of the table of Claude's models."""
    losses = Losses()
    known = CLAUDE[model] if model else ModelFacts(**facts)
    target = EncodingTarget(model or "claude-up", known, OWN)
    return ENCODER.encode(conversation, target, losses, ToolNames(128)), losses.names


def conversation(**members: Any) -> Conversation:
    return Conversation("openai.chat", [HI], **members)


# Rules that tests/translation/messages_rules.py leaves out


def broken_rules(body: dict[str, Any]) -> Iterator[str]:
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    for before, role, after in zip(["", *roles], roles, [*roles[1:], ""], strict=False):
        if role == before:
            yield f"two turns of the {role}"
        if role == "system" and (before != "user" or after not in ("assistant", "")):
            yield "a system message in a wrong place"
    blocks = [(message["role"], block) for message in messages for block in blocks_of(message)]
    ids = [block["id"] for _, block in blocks if block["type"] == "tool_use"]
    if len(set(ids)) < len(ids):
        yield "ids of calls repeat"
    for message in messages:
        kinds = [block["type"] for block in blocks_of(message)]
        if not kinds:
            yield "an empty message"
        if message["role"] == "assistant":
            if kinds[-1:] in (["thinking"], ["redacted_thinking"]):
                yield "thinking at the end"
            if "tool_use" in kinds and set(kinds[kinds.index("tool_use") :]) != {"tool_use"}:
                yield "a call that is not last"
    if (ids or body.get("tool_choice")) and not body.get("tools"):
        yield "calls without tools"
    ttls = [found["ttl"] for found in marks(body) if "ttl" in found]
    if not set(ttls) <= {"5m", "1h"}:
        yield "wrong ttl"
    shorter = [found.get("ttl", "5m") for found in marks(body)]
    if shorter != sorted(shorter):
        yield "a mark of an hour after one of five minutes"
    if body.get("temperature") is not None and body.get("top_p") is not None:
        yield "temperature and top_p"


def marks(body: dict[str, Any]) -> list[dict[str, Any]]:
    system = body.get("system", [])
    ordered = [*body.get("tools", []), *(system if isinstance(system, list) else [])]
    ordered += [block for message in body["messages"] for block in blocks_of(message)]
    return [block["cache_control"] for block in ordered if "cache_control" in block]


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# Any conversation


@settings(max_examples=400)
@given(conversations(), st.sampled_from(["claude-opus-4-8", "claude-haiku-4-5"]))
def test_the_api_takes_any_conversation(made: tuple[Conversation, Said], model: str) -> None:
    given_, said = made
    before = copy.deepcopy(given_)
    body, _ = encoded(given_, model)
    assert given_ == before
    assert [reason for reason in of_body(body, {SIGNATURE}) if reason != IN_THE_MIDDLE] == []
    assert list(broken_rules(body)) == []
    assert_all_is_said(body, said)
    assert encoded(given_, model)[0] == body


def assert_all_is_said(body: dict[str, Any], said: Said) -> None:
    text = json.dumps(body, ensure_ascii=False)
    assert [each for each in said.texts if json.dumps(each, ensure_ascii=False)[1:-1] not in text] == []
    blocks = [block for message in body["messages"] for block in blocks_of(message)]
    calls = {block["id"]: block["input"]["n"] for block in blocks if block["type"] == "tool_use"}
    results = {block["tool_use_id"]: json.dumps(block) for block in blocks if block["type"] == "tool_result"}
    assert sorted(calls.values()) == list(range(1, said.calls + 1))
    assert calls.keys() == results.keys()
    for call_id, number in calls.items():
        assert rf"result of {{\"n\":{number}}}" in results[call_id]


@settings(max_examples=100)
@given(conversations("openai.responses"), st.builds(ModelFacts, prefill=st.booleans(), structured=st.booleans()))
def test_a_refusal_names_a_member_and_nothing_else_is_raised(
    made: tuple[Conversation, Said], facts: ModelFacts
) -> None:
    fault: Untranslatable | None = None
    try:
        ENCODER.encode(made[0], EncodingTarget("m", facts, OWN), Losses(), ToolNames(128))
    except Untranslatable as exc:
        fault = exc
    assert fault is None or fault.param


# Members


def test_a_conversation_of_all_settings() -> None:
    body, lost = encoded(
        conversation(
            tools=[ToolDefinition("f", "Does it.", SCHEMA)],
            tool_choice=ToolChoice("auto"),
            output_format=JsonFormat(SCHEMA),
            output_tokens=4000,
            stop=["END"],
            thinking=ThinkingSettings(effort="high"),
            service_tier="default",
            end_user="u-1",
            stream=True,
        )
    )
    assert body == {
        "model": "claude-up",
        "max_tokens": 4000,
        "tools": [{"name": "f", "description": "Does it.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "auto"},
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
        "stream": True,
    }
    assert lost == ()


def test_the_least_request() -> None:
    assert encoded(conversation()) == (
        {"model": "claude-up", "max_tokens": 32_000, "messages": [{"role": "user", "content": "Hi"}]},
        (),
    )


def test_several_answers_are_refused() -> None:
    with pytest.raises(Untranslatable, match="'n' cannot be translated"):
        encoded(conversation(choices=2))


def test_sampling_is_lost_where_the_model_thinks() -> None:
    sampled = conversation(sampling=SamplingSettings(0.5, None, 9), thinking=ThinkingSettings(effort="low"))
    body, lost = encoded(sampled)
    assert "temperature" not in body
    assert lost == ("temperature", "top_k")


def test_thinking_gives_way_to_a_choice_that_demands_a_tool() -> None:
    body, lost = encoded(
        conversation(
            tools=[ToolDefinition("f")], tool_choice=ToolChoice("any"), thinking=ThinkingSettings(effort="high")
        )
    )
    assert (body["tool_choice"], body.get("thinking"), lost) == ({"type": "any"}, None, ("reasoning_effort",))


def test_the_end_of_the_prompt_is_marked() -> None:
    body, _ = encoded(conversation(cache=CacheMark("1h")))
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert body["messages"] == [{"role": "user", "content": [marked]}]


def test_losses_may_be_refused() -> None:
    losses = Losses(strict=True)
    with pytest.raises(Untranslatable, match="'verbosity'"):
        ENCODER.encode(conversation(verbosity="low"), EncodingTarget("m", ModelFacts()), losses, ToolNames())
