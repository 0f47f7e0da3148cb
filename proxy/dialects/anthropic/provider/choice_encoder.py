"""Which tools the model may call, and whether it must.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from proxy.dialects.anthropic.provider.cache_marks import Block
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable

DEMANDS: Final = frozenset({"any", "tool"})  # types of a choice that demands a call


class ChoiceEncoder:
    """Encodes the choice of one request. ``member``: what the client calls it, for errors."""

    __slots__ = ("_choice", "_facts", "_member", "_names")

    def __init__(self, choice: ToolChoice, facts: ModelFacts, names: ToolNames, member: str) -> None:
        self._choice = choice
        self._facts = facts
        self._names = names
        self._member = member

    def allows(self, tool: ToolDefinition) -> bool:
        """Whether a tool may be called. The API has no list of allowed tools, so no other is sent."""
        allowed = self._choice.allowed
        return allowed is None or tool.name in allowed or f"{tool.namespace}__{tool.name}" in allowed

    def encode(self, sent: Collection[str]) -> Block | None:
        """``None``: nothing is said. ``sent``: names of the tools. Raises Untranslatable for what cannot be met."""
        choice = self._choice
        found = self._demanded(sent) if choice.mode in ("any", "one") else None
        if not sent:
            return None
        if choice.mode == "none":
            return {"type": "none"}
        if found is None and (choice.mode == "auto" or choice.parallel is False):
            found = {"type": "auto"}
        if found is not None and choice.parallel is False:
            found["disable_parallel_tool_use"] = True
        return found

    def _demanded(self, sent: Collection[str]) -> Block:
        choice = self._choice
        if not self._facts.forced_tools:
            raise Untranslatable(self._member, "The model cannot be made to call a tool. Let it choose: auto.")
        if not sent:
            raise Untranslatable(self._member, "There is no tool to call.")
        if choice.mode == "any":
            return {"type": "any"}
        name = self._names.name(choice.name, choice.namespace)
        if name not in sent:
            raise Untranslatable(self._member, f"There is no tool {choice.name!r}.")
        return {"type": "tool", "name": name}
