"""Tools and the choice among them, as the Responses API has them.

https://platform.openai.com/docs/api-reference/responses/create (tools, tool_choice)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.tools_encoder import is_allowed, parameters_of, strictness
from proxy.dialects.translation.conversation import Conversation, ToolChoice, ToolDefinition
from proxy.dialects.translation.custom_tools import as_function
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable


def encode_tools(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    """``tools`` and the members about them. Raises Untranslatable for a choice that cannot be met."""
    choice, tools = conversation.tool_choice, conversation.tools
    encoded = [_tool(each, conversation.source, encoding) for each in tools]
    if choice.mode in ("any", "one") and not encoding.facts.forced_tools:
        raise Untranslatable("tool_choice", "The model cannot be made to call a tool.")
    if choice.allowed is not None and not encoding.facts.openai:
        encoded = [each for each, tool in zip(encoded, tools, strict=True) if is_allowed(tool, choice.allowed)]
    if not encoded:
        if choice.mode in ("any", "one"):
            raise Untranslatable("tool_choice", "None of the tools that it demands can be sent.")
        return {}
    found: JsonObject = {"tools": encoded}
    chosen = _choice(choice, tools, encoding)
    if chosen is not None:
        found["tool_choice"] = chosen
    if choice.parallel is not None:
        found["parallel_tool_calls"] = choice.parallel
    return found


def _tool(tool: ToolDefinition, source: str, encoding: ChatEncoding) -> JsonObject:
    found: JsonObject = {"type": "function", "name": encoding.names.add(tool)}
    if tool.cache is not None:
        encoding.losses.drop(encoding.client.cache_tool)
    is_custom = tool.kind == "custom"
    if is_custom and not encoding.facts.openai:
        if tool.grammar is not None:
            encoding.losses.drop(encoding.client.grammar)
        tool, is_custom = as_function(tool), False
    if tool.description:
        found["description"] = tool.description
    if is_custom:
        found["type"] = "custom"
        if isinstance(tool.grammar, dict):
            found["format"] = {"type": "grammar", **tool.grammar}
        return found
    # Unlike chat, the API changes schemas and enforces them where ``strict`` is not said:
    # https://developers.openai.com/api/docs/guides/migrate-to-responses
    strict = strictness(tool, source, encoding) or False
    return found | {"parameters": parameters_of(tool.parameters), "strict": strict}


def _choice(choice: ToolChoice, tools: Sequence[ToolDefinition], encoding: ChatEncoding) -> Any:
    """``None``: not said."""
    if choice.mode == "none":
        return "none"
    if choice.mode == "one":
        for each in tools:
            if each.name == choice.name and each.namespace == choice.namespace:
                return _by_name(each, encoding)
        raise Untranslatable("tool_choice", f"There is no tool {choice.name!r} to send.")
    mode = {"auto": "auto", "any": "required"}.get(choice.mode)
    if choice.allowed is None or not encoding.facts.openai:
        return mode
    allowed = [_by_name(each, encoding) for each in tools if is_allowed(each, choice.allowed)]
    return {"type": "allowed_tools", "mode": mode or "auto", "tools": allowed}


def _by_name(tool: ToolDefinition, encoding: ChatEncoding) -> JsonObject:
    kind = "custom" if tool.kind == "custom" and encoding.facts.openai else "function"
    return {"type": kind, "name": encoding.names.name(tool.name, tool.namespace)}
