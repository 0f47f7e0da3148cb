"""Tools of requests, and which of them the model may call.

Source: https://docs.claude.com/en/docs/agents-and-tools/tool-use, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.anthropic.client.content_decoder import ContentDecoder, unknown_block
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.hosted_tools import is_hosted
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

_undated: Final = re.compile(r"_\d{8}$").sub  # web_search_20250305 and its successors are one tool

_HOSTED: Final = frozenset(("advisor", "mcp_toolset"))  # beside those that several providers have
# Tools that clients run, but whose schema only Claude knows.
_SCHEMALESS: Final = frozenset(("bash", "text_editor", "computer", "memory", "browser_toolset", "computer_toolset"))

_TOOL: Final = frozenset(("type", "name", "description", "input_schema", "strict", "cache_control"))
CHANGES: Final = frozenset(("tool_addition", "tool_removal"))  # types of blocks
_CHANGE: Final = frozenset(("type", "tool"))
_DEFINITION: Final = frozenset(("type", "definition"))
_REFERENCE: Final = frozenset(("type", "name"))
_CHOICE: Final = frozenset(("type", "name", "disable_parallel_tool_use"))


class ToolsDecoder:
    """Collects the tools of a request: those of ``tools``, and the changes that ``messages`` make."""

    __slots__ = ("_hosted", "_known", "_losses", "_removed")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._known: dict[str, ToolDefinition] = {}
        self._hosted: set[str] = set()  # names of those that were left out
        self._removed: set[str] = set()

    @property
    def tools(self) -> list[ToolDefinition]:
        """The tools that the model may call in its next turn."""
        return [tool for name, tool in self._known.items() if name not in self._removed]

    def add_all(self, body: JsonObject) -> None:
        """The member ``tools``."""
        members.each(body, "tools", self._add_first)

    def change(self, block: JsonObject, holder: str) -> None:
        """A block of the member ``holder`` that adds or removes a tool within the conversation.

        The next turn alone needs the tools, so they are those after the last change.
        """
        kind = members.required_text(block, "type")
        if kind not in CHANGES:
            raise unknown_block(block)
        self._note_unknown(block, _CHANGE, f"{holder}[]")
        tool = members.required_mapping(block, "tool")
        with Within("tool"):
            if not self._change(tool, f"{holder}[].tool", removes=kind == "tool_removal"):
                self._losses.drop(f"{holder}[{kind}]")

    def choice(self, body: JsonObject) -> ToolChoice:
        """The member ``tool_choice``. Raises Untranslatable if it forces a call of a tool that was left out."""
        choice = members.mapping(body, "tool_choice")
        if choice is None:
            return ToolChoice()
        self._note_unknown(choice, _CHOICE, "tool_choice")
        with Within("tool_choice"):
            return self._choice(choice)

    def _add_first(self, tool: JsonObject) -> None:
        if members.text(tool, "name") in self._known:
            raise WrongMember("name", "one that no other tool has")
        hosted = self._add(tool, "tools[]")
        if hosted:
            self._losses.drop(f"tools[{hosted}]")

    def _add(self, tool: JsonObject, path: str) -> str:
        """Add a tool. A hosted one is left out, and its type returned."""
        kind = _undated("", members.text(tool, "type"))
        if kind in _HOSTED or is_hosted(kind):
            self._hosted.add(members.text(tool, "name") or members.text(tool, "mcp_server_name"))
            return kind
        if kind in _SCHEMALESS:
            reason = f"Only Claude knows the schema of the tool {tool['type']!r}: use one with an input_schema instead."
            raise Untranslatable("type", reason)
        if kind not in ("", "custom"):
            raise Untranslatable("type", f"It has no tools of the type {tool['type']!r}.")
        blocks = ContentDecoder(self._losses, path)
        blocks.note_unknown(tool, _TOOL)
        name = members.required_text(tool, "name")
        self._removed.discard(name)
        self._known[name] = ToolDefinition(
            name,
            members.text(tool, "description"),
            members.mapping(tool, "input_schema"),
            members.flag(tool, "strict"),
            cache=blocks.cache_mark(tool),
        )
        return ""

    def _change(self, tool: JsonObject, path: str, *, removes: bool) -> bool:
        """``False``: the change is about a tool that is not there, such as a hosted one."""
        match tool.get("type"):
            case "tool_definition" if not removes:
                self._note_unknown(tool, _DEFINITION, path)
                definition = members.required_mapping(tool, "definition")
                with Within("definition"):
                    return not self._add(definition, f"{path}.definition")
            case "tool_reference":
                self._note_unknown(tool, _REFERENCE, path)
                name = members.required_text(tool, "name")
                change = self._removed.add if removes else self._removed.discard
                change(name)
                return name in self._known
            case "mcp_tool_reference" | "mcp_toolset_reference":
                return False
        raise Untranslatable("type", "It is not known.")

    def _note_unknown(self, holder: JsonObject, known: frozenset[str], path: str) -> None:
        self._losses.drop(*members.unknown(holder, known, path + "."))

    def _choice(self, choice: JsonObject) -> ToolChoice:
        parallel = False if members.flag(choice, "disable_parallel_tool_use") else None
        all_hosted = bool(self._hosted) and not self.tools
        match choice.get("type"):
            case "auto" | "none" if all_hosted:
                return ToolChoice()  # providers refuse a choice without tools
            case "auto":
                return ToolChoice("auto", parallel=parallel)
            case "none":
                return ToolChoice("none")
            case "any":
                if all_hosted:
                    raise Untranslatable("type", "All tools of the request run at Anthropic.")
                return ToolChoice("any", parallel=parallel)
            case "tool":
                name = members.required_text(choice, "name")
                if name in self._hosted:
                    raise Untranslatable("name", f"The tool {name!r} runs at Anthropic.")
                return ToolChoice("one", name, parallel=parallel)
        raise Untranslatable("type", f"It has no choice {members.required_text(choice, 'type')!r}.")
