"""Items about the tools of ``built_in_tools.py``, decoded: their calls, and what they brought.

Calls that OpenAI itself ran, in a container or as a search on its side, are left out and named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.dialects.openai.responses.client.built_in_tools import BY_CALL
from proxy.dialects.openai.responses.client.tools_decoder import ResponsesToolsDecoder
from proxy.dialects.openai.responses.client.turns import Turns, call_id, note_caller, note_status
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import Text, ToolResult
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

_ITEM: Final = frozenset({"type", "id", "call_id", "status", "caller"})
_CALL: Final = _ITEM | {"environment", "execution"}
_OUTPUT: Final = _ITEM | {"output"}
_ENVIRONMENT: Final = frozenset({"type"})
_FOUND: Final = _ITEM | {"execution", "tools"}


class BuiltInDecoder:
    """Decodes such items of one request. ``tools`` gets those that a search found."""

    __slots__ = ("_hosted", "_local_shells", "_losses", "_tools", "_turns")

    def __init__(self, turns: Turns, tools: ResponsesToolsDecoder, losses: Losses) -> None:
        self._turns = turns
        self._tools = tools
        self._losses = losses
        self._hosted: set[str] = set()  # ids of calls that were left out
        self._local_shells: dict[str, str] = {}  # ids of calls, by the ids of their items

    def decode(self, kind: str, item: JsonObject) -> bool:
        """Decode an item. Returns whether it is of such a type."""
        if kind in BY_CALL:
            self._call(kind, item)
            return True
        decode = _OUTPUTS.get(kind)
        if decode is not None:
            decode(self, item)
        return decode is not None

    def _call(self, kind: str, item: JsonObject) -> None:
        tool, environment = BY_CALL[kind], members.mapping(item, "environment") or {}
        if item.get("execution") == "server" or environment.get("type") not in (None, "local"):
            self._losses.drop(f"input[{kind}]")
            self._hosted.add(members.text(item, "call_id"))
            return
        self._note(item, _CALL | {tool.member})
        self._losses.drop(*members.unknown(environment, _ENVIRONMENT, "input[].environment."))
        called = call_id(item)
        if kind == "local_shell_call":
            self._local_shells[members.text(item, "id")] = called
        self._turns.call(called, tool.name, tool.arguments_of(item))

    def _shell(self, item: JsonObject) -> None:
        self._note(item, _OUTPUT)
        called = call_id(item)
        if called in self._hosted:
            self._losses.drop("input[shell_call_output]")
            return
        output = document.encode(members.objects(item, "output")).decode()
        self._turns.result(ToolResult(called, [Text(output)]))

    def _local_shell(self, item: JsonObject) -> None:
        """Its ``id`` is that of the call, or of the call's item."""
        self._note(item, _OUTPUT)
        named = members.text(item, "call_id") or members.required_text(item, "id")
        output = members.text(item, "output")
        self._turns.result(ToolResult(self._local_shells.get(named, named), [Text(output)] if output else []))

    def _patch(self, item: JsonObject) -> None:
        self._note(item, _OUTPUT)
        status = members.text(item, "status") or "completed"
        text = Text(members.text(item, "output") or status)
        self._turns.result(ToolResult(call_id(item), [text], is_error=status == "failed"))

    def _search(self, item: JsonObject) -> None:
        """Tools that a search found: they can be called from now on."""
        self._note(item, _FOUND)
        found, called = self._tools.add(item), members.text(item, "call_id")
        if item.get("execution") == "server" or not called:
            self._losses.drop("input[tool_search_output]")
            return
        names = ", ".join(f"{tool.namespace}__{tool.name}" if tool.namespace else tool.name for tool in found)
        text = f"Tools that can be called now: {names}." if names else "No tool was found."
        self._turns.result(ToolResult(called, [Text(text)]))

    def _note(self, item: JsonObject, known: frozenset[str]) -> None:
        """Note the members that are lost."""
        self._losses.drop(*members.unknown(item, known, "input[]."))
        note_status(item, self._losses)
        note_caller(item, self._losses)


_OUTPUTS: Final[dict[str, Callable[[BuiltInDecoder, JsonObject], None]]] = {
    "shell_call_output": BuiltInDecoder._shell,
    "local_shell_call_output": BuiltInDecoder._local_shell,
    "apply_patch_call_output": BuiltInDecoder._patch,
    "tool_search_output": BuiltInDecoder._search,
}
