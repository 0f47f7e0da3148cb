"""The messages of a conversation in the order that chat wants: results of tools follow the message with their calls.

Other dialects have an item for each call, texts between calls and their results, or all results at the end.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Final

from proxy.dialects.translation.conversation import ConversationMessage, Part, Text, ToolCall, ToolResult

_BETWEEN: Final = Text("\n\n")  # two texts of the assistant that become one


def in_order(messages: Sequence[ConversationMessage]) -> list[ConversationMessage]:
    """The messages with all results in place. Messages of the assistant that follow each other become one.

    A result goes to the last call before it that has its id and no result. One without a call stays where it is.
    """
    turns = _merged(messages)
    answered = _answered(turns)
    placed = {id(result) for results in answered.values() for result in results}
    found: list[ConversationMessage] = []
    for position, turn in enumerate(turns):
        if turn.role == "tool":
            rest = [part for part in turn.content if id(part) not in placed]
            if rest:
                found.append(ConversationMessage("tool", rest))
            continue
        found.append(turn)
        if position in answered:
            found.append(ConversationMessage("tool", list(answered[position])))
    return found


def _answered(turns: Sequence[ConversationMessage]) -> dict[int, list[ToolResult]]:
    """The results of each turn with calls, in the order of the calls."""
    waiting: defaultdict[str, deque[tuple[int, int]]] = defaultdict(deque)  # turn and number of calls without a result
    found: dict[int, dict[int, ToolResult]] = {}
    for position, turn in enumerate(turns):
        for number, call in enumerate(_calls(turn)):
            waiting[call.id].append((position, number))
        for part in turn.content:
            if isinstance(part, ToolResult) and waiting[part.call_id]:
                at, number = _take(waiting[part.call_id])
                found.setdefault(at, {})[number] = part
    return {at: [results[number] for number in sorted(results)] for at, results in found.items()}


def _take(calls: deque[tuple[int, int]]) -> tuple[int, int]:
    """The first call of the last turn that has one."""
    last = calls[-1][0]
    call = next(each for each in calls if each[0] == last)
    calls.remove(call)
    return call


def _calls(turn: ConversationMessage) -> Iterator[ToolCall]:
    return (part for part in turn.content if isinstance(part, ToolCall))


def _merged(messages: Sequence[ConversationMessage]) -> list[ConversationMessage]:
    found: list[ConversationMessage] = []
    for message in messages:
        before = found[-1] if found else None
        if before is None or message.role != "assistant" or before.role != "assistant" or before.name != message.name:
            found.append(message)
            continue
        both_text = before.content and message.content and _is_text(before.content[-1]) and _is_text(message.content[0])
        parts = [*before.content, *([_BETWEEN] if both_text else []), *message.content]
        found[-1] = ConversationMessage("assistant", parts, message.name, message.phase or before.phase)
    return found


def _is_text(part: Part) -> bool:
    return isinstance(part, Text)
