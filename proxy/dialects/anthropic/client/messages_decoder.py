"""``messages`` of requests: the turns of a conversation.

Source: https://docs.claude.com/en/api/messages, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.dialects.anthropic.client.content_decoder import ContentDecoder, unknown_block
from proxy.dialects.anthropic.client.tools_decoder import CHANGES, ToolsDecoder
from proxy.dialects.translation import blobs, members
from proxy.dialects.translation.conversation import (
    Blob,
    ConversationMessage,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember
from proxy.wire import document

PATH: Final = "messages[].content[]"

_CLEARED: Final = "next_user_message"  # a system message is for the turn before it alone

_MESSAGE: Final = frozenset(("role", "content"))
_SYSTEM: Final = _MESSAGE | {"clear_at", "output_config"}
_THINKING: Final = frozenset(("type", "thinking", "signature"))
_REDACTED: Final = frozenset(("type", "data"))
_CALL: Final = frozenset(("type", "id", "name", "input", "cache_control", "caller"))
_USUAL_CALL: Final = frozenset(("type", "id", "name", "input"))
_USUAL_RESULT: Final = frozenset(("type", "tool_use_id", "content"))
_TYPE: Final = frozenset(("type",))
_RESULT: Final = frozenset(("type", "tool_use_id", "content", "is_error", "cache_control"))
_COMPACTION: Final = frozenset(("type", "content", "tool_changes", "cache_control"))

# What tools at Anthropic did in earlier turns, beside blocks that end with ``_tool_result``. The text of these turns
# says what the model made of it.
_HOSTED: Final = frozenset(("server_tool_use", "mcp_tool_use", "mcp_tool_listing", "fallback"))


class TurnsDecoder:
    """Decodes the messages of one request, in their order.

    ``effort``: what a system message says for the next turn; ``""``: nothing. Changes of tools are left to ``tools``.
    """

    __slots__ = (
        *("_answers", "_blocks", "_call_blob", "_losses", "_parts", "_results", "_tools", "_turns", "effort"),
        "messages",
    )

    def __init__(self, losses: Losses, tools: ToolsDecoder) -> None:
        self._losses = losses
        self._tools = tools
        self._blocks = ContentDecoder(losses, PATH)
        self._results = ContentDecoder(losses, PATH + ".content[]")
        self._turns: list[JsonObject] = []
        self._parts: list[Part] = []  # of the message that is being decoded
        self._answers: list[Part] = []  # the tools' results in it
        self._call_blob: Blob | None = None  # of the call that comes next
        self.messages: list[ConversationMessage] = []
        self.effort = ""

    def add_all(self, body: JsonObject) -> None:
        """The member ``messages``."""
        self._turns = members.objects(body, "messages")
        for number, turn in enumerate(self._turns):
            try:
                self._add(turn, number)
            except (WrongMember, Untranslatable) as fault:  # costs nothing without an error
                raise fault.within(f"messages[{number}]") from None

    def _add(self, turn: JsonObject, number: int) -> None:
        match turn.get("role"):
            case "user":
                self._decode(turn, _MESSAGE, self._user)
                self._append_user()
            case "assistant":
                self._call_blob = None
                self._decode(turn, _MESSAGE, self._assistant)
                if self._parts:
                    self.messages.append(ConversationMessage("assistant", self._parts))
            case "system":
                self._decode(turn, _SYSTEM, self._system)
                if self._parts and (turn.get("clear_at") != _CLEARED or not self._has_user_after(number)):
                    self.messages.append(ConversationMessage("system", self._parts))
                self._note_settings(turn)
            case _:
                raise WrongMember("role", "'user', 'assistant' or 'system'")

    def _decode(self, turn: JsonObject, known: frozenset[str], decode: Callable[[JsonObject], None]) -> None:
        """``decode`` adds what a block holds to ``_parts``."""
        if not known.issuperset(turn):
            self._losses.drop(*members.unknown(turn, known, "messages[]."))
        self._parts = []
        content = turn.get("content")
        if not isinstance(content, str):
            members.each(turn, "content", decode)
        elif content:
            self._parts.append(Text(content))

    def _append_user(self) -> None:
        """Results of tools become a message of their own, which comes first, as it follows their calls."""
        if self._answers:
            self.messages.append(ConversationMessage("tool", self._answers))
            self._answers = []
        if self._parts:
            self.messages.append(ConversationMessage("user", self._parts))
            self.effort = ""  # that of an earlier turn

    def _has_user_after(self, number: int) -> bool:
        return any(turn.get("role") == "user" for turn in self._turns[number + 1 :])

    def _user(self, block: JsonObject) -> None:
        if block.get("type") == "tool_result":
            self._answers.append(self._result(block))
        else:
            self._common(block)

    def _assistant(self, block: JsonObject) -> None:
        match block.get("type"):
            case "tool_use":
                self._parts.append(self._call(block))
            case "thinking":
                self._thinking(block)
            case "redacted_thinking":
                self._redacted(block)
            case "container_upload":  # a file that the model made
                self._losses.drop("messages[].content[container_upload]")
            case _:
                self._common(block)

    def _common(self, block: JsonObject) -> None:
        found = self._blocks.content(block)
        if found is not None:
            self._parts += found
            return
        kind = members.required_text(block, "type")
        if kind == "compaction":
            self._compact(block)
        elif kind in _HOSTED or kind.endswith("_tool_result"):
            self._losses.drop(f"messages[].content[{kind}]")
        else:
            raise unknown_block(block)

    def _system(self, block: JsonObject) -> None:
        kind = members.required_text(block, "type")
        if kind in CHANGES:
            self._tools.change(block, "messages[].content")
        elif kind != "text":
            raise unknown_block(block)
        else:
            self._parts += self._blocks.content(block) or ()

    def _call(self, block: JsonObject) -> ToolCall:
        blob, self._call_blob = self._call_blob, None
        found = ToolCall(
            members.required_text(block, "id"),
            members.required_text(block, "name"),
            document.encode(members.mapping(block, "input") or {}).decode(),
            blob=blob,
        )
        if block.keys() != _USUAL_CALL:
            self._add_unusual(found, block)
        return found

    def _add_unusual(self, call: ToolCall, block: JsonObject) -> None:
        """The members that few calls have."""
        self._blocks.note_unknown(block, _CALL)
        call.cache = self._blocks.cache_mark(block)
        caller = members.mapping(block, "caller")
        if caller is not None:
            self._blocks.note_unknown(caller, _TYPE, "caller.")
            if caller.get("type") != "direct":
                self._losses.drop(PATH + ".caller")

    def _thinking(self, block: JsonObject) -> None:
        self._blocks.note_unknown(block, _THINKING)
        signature = members.text(block, "signature")
        of_call = blobs.unpack_call(signature)
        if of_call is not None:
            self._call_blob = of_call
            return
        found = blobs.unpack(signature)
        found.text = members.text(block, "thinking") or found.text
        self._append_reasoning(found)

    def _redacted(self, block: JsonObject) -> None:
        self._blocks.note_unknown(block, _REDACTED)
        self._append_reasoning(blobs.unpack(members.text(block, "data"), "redacted"))

    def _append_reasoning(self, found: Reasoning) -> None:
        if found != Reasoning():
            self._parts.append(found)

    def _result(self, block: JsonObject) -> ToolResult:
        found = ToolResult(members.required_text(block, "tool_use_id"), [*self._results.contents(block)])
        if block.keys() != _USUAL_RESULT:
            self._blocks.note_unknown(block, _RESULT)
            found.is_error = members.flag(block, "is_error") is True
            found.cache = self._blocks.cache_mark(block)
        return found

    def _compact(self, block: JsonObject) -> None:
        """A summary stands for all messages before it. Without one, the compaction failed, and nothing changes."""
        summary = members.text(block, "content")
        if not summary:
            self._losses.drop("messages[].content[compaction]")
            return
        self._blocks.note_unknown(block, _COMPACTION)
        members.each(block, "tool_changes", self._change_in_summary)
        self._parts.clear()
        self._answers.clear()
        self.messages = [ConversationMessage("user", [Text(summary, self._blocks.cache_mark(block))])]

    def _change_in_summary(self, block: JsonObject) -> None:
        self._tools.change(block, PATH + ".tool_changes")

    def _note_settings(self, turn: JsonObject) -> None:
        """Settings that a system message makes."""
        if turn.get("clear_at") not in (None, "never", _CLEARED):
            self._losses.drop("messages[].clear_at")
        settings = members.mapping(turn, "output_config") or {}
        self._losses.drop(*members.unknown(settings, frozenset(("effort",)), "messages[].output_config."))
        with Within("output_config"):
            self.effort = members.text(settings, "effort") or self.effort
