"""Custom tools, namespaces, hosted tools, and names and ids that a provider does not take."""

from __future__ import annotations

from typing import Any

from proxy.dialects.openai.responses.built_in_tools import DEFINITIONS
from proxy.dialects.translation.tool_ids import safe_id
from proxy.dialects.translation.tool_names import ToolNames
from tests.translation import chat_provider, messages_provider
from tests.translation.cases.content import user
from tests.translation.cases.tools import (
    INPUT_SCHEMA,
    M_GETS,
    ROOM,
    ROOM_TEXT,
    SCHEMA,
    c_called,
    c_gets,
    c_result,
    c_tool,
    m_called,
    m_result,
    m_tool,
    r_called,
    r_gets,
    r_result,
    r_tool,
)
from tests.translation.cells import C_M, HI, M_C, R_C, R_M, Case, Json

LARK = "start: /a+/"
R_CUSTOM: Json = {
    "type": "custom",
    "name": "patch",
    "description": "Patch.",
    "format": {"type": "grammar", "syntax": "lark", "definition": LARK},
}
C_CUSTOM: Json = {
    "type": "custom",
    "custom": {
        "name": "patch",
        "description": "Patch.",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": LARK}},
    },
}
IN_DESCRIPTION = f"Patch.\n\nThe argument `input` must match this lark grammar:\n{LARK}"
C_AS_FUNCTION: Json = {
    "type": "function",
    "function": {"name": "patch", "description": IN_DESCRIPTION, "parameters": INPUT_SCHEMA},
}
M_AS_FUNCTION: Json = {"name": "patch", "description": IN_DESCRIPTION, "input_schema": INPUT_SCHEMA}
INPUT_TEXT = '{"input":"aaa"}'
C_PATCHES = chat_provider.answer("tool_calls", tool_calls=[chat_provider.call("call_1", "patch", INPUT_TEXT)])
M_PATCHES = messages_provider.answer(messages_provider.call("toolu_1", "patch", input="aaa"), finish="tool_use")

