"""Conversations of all kinds, for tests of encoders of requests."""

from __future__ import annotations

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
from tests.support.chat_encoding import ISSUER, message

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
