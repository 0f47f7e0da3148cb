"""Custom tools as functions, for dialects that have no custom tools.

A custom tool takes a text. The function has it in its one argument, and the grammar of the text in its description.
``CallParts`` takes the text out of the arguments again.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from proxy.dialects.translation.calls import CUSTOM_INPUT
from proxy.dialects.translation.conversation import ToolDefinition
from proxy.wire import document

_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
    "additionalProperties": False,
}


def as_function(tool: ToolDefinition) -> ToolDefinition:
    """The function in place of a custom tool. Its grammar is only described: nothing enforces it."""
    grammar = tool.grammar if isinstance(tool.grammar, dict) else {}
    description = tool.description
    if grammar.get("definition"):
        kind = f"{grammar['syntax']} grammar" if grammar.get("syntax") else "grammar"
        rule = f"The argument `{CUSTOM_INPUT}` must match this {kind}:\n{grammar['definition']}"
        description = f"{description}\n\n{rule}" if description else rule
    return replace(tool, description=description, parameters=_PARAMETERS, kind="function", grammar=None)


def as_arguments(text: str) -> str:
    """The arguments of that function for a text, as JSON."""
    return document.encode({CUSTOM_INPUT: text}).decode()
