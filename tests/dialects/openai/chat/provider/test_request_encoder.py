from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import (
    Conversation,
    JsonFormat,
    SamplingSettings,
    ToolDefinition,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from proxy.wire import document
from tests.support.any_conversations import conversations
from tests.support.chat_encoding import asking, encode, message
from tests.translation import chat_rules

# A whole request


def test_a_request_names_the_model_of_the_provider() -> None:
    found = encode(asking())
    assert found.body == {"model": "up-model", "messages": [{"role": "user", "content": "Hi"}]}
    assert found.dropped == ()


def test_a_stream_ends_with_its_usage() -> None:
    body = encode(asking(stream=True)).body
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_a_final_message_of_the_assistant_stays_the_last() -> None:
    body = encode(asking(message("user", "Hi"), message("assistant", "Well, "))).body
    assert body["messages"][-1] == {"role": "assistant", "content": "Well, "}


def test_sampling_follows_the_effort_that_is_sent() -> None:
    facts = ModelFacts(openai=True, sampling=False, sampling_at_none=True, effort_with_tools="none")
    members: Any = {"tools": [ToolDefinition("f")], "sampling": SamplingSettings(temperature=0.5)}
    found = encode(asking(**members), facts)
    assert (found.body["reasoning_effort"], found.body["temperature"]) == ("none", 0.5)
    assert found.dropped == ()


def test_a_schema_of_the_output_is_sent() -> None:
    found = encode(asking(output_format=JsonFormat({"type": "object"})))
    assert found.body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_more_of_the_answer_is_told_unless_the_answer_has_it() -> None:
    more = {"reasoning.encrypted_content", "message.output_text.logprobs", "web_search_call.action.sources"}
    found = encode(asking(include=frozenset(more), source="openai.responses"))
    assert found.dropped == ("include[web_search_call.action.sources]",)


@pytest.mark.parametrize(("source", "member"), [("anthropic.messages", "messages"), ("openai.responses", "input")])
def test_a_conversation_without_content_is_refused(source: str, member: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        encode(asking(message("user", ""), source=source))
    assert refused.value.param == member


def test_nothing_is_lost_where_nothing_may_be() -> None:
    with pytest.raises(Untranslatable, match="top_k"):
        encode(asking(sampling=SamplingSettings(top_k=4)), strict=True)


# All requests

FACTS_OF_ALL = st.builds(
    ModelFacts,
    output_tokens=st.sampled_from([0, 1000]),
    efforts=st.sampled_from([None, (), ("none", "high"), ("low",)]),
    sampling=st.booleans(),
    late_system=st.booleans(),
    effort_with_tools=st.sampled_from(["any", "none"]),
    returned_reasoning=st.sampled_from(["no", "calls", "yes"]),
    limit_name=st.sampled_from(["max_tokens", "max_completion_tokens"]),
    openai=st.booleans(),
    refuses=st.sampled_from([frozenset(), frozenset({"logprobs", "user"})]),
    thought_signatures=st.booleans(),
)


@given(conversations(), FACTS_OF_ALL, st.booleans())
def test_every_request_fits_the_types_of_the_sdk(
    conversation: Conversation, facts: ModelFacts, breakpoints: bool
) -> None:
    """``chat_rules`` has what real providers refuse beside that, such as results that do not follow their calls."""
    if breakpoints:
        facts = ModelFacts(openai=True, limit_name=facts.limit_name, cache_marks="breakpoint", efforts=facts.efforts)
    body = encode(conversation, facts).body
    assert list(chat_rules.of_body(document.decode(document.encode(body)))) == []


@given(conversations(), FACTS_OF_ALL)
def test_a_conversation_is_encoded_without_a_change_to_it(conversation: Conversation, facts: ModelFacts) -> None:
    before = copy.deepcopy(conversation)
    first = encode(conversation, facts)
    assert conversation == before
    assert encode(conversation, facts) == first
