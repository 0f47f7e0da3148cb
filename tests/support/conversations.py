"""Conversations as clients send them after repair: each call has one result, before the assistant's next turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    ContentSource,
    Conversation,
    ConversationMessage,
    Document,
    Image,
    JsonFormat,
    Part,
    Reasoning,
    SamplingSettings,
    Text,
    ThinkingSettings,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
)

OWN = "0wn"  # issuer of blobs that the provider can read
SIGNATURE = "validity"
PNG = ContentSource(data="iVBORw0KGgoAAAA", media_type="image/png")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}

MARKS = st.none() | st.builds(CacheMark, st.sampled_from(["", "5m", "1h", "30m", "24h"]))
BLANK = st.sampled_from(["", " ", "\n\t"])
SCHEMAS = st.sampled_from(
    [None, SCHEMA, {}, {"anyOf": [{"type": "object"}, {"required": ["x"]}]}, {"type": ["object"]}]
)
TOOLS = st.builds(
    ToolDefinition,
    st.sampled_from(["f", "g.h", "long" * 40, "ü"]),
    st.sampled_from(["", "Does it."]),
    SCHEMAS,
    st.sampled_from([None, True, False]),
    st.sampled_from(["function", "custom"]),
    st.sampled_from([None, {"syntax": "lark", "definition": "start: /a/"}]),
    st.sampled_from(["", "ns"]),
    MARKS,
)


@dataclass
class Said:
    """What must be in the request: texts, and the number of each call in its arguments and its result."""

    texts: list[str] = field(default_factory=list)
    calls: int = 0


@st.composite
def conversations(draw: st.DrawFn, source: str = "openai.chat") -> tuple[Conversation, Said]:
    said = Said()
    messages: list[ConversationMessage] = []
    if draw(st.booleans()):
        messages.append(_system(draw, said))
    for _ in range(draw(st.integers(0, 4))):
        _round(draw, messages, said)
    messages.append(_user(draw, said))
    if draw(st.booleans()):
        messages.append(_system(draw, said))
    tools = list({(tool.name, tool.namespace): tool for tool in draw(st.lists(TOOLS, max_size=3))}.values())
    conversation = Conversation(
        source,
        messages,
        tools,
        draw(_choices(tools)),
        draw(st.none() | st.builds(JsonFormat, st.sampled_from([None, SCHEMA]), strict=st.sampled_from([None, True]))),
        draw(st.none() | st.integers(1, 200_000)),
        draw(st.lists(st.sampled_from(["END", "\n", ""]), max_size=3)),
        sampling=draw(SAMPLINGS),
        thinking=draw(THINKING),
        verbosity=draw(st.sampled_from(["", "low"])),
        service_tier=draw(st.sampled_from(["", "auto", "default", "flex", "priority"])),
        end_user=draw(st.sampled_from(["", "u-1", "a@example.com", "x" * 300])),
        cache=draw(MARKS),
        stream=draw(st.booleans()),
    )
    return conversation, said


SAMPLINGS = st.builds(
    SamplingSettings,
    st.none() | st.floats(0, 2),
    st.none() | st.floats(0, 1),
    st.none() | st.integers(1, 50),
    st.none() | st.integers(),
    st.none() | st.floats(-2, 2),
)
THINKING = st.builds(
    ThinkingSettings,
    st.sampled_from(["", "off", "on", "adaptive"]),
    st.none() | st.integers(1, 100_000),
    st.sampled_from(["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    st.sampled_from(["", "omitted", "summary"]),
)


def _choices(tools: list[ToolDefinition]) -> st.SearchStrategy[ToolChoice]:
    some = [ToolChoice("one", tool.name, tool.namespace) for tool in tools]
    some += [ToolChoice("any"), ToolChoice("none"), ToolChoice("auto", allowed=(tools[0].name,))] if tools else []
    return st.sampled_from([*some, ToolChoice(), ToolChoice("auto"), ToolChoice("auto", parallel=False)])


def _round(draw: st.DrawFn, messages: list[ConversationMessage], said: Said) -> None:
    """A turn of the user, answers with calls and their results, and text of the system anywhere."""
    messages += [_user(draw, said) for _ in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        messages.append(_system(draw, said))
    for _ in range(draw(st.integers(0, 2))):
        calls = _answer(draw, messages, said)
        while calls:
            if draw(st.integers(0, 3)) == 0:
                messages.append(draw(st.sampled_from([_system, _user]))(draw, said))
            results: list[Part] = [calls.pop(0) for _ in range(draw(st.integers(1, len(calls))))]
            messages.append(ConversationMessage("tool", results))


def _answer(draw: st.DrawFn, messages: list[ConversationMessage], said: Said) -> list[ToolResult]:
    """Adds the message of an assistant; the results of its calls."""
    parts: list[Part] = []
    for kind in draw(st.lists(st.sampled_from(["text", "thinking", "call", "blank"]), max_size=4)):
        match kind:
            case "text":
                parts.append(_text(draw, said))
            case "blank":
                parts.append(Text(draw(BLANK)))
            case "thinking":
                parts.append(draw(REASONING))
            case "call":
                said.calls += 1
                name = draw(st.sampled_from(["f", "g.h", "gone"]))
                call_id = draw(st.sampled_from(["", "call_0", "functions.f:0", "x" * 70]))
                parts.append(ToolCall(call_id, name, f'{{"n":{said.calls}}}', cache=draw(MARKS)))
    messages.append(ConversationMessage("assistant", parts))
    calls = [part for part in parts if isinstance(part, ToolCall)]
    results = [ToolResult(call.id, [Text(f"result of {call.arguments}")], cache=draw(MARKS)) for call in calls]
    for result in results:
        result.is_error = draw(st.booleans())
        result.content += draw(st.lists(st.just(Image(PNG)), max_size=1))
    return results


KINDS = st.sampled_from(["signature", "redacted", "encrypted"])
BLOBS = st.builds(Blob, st.just(SIGNATURE), KINDS, st.just(OWN)) | st.builds(
    Blob, st.just("invalid"), KINDS, st.sampled_from(["f0reign", ""])
)
REASONING = st.builds(Reasoning, st.sampled_from(["", "Hm"]), st.none() | BLOBS)


def _system(draw: st.DrawFn, said: Said) -> ConversationMessage:
    return ConversationMessage("system", [_text(draw, said)])


def _user(draw: st.DrawFn, said: Said) -> ConversationMessage:
    return ConversationMessage("user", _words(draw, said))


def _words(draw: st.DrawFn, said: Said) -> list[Any]:
    parts: list[Any] = [_text(draw, said)]
    if draw(st.booleans()):
        parts.append(draw(st.sampled_from([Image(PNG), Document(ContentSource(text="File."), "a.txt"), Text(" ")])))
    return parts


def _text(draw: st.DrawFn, said: Said) -> Text:
    text = f"text {len(said.texts)}.{draw(st.sampled_from(['', ' ', 'é']))}"
    said.texts.append(text)
    return Text(text, draw(MARKS))
