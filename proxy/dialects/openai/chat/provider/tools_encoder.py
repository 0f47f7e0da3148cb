"""Tools and the choice among them, as chat has them.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.translation.conversation import Conversation, ToolChoice, ToolDefinition
from proxy.dialects.translation.custom_tools import as_function
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.strict_schemas import is_strict
from proxy.errors import Untranslatable

_NO_PARAMETERS: Final[JsonObject] = {"type": "object", "properties": {}}


def encode_tools(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    """``tools`` and the members about them. Raises Untranslatable for a choice that cannot be met."""
    choice = conversation.tool_choice
    tools = [(each, _tool(each, conversation.source, encoding)) for each in conversation.tools]
    if tools and encoding.facts.effort_with_tools == "no":
        raise Untranslatable("tools", "The model takes no tools in Chat Completions.")
    if choice.mode in ("any", "one") and not encoding.facts.forced_tools:
        raise Untranslatable("tool_choice", "The model cannot be made to call a tool.")
    if choice.allowed is not None and not encoding.facts.openai:
        tools = [(each, tool) for each, tool in tools if is_allowed(each, choice.allowed)]
    if not tools:
        if choice.mode in ("any", "one"):
            raise Untranslatable("tool_choice", "None of the tools that it demands can be sent.")
        return {}
    found: JsonObject = {"tools": [tool for _, tool in tools]}
    chosen = _choice(choice, conversation.tools, encoding)
    if chosen is not None:
        found["tool_choice"] = chosen
    if choice.parallel is not None:
        found["parallel_tool_calls"] = choice.parallel
    return found


def strictness(tool: ToolDefinition, source: str, encoding: ChatEncoding) -> bool | None:
    """Whether the schema is enforced; ``None``: not said. ``source``: the client's dialect.

    OpenAI refuses strict schemas that Anthropic enforces, with members that may be absent. What OpenAI's own clients
    send is for OpenAI to judge.
    """
    lax = tool.strict and encoding.facts.openai and not source.startswith("openai.") and not is_strict(tool.parameters)
    if lax:
        encoding.losses.drop(encoding.client.strict)
    return False if lax else tool.strict


def _tool(tool: ToolDefinition, source: str, encoding: ChatEncoding) -> JsonObject:
    name = encoding.names.add(tool)
    if tool.cache is not None:
        encoding.losses.drop(encoding.client.cache_tool)
    if tool.kind == "custom":
        if tool.grammar is not None:
            encoding.losses.drop(encoding.client.grammar)
        tool = as_function(tool)
    function: JsonObject = {"name": name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = parameters_of(tool.parameters)
    strict = strictness(tool, source, encoding)
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def parameters_of(schema: Any) -> Any:
    """The schema of a function's arguments, which must be an object.

    OpenAI and others refuse one without ``properties``, although MCP servers leave them out:
    https://github.com/openai/openai-agents-python/issues/449
    """
    if not isinstance(schema, dict) or not schema:
        return _NO_PARAMETERS
    return schema if "type" in schema and "properties" in schema else {**_NO_PARAMETERS, **schema}


def _choice(choice: ToolChoice, tools: Sequence[ToolDefinition], encoding: ChatEncoding) -> Any:
    """``None``: not said."""
    if choice.mode == "none":
        return "none"
    if choice.mode == "one":
        if not any(each.name == choice.name and each.namespace == choice.namespace for each in tools):
            raise Untranslatable("tool_choice", f"There is no tool {choice.name!r} to send.")
        return _by_name(encoding.names.name(choice.name, choice.namespace))
    mode = {"auto": "auto", "any": "required"}.get(choice.mode)
    if choice.allowed is None or not encoding.facts.openai:
        return mode
    allowed = [
        _by_name(encoding.names.name(each.name, each.namespace)) for each in tools if is_allowed(each, choice.allowed)
    ]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode or "auto", "tools": allowed}}


def _by_name(name: str) -> JsonObject:
    return {"type": "function", "function": {"name": name}}


def is_allowed(tool: ToolDefinition, allowed: Sequence[str]) -> bool:
    """Whether a choice of tools names this one, with or without its namespace."""
    return tool.name in allowed or f"{tool.namespace}__{tool.name}" in allowed
