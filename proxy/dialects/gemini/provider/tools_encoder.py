"""Tools and the choice among them, as the Gemini API has them.

Source: https://ai.google.dev/gemini-api/docs/function-calling, and google-genai 3.6 (``FunctionDeclaration``)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.openapi_schema import openapi_schema
from proxy.dialects.translation.conversation import Conversation, ToolChoice, ToolDefinition
from proxy.dialects.translation.custom_tools import as_function
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable


def encode_tools(conversation: Conversation, encoding: GeminiEncoding) -> JsonObject:
    """``tools`` and ``toolConfig``. Raises Untranslatable for a choice that cannot be met."""
    choice = conversation.tool_choice
    if choice.parallel is False:
        encoding.losses.drop(encoding.client.parallel)
    tools = [(each, _declaration(each, encoding)) for each in conversation.tools]
    allowed = choice.allowed
    if allowed is not None and choice.mode != "any":  # only a choice that demands a tool may have a list
        tools = [(each, declared) for each, declared in tools if _is_allowed(each, allowed)]
    if not tools:
        if choice.mode in ("any", "one"):
            raise Untranslatable("tool_choice", "None of the tools that it demands can be sent.")
        return {}
    found: JsonObject = {"tools": [{"functionDeclarations": [declared for _, declared in tools]}]}
    config = _choice(choice, [each for each, _ in tools], encoding)
    if config:
        found["toolConfig"] = {"functionCallingConfig": config}
    return found


def _declaration(tool: ToolDefinition, encoding: GeminiEncoding) -> JsonObject:
    found: JsonObject = {"name": encoding.names.add(tool)}
    if tool.cache is not None:
        encoding.losses.drop(encoding.client.cache_tool)
    if tool.kind == "custom":
        if tool.grammar is not None:
            encoding.losses.drop(encoding.client.grammar)
        tool = as_function(tool)
    if tool.description:
        found["description"] = tool.description
    return found | _parameters(tool.parameters, encoding)


def _parameters(schema: Any, encoding: GeminiEncoding) -> JsonObject:
    """The schema of a function's arguments. A function without any has none."""
    if not isinstance(schema, dict) or schema in ({}, {"type": "object"}, {"type": "object", "properties": {}}):
        return {}
    schema = schema if "type" in schema else {"type": "object", **schema}
    if encoding.facts.json_schemas:
        return {"parametersJsonSchema": schema}
    converted = openapi_schema(schema)
    if not converted.exact:
        encoding.losses.drop(encoding.client.parameters)
    return {"parameters": converted.schema}


def _choice(choice: ToolChoice, tools: Sequence[ToolDefinition], encoding: GeminiEncoding) -> JsonObject:
    """``functionCallingConfig``, empty for none."""
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode in ("any", "one") and not encoding.facts.forced_tools:
        raise Untranslatable("tool_choice", "The model cannot be made to call a tool.")
    if choice.mode == "any" and choice.allowed is None:
        return {"mode": "ANY"}
    if choice.mode in ("any", "one"):
        names = [encoding.names.name(each.name, each.namespace) for each in tools if _is_chosen(each, choice)]
        if not names:
            raise Untranslatable("tool_choice", "None of the tools that it demands is among the tools.")
        return {"mode": "ANY", "allowedFunctionNames": names}
    if any(each.strict for each in tools):
        if encoding.facts.json_schemas:
            return {"mode": "VALIDATED"}  # calls must match the schemas
        encoding.losses.drop(encoding.client.strict)
    return {"mode": "AUTO"} if choice.mode == "auto" else {}


def _is_chosen(tool: ToolDefinition, choice: ToolChoice) -> bool:
    if choice.mode == "one":
        return (tool.name, tool.namespace) == (choice.name, choice.namespace)
    return _is_allowed(tool, choice.allowed or ())


def _is_allowed(tool: ToolDefinition, allowed: Sequence[str]) -> bool:
    return tool.name in allowed or f"{tool.namespace}__{tool.name}" in allowed
