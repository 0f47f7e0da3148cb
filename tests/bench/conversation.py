"""What a request says, before a dialect spells it: a message, or a coding agent's tools and turns in front of one."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct, structs

INSTRUCTION = "You are a helpful assistant that counts."
_RULE = 'Read a file before you change it, and say "done" only when the tests pass.\n'
_LINE = '    if value is None:  # "%d": nothing was found\n        return [\'%d\', "a\\tb"]\n'
_MANY = 40_000  # bytes of a request from which on an agent has MANY_TOOLS, and longer results
FEW_TOOLS, MANY_TOOLS = 2, 20


class Tool(Struct, frozen=True):
    name: str
    description: str
    schema: dict[str, Any]


class Turn(Struct, frozen=True):
    """A text with one call, and its result. ``number`` tells its ids from the others'."""

    number: int
    text: str
    tool: str
    arguments: dict[str, Any]
    result: str


class Conversation(Struct, frozen=True):
    """``content``: the first message of the user. ``turns`` follow it; the last one ends with a result."""

    content: str
    system: str = INSTRUCTION
    tools: tuple[Tool, ...] = ()
    turns: tuple[Turn, ...] = ()


def conversation(content: str, size: int = 0, tools: int = 0) -> Conversation:
    """A conversation whose request is about so many bytes; 0: the message and these tools."""
    if not size:
        return Conversation(content, tools=tuple(map(_tool, range(tools))))
    many = size >= _MANY
    system = INSTRUCTION + "\n" + _RULE * (200 if many else 4)
    chosen = tuple(_tool(number, 30 if many else 1) for number in range(MANY_TOOLS if many else FEW_TOOLS))
    turns: list[Turn] = []
    missing = size - _size(system) - sum(_size(tool.schema) + len(tool.description) + 120 for tool in chosen) - 300
    while missing > 500:
        turn = _turn(len(turns), chosen, 40 if many else 5)
        missing -= _size(turn.text) + _size(turn.arguments) + 250  # what is around them, in each dialect
        turns.append(structs.replace(turn, result=turn.result[:missing]))
        missing -= _size(turn.result)
    return Conversation(content, system, chosen, tuple(turns))


def _size(value: object) -> int:
    return len(json.dumps(value))


def _tool(number: int, rules: int = 1) -> Tool:
    properties = {
        "path": {"type": "string", "description": "The absolute path of the file."},
        "lines": {"type": "array", "items": {"type": "integer"}, "description": "The first line and the last one."},
        "mode": {"type": "string", "enum": ["read", "write"]},
    }
    schema = {"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False}
    return Tool(f"tool_{number:02d}", "Reads or writes a file. " + _RULE * rules, schema)


def _turn(number: int, tools: tuple[Tool, ...], lines: int) -> Turn:
    return Turn(
        number,
        f"I look at the part {number} of the file, as the test that fails names it.",
        tools[number % len(tools)].name,
        {"path": f"/home/user/project/source/part_{number:03d}.py", "lines": [number, number + lines], "mode": "read"},
        "".join(_LINE % (number, line) for line in range(lines)),
    )
