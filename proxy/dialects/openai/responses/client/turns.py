"""The messages that a conversation's items make.

An answer comes back as several items (reasoning, a message, calls of tools), which become one assistant message, as
other dialects have it. The same goes for the results of tools.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import (
    Blob,
    ConversationMessage,
    Part,
    Role,
    Text,
    ToolCall,
    ToolKind,
    ToolResult,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

_CALLER: Final = frozenset({"type", "caller_id"})


def call_id(item: JsonObject) -> str:
    """The id by which a call and its result find each other. The API lets a client leave it out."""
    found = members.text(item, "call_id")
    if not found:
        raise Untranslatable("call_id", "Without it, no result can be assigned to a call.")
    return found


def note_status(item: JsonObject, losses: Losses) -> None:
    """Note a status that is lost: that an item was cut, or is not complete yet. ``failed`` is that of a result."""
    if item.get("status") not in (None, "completed", "failed"):
        losses.drop("input[].status")


def note_caller(item: JsonObject, losses: Losses) -> None:
    """Note the caller of a call if it is lost: a program that OpenAI ran, not the model itself."""
    caller = members.mapping(item, "caller") or {}
    losses.drop(*members.unknown(caller, _CALLER, "input[].caller."))
    if caller.get("type") not in (None, "direct"):
        losses.drop("input[].caller")


class Turns:
    """``signature``: of the call that is added next."""

    __slots__ = ("messages", "signature")

    def __init__(self) -> None:
        self.messages: list[ConversationMessage] = []
        self.signature: Blob | None = None

    def add(self, role: Role, parts: Iterable[Part]) -> None:
        """Add a message of its own."""
        self.messages.append(ConversationMessage(role, list(parts)))

    def answer(self, parts: Iterable[Part], phase: str | None = None) -> None:
        """Add to the assistant message before, if there is one. ``phase``: of a text; ``None`` for other parts."""
        last = self._last("assistant")
        if last is None or (phase is not None and not _takes(last, phase)):
            self.add("assistant", parts)
            last = self.messages[-1]
        else:
            last.content += parts
        last.phase = phase or last.phase

    def call(self, call_id: str, name: str, arguments: str, kind: ToolKind = "function", namespace: str = "") -> None:
        signature, self.signature = self.signature, None
        self.answer([ToolCall(call_id, name, arguments, kind, namespace, signature)])

    def result(self, result: ToolResult) -> None:
        last = self._last("tool")
        if last is None:
            self.add("tool", [result])
        else:
            last.content.append(result)

    def _last(self, role: Role) -> ConversationMessage | None:
        """The last message, if it is one of this role."""
        return self.messages[-1] if self.messages and self.messages[-1].role == role else None


def _takes(message: ConversationMessage, phase: str) -> bool:
    """Whether a text of this phase may be added to an assistant message: one message has one phase."""
    return message.phase == phase or not any(isinstance(part, Text) for part in message.content)
