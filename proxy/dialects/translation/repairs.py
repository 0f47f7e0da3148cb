"""Tool calls without a result, and results without a call, as a client's compaction or an interruption leaves them.

Providers want the results of all calls of an answer directly after it, and nothing else there. They refuse empty texts:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls,
https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from msgspec import Struct, structs

from proxy.dialects.translation.conversation import (
    Audio,
    Conversation,
    ConversationMessage,
    Part,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.errors import ClientFault

MISSING: Final = "[The result of this tool call is missing: the call was interrupted, or its result was removed.]"
ORPHAN: Final = "[The result of an earlier tool call that is no longer part of this conversation:]"
_MOST_SHOWN: Final = 64  # characters of an id in an error


def repair(conversation: Conversation, *, refuse: bool = False) -> Conversation:
    """The conversation as providers take it; the same object if there is nothing to repair.

    A call without a result gets one that says so. A result without a call becomes text of a user. ``refuse``: both
    raise ClientFault instead. Results are moved to their calls, and empty texts and messages left out.
    """
    in_order = _is_in_order(conversation.messages)
    if in_order is not None:
        conversation.in_order = in_order
        return conversation
    messages = [*_without_empty(conversation.messages)]
    pairs = _paired(messages)
    if refuse:
        _check(pairs, "input" if conversation.source == "openai.responses" else "messages")
    found = [*_in_order(messages, pairs)]
    return structs.replace(conversation, messages=found, repaired=pairs.names)


def _is_in_order(messages: Sequence[ConversationMessage]) -> bool | None:
    """See ``Conversation.in_order``; ``None``: there is something to be repaired, which is rare.

    One pass without a copy, and without a call for the usual parts.
    """
    in_order, before = True, ""
    calls: dict[str, None] = {}  # ids of those without a result
    for message in messages:
        role, content = message.role, message.content
        if not content or (calls and role != "tool"):
            return None
        if role == "tool":
            answered = _answered(content)
            if answered is None:
                return None
            if answered == [*calls]:
                calls.clear()
            elif calls.keys() >= {*answered} and len({*answered}) == len(answered):
                in_order = False
                for each in answered:
                    del calls[each]
            else:
                return None
        else:
            for part in content:
                if type(part) is Text:
                    if not part.text or part.text.isspace():
                        return None
                elif type(part) is ToolCall:
                    if part.id in calls:
                        return None
                    calls[part.id] = None
                elif _is_empty(part):
                    return None
            in_order &= not role == before == "assistant"
        before = role
    return None if calls else in_order


def _answered(results: Sequence[Part]) -> list[str] | None:
    """The ids of the calls; ``None``: something is empty, or no result."""
    found: list[str] = []
    for result in results:
        if type(result) is not ToolResult:
            return None
        for part in result.content:
            if type(part) is Text and not part.text:
                return None
        found.append(result.call_id)
    return found


# -- what is empty --------------------------------------------------------------------------------


def _is_empty(part: Part) -> bool:
    """Whether a provider would refuse the part, or learn nothing from it."""
    if isinstance(part, Reasoning):
        return not part.text and part.blob is None
    return isinstance(part, (Text, Refused)) and (not part.text or part.text.isspace())


def _is_empty_text(part: object) -> bool:
    """The same for a part of a tool's result, where white space may be the whole output."""
    return isinstance(part, Text) and not part.text


def _without_empty(messages: Sequence[ConversationMessage]) -> Iterator[ConversationMessage]:
    for message in messages:
        parts: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResult) and any(map(_is_empty_text, part.content)):
                parts.append(structs.replace(part, content=[each for each in part.content if not _is_empty_text(each)]))
            elif not _is_empty(part):
                parts.append(part)
        if parts:
            yield structs.replace(message, content=parts)


# -- calls and their results ----------------------------------------------------------------------


