"""``messages`` of requests: the turns of a conversation.

Source: https://docs.claude.com/en/api/messages, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy.dialects.anthropic.content_decoder import ContentDecoder, unknown_block
from proxy.dialects.anthropic.tools_decoder import CHANGES, ToolsDecoder
from proxy.dialects.translation import blobs, members
from proxy.dialects.translation.conversation import (
    Blob,
    ConversationMessage,
    Part,
    Reasoning,
    Role,
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

    __slots__ = ("_blocks", "_call_blob", "_losses", "_parts", "_results", "_tools", "effort", "messages")

    def __init__(self, losses: Losses, tools: ToolsDecoder) -> None:
        self._losses = losses
        self._tools = tools
        self._blocks = ContentDecoder(losses, PATH)
        self._results = ContentDecoder(losses, PATH + ".content[]")
        self._parts: list[Part] = []  # of the message that is being decoded
        self._call_blob: Blob | None = None  # of the call that comes next
        self.messages: list[ConversationMessage] = []
        self.effort = ""

    def add_all(self, body: JsonObject) -> None:
        """The member ``messages``."""
        turns = members.objects(body, "messages")
        last = max((number for number, turn in enumerate(turns) if turn.get("role") == "user"), default=-1)
        for number, turn in enumerate(turns):
            is_past = number < last and turn.get("clear_at") == _CLEARED
            try:
                self._add(turn, is_past=is_past)
            except (WrongMember, Untranslatable) as fault:  # costs nothing without an error
                raise fault.within(f"messages[{number}]") from None

    def _add(self, turn: JsonObject, *, is_past: bool) -> None:
        match turn.get("role"):
            case "user":
                self._note_unknown(turn, _MESSAGE)
                self._decode(turn, self._user)
                self._append_user()
            case "assistant":
                self._note_unknown(turn, _MESSAGE)
                self._call_blob = None
                self._decode(turn, self._assistant)
                self._append("assistant", self._parts)
            case "system":
                self._note_unknown(turn, _SYSTEM)
                self._decode(turn, self._system)
                if not is_past:
                    self._append("system", self._parts)
                self._note_settings(turn)
            case _:
                raise WrongMember("role", "'user', 'assistant' or 'system'")

    def _decode(self, turn: JsonObject, decode: Callable[[JsonObject], Sequence[Part]]) -> None:
        content = turn.get("content")
        self._parts = [Text(content)] if isinstance(content, str) and content else []
        if not isinstance(content, str):
            for found in members.each(turn, "content", decode):
                self._parts += found

    def _append_user(self) -> None:
        """Results of tools become a message of their own, which comes first, as it follows their calls."""
        others: list[Part] = [part for part in self._parts if not isinstance(part, ToolResult)]
        self._append("tool", [part for part in self._parts if isinstance(part, ToolResult)])
        self._append("user", others)
        if others:
            self.effort = ""  # that of an earlier turn

    def _append(self, role: Role, parts: list[Part]) -> None:
        if parts:
            self.messages.append(ConversationMessage(role, parts))

    def _user(self, block: JsonObject) -> Sequence[Part]:
        if block.get("type") == "tool_result":
            return (self._result(block),)
        return self._common(block)

    def _assistant(self, block: JsonObject) -> Sequence[Part]:
        match block.get("type"):
            case "tool_use":
                return (self._call(block),)
            case "thinking":
                return self._thinking(block)
            case "redacted_thinking":
                return self._redacted(block)
            case "container_upload":  # a file that the model made
                self._losses.drop("messages[].content[container_upload]")
                return ()
        return self._common(block)

    def _common(self, block: JsonObject) -> Sequence[Part]:
        found = self._blocks.content(block)
        if found is not None:
            return found
        kind = members.required_text(block, "type")
        if kind == "compaction":
            self._compact(block)
            return ()
        if kind in _HOSTED or kind.endswith("_tool_result"):
            self._losses.drop(f"messages[].content[{kind}]")
            return ()
        raise unknown_block(block)

    def _system(self, block: JsonObject) -> Sequence[Part]:
        kind = members.required_text(block, "type")
        if kind in CHANGES:
            self._tools.change(block, "messages[].content")
            return ()
        if kind != "text":
            raise unknown_block(block)
        return self._blocks.content(block) or ()

    def _call(self, block: JsonObject) -> ToolCall:
        self._blocks.note_unknown(block, _CALL)
        caller = members.mapping(block, "caller")
        if caller is not None:
            self._blocks.note_unknown(caller, _TYPE, "caller.")
            if caller.get("type") != "direct":
                self._losses.drop(PATH + ".caller")
        arguments = document.encode(members.mapping(block, "input") or {}).decode()
        blob, self._call_blob = self._call_blob, None
        return ToolCall(
            members.required_text(block, "id"),
            members.required_text(block, "name"),
            arguments,
            blob=blob,
            cache=self._blocks.cache_mark(block),
        )

    def _thinking(self, block: JsonObject) -> Sequence[Part]:
        self._blocks.note_unknown(block, _THINKING)
        signature = members.text(block, "signature")
        of_call = blobs.unpack_call(signature)
        if of_call is not None:
            self._call_blob = of_call
            return ()
        found = blobs.unpack(signature)
        found.text = members.text(block, "thinking") or found.text
        return (found,) if found != Reasoning() else ()

    def _redacted(self, block: JsonObject) -> Sequence[Part]:
        self._blocks.note_unknown(block, _REDACTED)
        found = blobs.unpack(members.text(block, "data"), "redacted")
        return (found,) if found != Reasoning() else ()

    def _result(self, block: JsonObject) -> ToolResult:
        self._blocks.note_unknown(block, _RESULT)
        return ToolResult(
            members.required_text(block, "tool_use_id"),
            [*self._results.contents(block)],
            members.flag(block, "is_error") is True,
            cache=self._blocks.cache_mark(block),
        )

    def _compact(self, block: JsonObject) -> None:
        """A summary stands for all messages before it. Without one, the compaction failed, and nothing changes."""
        summary = members.text(block, "content")
        if not summary:
            self._losses.drop("messages[].content[compaction]")
            return
        self._blocks.note_unknown(block, _COMPACTION)
        for _ in members.each(block, "tool_changes", self._change_in_summary):
            pass
        self._parts.clear()
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

    def _note_unknown(self, turn: JsonObject, known: frozenset[str]) -> None:
        if not turn.keys() <= known:
            self._losses.drop(*members.unknown(turn, known, "messages[]."))
