"""Choosing a tool to call, and its arguments."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from proxy.demo.answer import encode
from proxy.demo.schema import fitting


class Tool(Struct, frozen=True):
    """A tool of the request; ``parameters`` is its JSON schema."""

    name: str
    parameters: dict[str, Any] = {}


def chosen(tools: list[Tool], choice: Any, prompt: str) -> Tool | None:
    """The tool to call, if any.

    ``choice`` is ``tool_choice``: "none", "auto", "required" or an object with a name. With "auto", a tool is called if
    the prompt mentions the weather, a tool, or the tool's name.
    """
    if not tools or choice == "none":
        return None
    named = _named(choice)
    if named:
        return next((tool for tool in tools if tool.name == named), None)
    spoken = set(re.findall(r"[a-z]+", prompt.lower()))
    for tool in tools:
        if spoken & {word for word in re.findall(r"[a-z]+", tool.name.lower()) if len(word) > 3}:
            return tool
    wanted = choice == "required" or spoken & {"weather", "tool", "tools"}
    return tools[0] if wanted else None


def arguments(tool: Tool, prompt: str) -> str:
    """JSON arguments for the required properties of the schema, or for all if none is required."""
    schema = {"type": "object"} | tool.parameters
    return encode(fitting(schema, prompt)).decode()


def _named(choice: Any) -> str:
    # chat: {"type": "function", "function": {"name": ...}}; responses: {"type": "function", "name": ...}
    if not isinstance(choice, dict):
        return ""
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