class _Pairs(Struct):
    """Calls and results of messages, by the numbers of the message and the part.

    ``answers``: the result of a call. ``missing``: calls without one. ``orphans``: results without a call. ``names``:
    what had to be repaired.
    """

    answers: dict[tuple[int, int], ToolResult] = {}
    missing: list[ToolCall] = []
    orphans: dict[tuple[int, int], ToolResult] = {}
    names: list[str] = []


def _paired(messages: Sequence[ConversationMessage]) -> _Pairs:
    """Each result belongs to a call before it that has its id and no result yet, in the last message with any."""
    found = _Pairs()
    waiting: dict[str, list[tuple[int, int]]] = {}
    calls: dict[tuple[int, int], ToolCall] = {}
    other = -1  # number of the last message of a user or the system
    late = False
    for number, message in enumerate(messages):
        if message.role not in ("assistant", "tool"):
            other = number
        for place, part in enumerate(message.content):
            if isinstance(part, ToolCall):
                calls[number, place] = part
                waiting.setdefault(part.id, []).append((number, place))
            elif isinstance(part, ToolResult):
                if places := waiting.get(part.call_id):
                    last, _ = places[-1]
                    call = places.pop(next(index for index, each in enumerate(places) if each[0] == last))
                    found.answers[call] = part
                    late |= other > last
                else:
                    found.orphans[number, place] = part
    found.missing = [call for place, call in calls.items() if place not in found.answers]
    problems = {"missing_tool_result": found.missing, "orphan_tool_result": found.orphans, "late_tool_result": late}
    found.names = [name for name, problem in problems.items() if problem]
    return found


def _check(pairs: _Pairs, member: str) -> None:
    """Raise ClientFault for a call or a result that is alone."""
    rest = "Send both or neither, or set translate.orphans of the gateway to repair."
    for call in pairs.missing:
        raise ClientFault(
            f"The tool call {call.id[:_MOST_SHOWN]!r} has no result. {rest}", param=member, code="missing_tool_result"
        )
    for result in pairs.orphans.values():
        raise ClientFault(
            f"The result of the tool call {result.call_id[:_MOST_SHOWN]!r} has no call before it. {rest}",
            param=member,
            code="orphan_tool_result",
        )


def _in_order(messages: Sequence[ConversationMessage], pairs: _Pairs) -> Iterator[ConversationMessage]:
    """The messages, with all results directly after their calls."""
    for role, group in groupby(enumerate(messages), key=lambda numbered: numbered[1].role):
        numbered = [*group]
        if role == "tool":
            for number, message in numbered:
                for place in range(len(message.content)):
                    if (orphan := pairs.orphans.get((number, place))) is not None:
                        yield ConversationMessage("user", _as_text(orphan))
        elif role != "assistant":
            yield from (message for _, message in numbered)
        else:
            yield from _joined([message for _, message in numbered])
            results: list[Part] = [
                pairs.answers.get((number, place))
                or ToolResult(part.id, [Text(MISSING)], is_error=True, kind=part.kind)
                for number, message in numbered
                for place, part in enumerate(message.content)
                if isinstance(part, ToolCall)
            ]
            if results:
                yield ConversationMessage("tool", results)


def _joined(messages: Sequence[ConversationMessage]) -> Iterator[ConversationMessage]:
    """Successive messages of the model: nothing of it may follow a message with calls, so that becomes a part of it."""
    for number, message in enumerate(messages):
        if any(isinstance(part, ToolCall) for part in message.content):
            parts = [part for each in messages[number:] for part in each.content]
            yield structs.replace(message, content=parts)
            return
        yield message


def _as_text(result: ToolResult) -> list[Part]:
    """A result without a call as content of a user's message, its cache mark at the end."""
    parts: list[Part] = [Text(ORPHAN), *(part for part in result.content if not _is_empty(part))]
    last = parts[-1]
    if result.cache is not None and not isinstance(last, Audio | Reasoning | Refused):
        parts[-1] = structs.replace(last, cache=result.cache)
    return parts