CUSTOM = [
    Case(
        "Custom tool with a grammar", R_C,
        call={"tools": [R_CUSTOM]}, sent={"tools": [C_AS_FUNCTION]}, answer=C_PATCHES,
        gets={"output": [{"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "aaa"}]},
        dropped=("tools[].format",),
    ),
    Case(
        "Custom tool with a grammar", C_M,
        call={"tools": [C_CUSTOM]}, sent={"tools": [M_AS_FUNCTION]}, answer=M_PATCHES,
        gets={"choices": [{"message": {"tool_calls": [{"id": "toolu_1", "type": "custom", "custom": {"name": "patch", "input": "aaa"}}]}}]},
        dropped=("tools[].custom.format",),
    ),
    Case(
        "Custom tool with a grammar", R_M,
        call={"tools": [R_CUSTOM]}, sent={"tools": [M_AS_FUNCTION]}, answer=M_PATCHES,
        gets={"output": [{"type": "custom_tool_call", "call_id": "toolu_1", "name": "patch", "input": "aaa"}]},
        dropped=("tools[].format",),
    ),
    Case(
        "Custom tool with a grammar", R_C, "round trip",
        call={
            "tools": [R_CUSTOM],
            "input": [
                HI,
                {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "aaa"},
                {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done"},
            ],
        },
        sent={
            "tools": [C_AS_FUNCTION],
            "messages": [
                HI,
                {"role": "assistant", "tool_calls": [chat_provider.call("call_1", "patch", INPUT_TEXT)]},
                c_result("Done"),
            ],
        },
        dropped=("tools[].format",),
    ),
    Case(
        "Custom tool with a grammar", R_M, "round trip",
        call={
            "tools": [R_CUSTOM],
            "input": [
                HI,
                {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "aaa"},
                {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done"},
            ],
        },
        sent={
            "tools": [M_AS_FUNCTION],
            "messages": [
                HI,
                {"role": "assistant", "content": [messages_provider.call("call_1", "patch", input="aaa")]},
                user(m_result("Done")),
            ],
        },
        dropped=("tools[].format",),
    ),
]  # fmt: skip

NAMESPACE: Json = {"type": "namespace", "name": "city", "description": "Cities.", "tools": [r_tool()]}
FLAT = "city__weather"
OF_CITY = {"description": "The weather.\n\nThe tools city__*: Cities."}
R_IN_NAMESPACE = r_gets(("call_1", "weather", ROOM_TEXT), namespace="city")

NAMESPACES = [
    Case(
        "Namespace of tools", R_C,
        call={"tools": [NAMESPACE], "input": [HI, r_called(namespace="city"), r_result("Sunny")]},
        sent={"tools": [c_tool(FLAT, **OF_CITY)], "messages": [HI, c_called(name=FLAT), c_result("Sunny")]},
        answer=chat_provider.answer("tool_calls", tool_calls=[chat_provider.call("call_1", FLAT, ROOM_TEXT)]),
        gets=R_IN_NAMESPACE,
    ),
    Case(
        "Namespace of tools", R_M,
        call={"tools": [NAMESPACE], "input": [HI, r_called(namespace="city"), r_result("Sunny")]},
        sent={"tools": [m_tool(FLAT, **OF_CITY)], "messages": [HI, m_called(name=FLAT), user(m_result("Sunny"))]},
        answer=messages_provider.answer(messages_provider.call("call_1", FLAT, **ROOM), finish="tool_use"),
        gets=R_IN_NAMESPACE,
    ),
]  # fmt: skip


def long_name(limit: int) -> tuple[str, str]:
    """A name of a tool that is too long, and the shorter one for it."""
    name = ("mcp__weather_of_the_world__" * 8)[: limit + 20]
    return name, ToolNames(limit).name(name)


L64, S64 = long_name(64)
L128, S128 = long_name(128)
C_LONG = chat_provider.answer("tool_calls", tool_calls=[chat_provider.call("call_1", S64, ROOM_TEXT)])
M_LONG = messages_provider.answer(messages_provider.call("toolu_1", S128, **ROOM), finish="tool_use")

NAMES = [
    Case(
        "Tool name over the limit", M_C,
        call={"tools": [m_tool(L64)], "messages": [HI, m_called(name=L64), user(m_result("Sunny"))], "tool_choice": {"type": "tool", "name": L64}},
        sent={"tools": [c_tool(S64)], "messages": [HI, c_called(name=S64), c_result("Sunny")], "tool_choice": {"type": "function", "function": {"name": S64}}},
        answer=C_LONG,
        gets={"content": [M_GETS["content"][0] | {"name": L64}]},
    ),
    Case("Tool name over the limit", R_C, call={"tools": [r_tool(L64)]}, sent={"tools": [c_tool(S64)]}, answer=C_LONG, gets=r_gets(("call_1", L64, ROOM_TEXT))),
    Case("Tool name over the limit", C_M, call={"tools": [c_tool(L128)]}, sent={"tools": [m_tool(S128)]}, answer=M_LONG, gets=c_gets(("toolu_1", L128, ROOM_TEXT))),
    Case("Tool name over the limit", R_M, call={"tools": [r_tool(L128)]}, sent={"tools": [m_tool(S128)]}, answer=M_LONG, gets=r_gets(("toolu_1", L128, ROOM_TEXT))),
]  # fmt: skip

ODD = "call|1/äöü." + "x" * 80
EVEN = safe_id(ODD)
IDS = [
    Case(
        "Call id of any shape", M_C,
        call={"tools": [m_tool()], "messages": [HI, m_called(ODD), user(m_result("Sunny", ODD))]},
        sent={"tools": [c_tool()], "messages": [HI, c_called(EVEN), c_result("Sunny", EVEN)]},
    ),
    Case(
        "Call id of any shape", R_C,
        call={"tools": [r_tool()], "input": [HI, r_called(ODD), r_result("Sunny", ODD)]},
        sent={"tools": [c_tool()], "messages": [HI, c_called(EVEN), c_result("Sunny", EVEN)]},
    ),
    Case(
        "Call id of any shape", C_M,
        call={"tools": [c_tool()], "messages": [HI, c_called(ODD), c_result("Sunny", ODD)]},
        sent={"tools": [m_tool()], "messages": [HI, m_called(EVEN), user(m_result("Sunny", EVEN))]},
    ),
    Case(
        "Call id of any shape", R_M,
        call={"tools": [r_tool()], "input": [HI, r_called(ODD), r_result("Sunny", ODD)]},
        sent={"tools": [m_tool()], "messages": [HI, m_called(EVEN), user(m_result("Sunny", EVEN))]},
    ),
]  # fmt: skip


def hosted(pair: Any, kind: str, **more: Any) -> Case:
    """A tool that the provider itself would run, beside one that the client runs."""
    own, sent = (m_tool(), c_tool()) if pair == M_C else (r_tool(), c_tool() if pair == R_C else m_tool())
    name = "tools[web_search]"
    return Case(
        "Hosted tool",
        pair,
        kind,
        call={"tools": [own, {"type": kind, **more}]},
        sent={"tools": [sent]},
        dropped=(name,),
    )


HOSTED = [
    hosted(M_C, "web_search_20250305", name="web_search"),
    Case("Hosted tool", M_C, "alone", call={"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, dropped=("tools[web_search]",)),
    hosted(R_C, "web_search"),
    Case("Hosted tool", C_M, call={"web_search_options": {}}, dropped=("web_search_options",)),
    hosted(R_M, "web_search"),
    Case("Hosted tool", R_M, "alone", call={"tools": [{"type": "web_search"}]}, dropped=("tools[web_search]",)),
]  # fmt: skip

# Tools whose schemas only their API knows, and which the client runs.
SHELL: Json = {"type": "shell"}
SHELLS = DEFINITIONS["shell"]

DEFINED = [
    Case("Tool that its API defines", M_C, call={"tools": [{"type": "bash_20250124", "name": "bash"}]}, refused="tools[0].type"),
    Case(
        "Tool that its API defines", R_C, call={"tools": [SHELL]},
        sent={"tools": [{"type": "function", "function": {"name": "shell", "description": SHELLS.description, "parameters": SHELLS.parameters}}]},
        answer=chat_provider.answer("tool_calls", tool_calls=[chat_provider.call("call_1", "shell", '{"commands":["ls"]}')]),
        gets={"output": [{"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}}]},
    ),
    Case(
        "Tool that its API defines", R_M, call={"tools": [SHELL]},
        sent={"tools": [{"name": "shell", "description": SHELLS.description, "input_schema": SHELLS.parameters}]},
        answer=messages_provider.answer(messages_provider.call("toolu_1", "shell", commands=["ls"]), finish="tool_use"),
        gets={"output": [{"type": "shell_call", "call_id": "toolu_1", "action": {"commands": ["ls"]}}]},
    ),
]  # fmt: skip

FUNCTION: Json = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
OLD_CALL: Json = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": ROOM_TEXT}}

LEGACY = [
    Case(
        "Old `functions`", C_M,
        call={"functions": [FUNCTION], "messages": [HI, OLD_CALL, {"role": "function", "name": "weather", "content": "Sunny"}]},
        sent={
            "tools": [m_tool()],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "messages": [HI, m_called("function_call_1"), user(m_result("Sunny", "function_call_1"))],
        },
        answer=messages_provider.answer(messages_provider.call("toolu_1", "weather", **ROOM), finish="tool_use"),
        gets={"choices": [{"finish_reason": "function_call", "message": {"function_call": {"name": "weather", "arguments": ROOM_TEXT}}}]},
    ),
]  # fmt: skip

UNCALLED = "[The result of an earlier tool call that is no longer part of this conversation:]"
MISSING = "[The result of this tool call is missing: the call was interrupted, or its result was removed.]"
C_UNCALLED: Json = {"tools": [c_tool()], "messages": [user({"type": "text", "text": f"{UNCALLED}\n\nSunny\n\nHi"})]}
M_UNCALLED: Json = {
    "tools": [m_tool()],
    "messages": [user(*({"type": "text", "text": each} for each in (UNCALLED, "Sunny", "Hi")))],
}
C_MISSING: Json = {"tools": [c_tool()], "messages": [HI, c_called(), c_result(f"Error: {MISSING}"), HI]}
M_MISSING: Json = {
    "tools": [m_tool()],
    "messages": [HI, m_called(), user(m_result(MISSING, is_error=True), {"type": "text", "text": "Hi"})],
}

ORPHANS = [
    Case(
        "Tool result without its call", M_C,
        call={"tools": [m_tool()], "messages": [user(m_result("Sunny"), {"type": "text", "text": "Hi"})]},
        sent=C_UNCALLED,
        dropped=("orphan_tool_result",),
    ),
    Case("Tool result without its call", R_C, call={"tools": [r_tool()], "input": [r_result("Sunny"), HI]}, sent=C_UNCALLED, dropped=("orphan_tool_result",)),
    Case("Tool result without its call", C_M, call={"tools": [c_tool()], "messages": [c_result("Sunny"), HI]}, sent=M_UNCALLED, dropped=("orphan_tool_result",)),
    Case("Tool result without its call", R_M, call={"tools": [r_tool()], "input": [r_result("Sunny"), HI]}, sent=M_UNCALLED, dropped=("orphan_tool_result",)),
    Case("Tool call without its result", M_C, call={"tools": [m_tool()], "messages": [HI, m_called(), HI]}, sent=C_MISSING, dropped=("missing_tool_result",)),
    Case("Tool call without its result", R_C, call={"tools": [r_tool()], "input": [HI, r_called(), HI]}, sent=C_MISSING, dropped=("missing_tool_result",)),
    Case("Tool call without its result", C_M, call={"tools": [c_tool()], "messages": [HI, c_called(), HI]}, sent=M_MISSING, dropped=("missing_tool_result",)),
    Case("Tool call without its result", R_M, call={"tools": [r_tool()], "input": [HI, r_called(), HI]}, sent=M_MISSING, dropped=("missing_tool_result",)),
]  # fmt: skip

CASES = [*CUSTOM, *NAMESPACES, *NAMES, *IDS, *HOSTED, *DEFINED, *LEGACY, *ORPHANS]
