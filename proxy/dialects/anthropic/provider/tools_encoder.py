"""Tools of a request.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use, .../strict-tool-use
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.anthropic.provider import cache_marks
from proxy.dialects.anthropic.provider.cache_marks import Block
from proxy.dialects.anthropic.provider.choice_encoder import DEMANDS, ChoiceEncoder
from proxy.dialects.anthropic.provider.output_schema import StrictSchema, strict_schema
from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import Conversation, ToolDefinition
from proxy.dialects.translation.custom_tools import as_function
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable

# Of one request, all strict schemas together: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
_STRICT_TOOLS: Final = 20
_OPTIONAL: Final = 24
_UNIONS: Final = 16

_BRANCHES: Final = ("anyOf", "oneOf", "allOf")


class EncodedTools(Struct):
    """``choice``: ``None`` where nothing is said."""

    definitions: list[Block] = []
    choice: Block | None = None

    @property
    def forced(self) -> bool:
        """Whether the model must call one."""
        return self.choice is not None and self.choice["type"] in DEMANDS


class ToolsEncoder:
    """Encodes the tools of one request."""

    __slots__ = ("_client", "_facts", "_losses", "_names", "_optional", "_strict", "_unions")

    def __init__(self, facts: ModelFacts, losses: Losses, names: ToolNames, client: MemberNames) -> None:
        self._facts = facts
        self._losses = losses
        self._names = names
        self._client = client
        # What is left of the limits.
        self._strict, self._optional, self._unions = _STRICT_TOOLS, _OPTIONAL, _UNIONS

    def encode(self, conversation: Conversation, form: StrictSchema | None) -> EncodedTools:
        """Raises Untranslatable if the model cannot be made to call what the client demands.

        ``form``: that of the answer, which counts for the limits.
        """
        if form is not None:
            self._count(form)
        member = "function_call" if conversation.legacy_functions else "tool_choice"
        choice = ChoiceEncoder(conversation.tool_choice, self._facts, self._names, member)
        found: dict[str, Block] = {}
        known: dict[str, ToolDefinition] = {}
        for tool in conversation.tools:
            name = self._names.add(tool)
            if known.setdefault(name, tool) != tool:
                raise Untranslatable("tools", f"Two tools have the name {name!r}.")
            if name not in found and choice.allows(tool):
                found[name] = self._definition(tool, name)
        return EncodedTools(list(found.values()), choice.encode(found.keys()))

    def _definition(self, tool: ToolDefinition, name: str) -> Block:
        found: Block = {"name": name}
        if tool.kind == "custom":
            if tool.grammar is not None:
                self._losses.drop(self._client.grammar)  # it is not enforced
            tool = as_function(tool)
        if tool.description:
            found["description"] = tool.description
        strict = self._strict_schema(tool)
        if strict is not None:
            found |= {"input_schema": strict.schema, "strict": True}
        else:
            found["input_schema"] = self._open_schema(tool.parameters)
        cache_marks.add(found, tool.cache)
        return found

    def _strict_schema(self, tool: ToolDefinition) -> StrictSchema | None:
        """``None``: the arguments are not enforced, as the client wants, or as the API cannot."""
        if not tool.strict:
            return None
        found = strict_schema(tool.parameters) if self._facts.structured else None
        if (
            found is None
            or found.schema.get("type") != "object"
            or self._strict < 1
            or found.optional > self._optional
            or found.unions > self._unions
        ):
            self._losses.drop(self._client.strict)
            return None
        if not found.exact:
            self._losses.drop(self._client.parameters)
        self._strict -= 1
        self._count(found)
        return found

    def _count(self, schema: StrictSchema) -> None:
        self._optional -= schema.optional
        self._unions -= schema.unions

    def _open_schema(self, schema: Any) -> JsonObject:
        """A schema of an object, which has no alternatives at its top: the API refuses any other."""
        if not isinstance(schema, dict):
            return {"type": "object", "properties": {}}
        if schema.get("type") == "object" and schema.keys().isdisjoint(_BRANCHES):
            return schema
        found = {name: value for name, value in schema.items() if name not in _BRANCHES}
        found["type"] = "object"
        for name in _BRANCHES:
            if name in schema:
                self._losses.drop(self._client.parameters)
                _add_members(found, schema[name], all_hold=name == "allOf")
        return found


def placeholders(called: Sequence[str]) -> EncodedTools:
    """Definitions of tools that were called, for a request without any: results must have a tool.

    The model may not call them.
    """
    definitions = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in called]
    return EncodedTools(definitions, {"type": "none"} if definitions else None)


def _add_members(found: JsonObject, branches: Any, *, all_hold: bool) -> None:
    """Add the members that objects of the branches may have. They are required if they are in all branches."""
    objects = [each for each in branches if isinstance(each, dict)] if isinstance(branches, list) else []
    members = dict(found.get("properties") or {})
    for each in objects:
        own = each.get("properties")
        members = (own if isinstance(own, dict) else {}) | members
    required = [set(map(str, each.get("required") or ())) for each in objects]
    added = set[str]().union(*required) if all_hold else set.intersection(*required) if required else set()
    found["properties"] = members
    always = [*dict.fromkeys([*(found.get("required") or ()), *sorted(added)])]
    if always:
        found["required"] = always
