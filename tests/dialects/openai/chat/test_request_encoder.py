from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import (
    Audio,
    Blob,
    CacheMark,
    Citation,
    ContentSource,
    Conversation,
    ConversationMessage,
    Document,
    Image,
    JsonFormat,
    Reasoning,
    Refused,
    SamplingSettings,
    Text,
    ThinkingSettings,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from proxy.wire import document
from tests.support.chat_encoding import ISSUER, asking, encode, message
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

WORDS = st.sampled_from(["a", "Hi", "so\n", " ", "é", ""])
MARKS = st.none() | st.builds(CacheMark, st.sampled_from(["", "5m", "1h", "12h"]))
DATA = st.builds(
    ContentSource, data=st.just("QQ=="), media_type=st.sampled_from(["image/png", "application/pdf", "text/plain"])
)
LINKS = st.builds(ContentSource, url=st.just("https://a.example/x"))
TEXTS = st.builds(Text, WORDS, MARKS, st.just(()) | st.just((Citation("https://a.example"),)))
IMAGES = st.builds(
    Image, st.just(ContentSource(data="QQ==", media_type="image/png")) | LINKS, st.sampled_from(["", "low"]), MARKS
)
FILES = st.builds(Document, DATA, st.sampled_from(["", "a.pdf"]), WORDS, st.booleans(), MARKS)
SOUND = st.builds(Audio, st.just(ContentSource(data="QQ==")), st.sampled_from(["wav", "mp3"]))
CONTENT = st.lists(TEXTS | IMAGES | FILES | SOUND, max_size=3)

BLOBS = st.none() | st.builds(
    Blob,
    st.sampled_from(["c2ln", '{"type":"reasoning.text","signature":"s"}', '{"type":"reasoning.encrypted","data":"x"}']),
    issuer=st.sampled_from(["", ISSUER, "another"]),
)
REASONING = st.builds(Reasoning, WORDS, BLOBS, st.booleans())
NAMES = st.sampled_from(["f", "g", "mcp__" + "x" * 80, "f.g"])


@st.composite
def turns(draw: st.DrawFn, number: int) -> list[ConversationMessage]:
    """Messages of the assistant with calls, and the results of all of them, with other messages in between."""
    ids = [
        f"call_{number}_{index}{draw(st.sampled_from(['', '|', 'x' * 70]))}" for index in range(draw(st.integers(0, 3)))
    ]
    kinds = draw(st.lists(st.sampled_from(["function", "custom"]), min_size=len(ids), max_size=len(ids)))
    said = draw(st.lists(TEXTS | st.builds(Refused, WORDS) | REASONING, max_size=3))
    answers: list[ConversationMessage] = [message("assistant", *said)]
    for call_id, kind in zip(ids, kinds, strict=True):
        arguments = draw(st.sampled_from(["", "{}", '{"a":"b"}', "no JSON"]))
        call = ToolCall(call_id, draw(NAMES), arguments, kind, draw(st.sampled_from(["", "ns"])), draw(BLOBS))
        if draw(st.booleans()):
            answers.append(message("assistant", call))
        else:
            answers[-1].content.append(call)
    results = [
        ToolResult(call_id, draw(st.lists(TEXTS | IMAGES | FILES, max_size=2)), draw(st.booleans()), kind, draw(MARKS))
        for call_id, kind in zip(ids, kinds, strict=True)
    ]
    between = [message("system", "Wait.")] if draw(st.booleans()) else []
    after = [message("user", *draw(CONTENT))] if draw(st.booleans()) else []
    return [*answers, *between, *(message("tool", each) for each in draw(st.permutations(results))), *after]


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    messages = [message("system", "Be brief.")] if draw(st.booleans()) else []
    messages.append(message("user", "Hi", *draw(CONTENT)))
    for number in range(draw(st.integers(0, 3))):
        messages += draw(turns(number))
    tools = draw(
        st.lists(
            st.builds(
                ToolDefinition, NAMES, WORDS, st.sampled_from([None, {"type": "object", "properties": {}}]),
                st.none() | st.booleans(), st.sampled_from(["function", "custom"]),
                st.sampled_from([None, {"syntax": "lark", "definition": "start: /a/"}]), st.sampled_from(["", "ns"]), MARKS,
            ),
            max_size=3, unique_by=lambda tool: (tool.name, tool.namespace),
        )
    )  # fmt: skip
    choice = ToolChoice(
        draw(st.sampled_from(["", "auto", "none", "any"])) if tools else "",
        allowed=draw(st.none() | st.just((tools[0].name,))) if tools else None,
        parallel=draw(st.none() | st.booleans()),
    )
    return Conversation(
        draw(st.sampled_from(["anthropic.messages", "openai.responses"])),
        messages,
        tools,
        choice,
        draw(st.none() | st.builds(JsonFormat, st.none() | st.just({"type": "object"}), WORDS, WORDS, st.none() | st.booleans())),
        draw(st.none() | st.integers(1, 10**6)),
        draw(st.lists(WORDS, max_size=6)),
        sampling=draw(
            st.builds(
                SamplingSettings, *[st.none() | st.sampled_from([0.0, 1.0])] * 2, *[st.none() | st.integers(0, 9)] * 2,
                *[st.none() | st.just(0.5)] * 2, st.none() | st.just({"1": 1}), st.booleans(), st.none() | st.integers(0, 5),
            )
        ),
        thinking=draw(
            st.builds(
                ThinkingSettings, st.sampled_from(["", "off", "on", "adaptive"]), st.none() | st.integers(1, 99_999),
                st.sampled_from(["", "none", "low", "max"]),
            )
        ),
        verbosity=draw(st.sampled_from(["", "low"])),
        service_tier=draw(st.sampled_from(["", "auto", "flex", "unheard_of"])),
        end_user=draw(st.sampled_from(["", "ann", "x" * 99])),
        tags=draw(st.none() | st.just({"a": "b"}) | st.just({"a": 1})),
        cache_key=draw(st.sampled_from(["", "k"])),
        cache=draw(MARKS),
        store=draw(st.none() | st.booleans()),
        stream=draw(st.booleans()),
    )  # fmt: skip


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
