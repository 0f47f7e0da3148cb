"""The tools of a chat request, and which of them the model may call, decoded.

Source: https://platform.openai.com/docs/api-reference/chat/create (tools, tool_choice; functions and function_call are
their old form). ``cache_control`` is OpenRouter's and LiteLLM's.
"""

from __future__ import annotations

from typing import Final, Literal

from proxy.dialects.openai.chat.client.content_decoder import ChatContentDecoder
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.hosted_tools import is_hosted
from proxy.dialects.translation.members import JsonObject, Within, required_text
from proxy.errors import Untranslatable, WrongMember

_TOOL: Final = frozenset({"type", "function", "custom", "prompt_cache_breakpoint", "cache_control"})
_FUNCTION: Final = frozenset({"name", "description", "parameters", "strict", "cache_control"})
_CUSTOM: Final = frozenset({"name", "description", "format"})
_FORMAT: Final = frozenset({"type", "grammar"})
_GRAMMAR: Final = frozenset({"syntax", "definition"})
_NAMED: Final = frozenset({"name"})
_ALLOWED: Final = frozenset({"mode", "tools"})
_CHOICE: Final = frozenset({"type", "function", "custom", "allowed_tools"})
_NO_COUNTERPART: Final = "Tools of this type have no counterpart there."

_MODES: Final[dict[str, Literal["auto", "none", "any"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "any",
    "any": "any",  # Mistral's
}


class ChatToolsDecoder:
    """Decodes the tools of one request. What is lost is added to ``dropped``."""

    __slots__ = ("_content", "_dropped")

    def __init__(self, content: ChatContentDecoder, dropped: list[str]) -> None:
        self._content = content
        self._dropped = dropped

    def tools(self, body: JsonObject) -> list[ToolDefinition]:
        """``tools`` and the old ``functions``. Raises Untranslatable for unknown types that are not hosted."""
        found = [tool for tool in members.each(body, "tools", self._tool) if tool is not None]
        return [*found, *members.each(body, "functions", self._legacy_function)]

    def choice(self, body: JsonObject, tools: list[ToolDefinition]) -> ToolChoice:
        """``tool_choice`` or the old ``function_call``, with ``parallel_tool_calls``."""
        name = "tool_choice" if body.get("tool_choice") is not None else "function_call"
        if name == "tool_choice" and body.get("function_call") is not None:
            self._dropped.append("function_call")
        choice = self._choice(name, body.get(name))
        if choice.mode in ("any", "one") and not tools and body.get("tools"):
            raise Untranslatable(name, "All tools of the request would have to run at another provider.")
        choice.parallel = members.flag(body, "parallel_tool_calls")
        if body.get("functions") and choice.parallel is None:
            choice.parallel = False  # there can be only one function_call in an answer
        return choice

    def _choice(self, name: str, value: object) -> ToolChoice:
        if value is None:
            return ToolChoice()
        if isinstance(value, str):
            return _mode(name, value)
        if not isinstance(value, dict):
            raise WrongMember(name, "a string or an object")
        with Within(name):
            if name == "function_call":
                self._dropped += members.unknown(value, _NAMED, "function_call.")
                return ToolChoice("one", required_text(value, "name"))
            self._dropped += members.unknown(value, _CHOICE, "tool_choice.")
            if members.text(value, "type") == "allowed_tools":
                return self._allowed(value)
            return ToolChoice("one", self._tool_name(value, "tool_choice."))

    def _allowed(self, choice: JsonObject) -> ToolChoice:
        found = members.required_mapping(choice, "allowed_tools")
        self._dropped += members.unknown(found, _ALLOWED, "tool_choice.allowed_tools.")
        with Within("allowed_tools"):
            choice_of_mode = _mode("mode", members.text(found, "mode"))
            names = tuple(members.each(found, "tools", self._allowed_name))
        return ToolChoice(choice_of_mode.mode, allowed=names)

    def _allowed_name(self, tool: JsonObject) -> str:
        path = "tool_choice.allowed_tools.tools[]."
        self._dropped += members.unknown(tool, _TOOL, path)
        return self._tool_name(tool, path)

    def _tool_name(self, holder: JsonObject, path: str) -> str:
        """The name of a tool that ``{"type", "function": {"name"}}`` at ``path`` refers to."""
        kind = members.text(holder, "type")
        if kind not in ("function", "custom"):
            raise Untranslatable("type", _NO_COUNTERPART)
        found = members.required_mapping(holder, kind)
        self._dropped += members.unknown(found, _NAMED, f"{path}{kind}.")
        with Within(kind):
            return required_text(found, "name")

    def _tool(self, tool: JsonObject) -> ToolDefinition | None:
        """A tool; ``None`` for one that is left out."""
        kind = members.text(tool, "type") or "function"
        if kind not in ("function", "custom"):
            if is_hosted(kind):
                self._dropped.append(f"tools[{kind}]")
                return None
            raise Untranslatable("type", _NO_COUNTERPART)
        found = members.required_mapping(tool, kind)
        self._dropped += members.unknown(tool, _TOOL, "tools[].")
        with Within(kind):
            defined = self._function(found, "tools[].function.") if kind == "function" else self._custom(found)
        defined.cache = self._content.mark(tool, "tools[].") or defined.cache
        return defined

    def _function(self, function: JsonObject, path: str) -> ToolDefinition:
        self._dropped += members.unknown(function, _FUNCTION, path)
        return ToolDefinition(
            required_text(function, "name"),
            members.text(function, "description"),
            members.mapping(function, "parameters"),
            members.flag(function, "strict"),
            cache=self._content.mark(function, path),
        )

    def _legacy_function(self, function: JsonObject) -> ToolDefinition:
        return self._function(function, "functions[].")

    def _custom(self, custom: JsonObject) -> ToolDefinition:
        self._dropped += members.unknown(custom, _CUSTOM, "tools[].custom.")
        with Within("format"):
            grammar = self._grammar(members.mapping(custom, "format"))
        return ToolDefinition(
            required_text(custom, "name"), members.text(custom, "description"), kind="custom", grammar=grammar
        )

    def _grammar(self, form: JsonObject | None) -> JsonObject | None:
        """``None``: any text."""
        if form is None:
            return None
        self._dropped += members.unknown(form, _FORMAT, "tools[].custom.format.")
        if form.get("type") == "text":
            return None
        if form.get("type") != "grammar":
            raise Untranslatable("type", "Formats of this type have no counterpart there.")
        grammar = members.required_mapping(form, "grammar")
        self._dropped += members.unknown(grammar, _GRAMMAR, "tools[].custom.format.grammar.")
        with Within("grammar"):
            return {name: required_text(grammar, name) for name in ("syntax", "definition")}


def _mode(name: str, value: str) -> ToolChoice:
    mode = _MODES.get(value)
    if mode is None:
        raise WrongMember(name, "auto, none or required, or an object")
    return ToolChoice(mode)
