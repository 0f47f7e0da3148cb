"""Tools of requests, and which of them the model may call.

Source: https://docs.claude.com/en/docs/agents-and-tools/tool-use, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.anthropic.content_decoder import ContentDecoder
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
_CHOICE: Final = frozenset(("type", "name", "disable_parallel_tool_use"))


class ToolsDecoder:
    """Collects the tools of a request: those of ``tools``, and the changes that ``messages`` make."""

    __slots__ = ("_blocks", "_hosted", "_known", "_losses", "_removed")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._blocks = ContentDecoder(losses, "tools[]")
        self._known: dict[str, ToolDefinition] = {}
        self._hosted: set[str] = set()  # names of those that were left out
        self._removed: set[str] = set()

    @property
    def tools(self) -> list[ToolDefinition]:
        """The tools that the model may call in its next turn."""
        return [tool for name, tool in self._known.items() if name not in self._removed]

    def add_all(self, body: JsonObject) -> None:
        """The member ``tools``."""
        for _ in members.each(body, "tools", self._add):
            pass

    def change(self, block: JsonObject) -> bool:
        """A block that adds or removes a tool within the conversation; ``False`` for any other.

        The next turn alone needs the tools, so they are those after the last change.
        """
        kind = block.get("type")
        if kind not in ("tool_addition", "tool_removal"):
            return False
        tool = members.required_mapping(block, "tool")
        with Within("tool"):
            self._change(tool, removes=kind == "tool_removal")
        return True

    def choice(self, body: JsonObject) -> ToolChoice:
        """The member ``tool_choice``. Raises Untranslatable if it forces a call of a tool that was left out."""
        choice = members.mapping(body, "tool_choice")
        if choice is None:
            return ToolChoice()
        self._losses.drop(*members.unknown(choice, _CHOICE, "tool_choice."))
        with Within("tool_choice"):
            return self._choice(choice)

    def _add(self, tool: JsonObject, *, replaces: bool = False) -> None:
        kind = _undated("", members.text(tool, "type"))
        if kind in _HOSTED or is_hosted(kind):
            self._losses.drop(f"tools[{kind}]")
            self._hosted.add(members.text(tool, "name") or members.text(tool, "mcp_server_name"))
            return
        if kind in _SCHEMALESS:
            reason = f"Only Claude knows the schema of the tool {tool['type']!r}: use one with an input_schema instead."
            raise Untranslatable("type", reason)
        if kind not in ("", "custom"):
            raise Untranslatable("type", f"It has no tools of the type {tool['type']!r}.")
        name = members.required_text(tool, "name")
        if name in self._known and not replaces:
            raise WrongMember("name", "one that no other tool has")
        self._removed.discard(name)
        self._known[name] = self._definition(name, tool)

    def _definition(self, name: str, tool: JsonObject) -> ToolDefinition:
        self._blocks.note_unknown(tool, _TOOL)
        return ToolDefinition(
            name,
            members.text(tool, "description"),
            members.mapping(tool, "input_schema"),
            members.flag(tool, "strict"),
            cache=self._blocks.cache_mark(tool),
        )

    def _change(self, tool: JsonObject, *, removes: bool) -> None:
        match tool.get("type"):
            case "tool_definition" if not removes:
                definition = members.required_mapping(tool, "definition")
                with Within("definition"):
                    self._add(definition, replaces=True)
            case "tool_reference" if removes:
                self._removed.add(members.required_text(tool, "name"))
            case "tool_reference":
                self._removed.discard(members.required_text(tool, "name"))
            case "mcp_tool_reference" | "mcp_toolset_reference":
                self._losses.drop("tools[mcp_toolset]")
            case _:
                raise Untranslatable("type", "It is not known.")

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
        raise WrongMember("type", "'auto', 'any', 'tool' or 'none'")
