"""Custom tools, namespaces, hosted tools, and names and ids that a provider does not take."""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.openai.responses.client.built_in_tools import DEFINITIONS
from proxy.dialects.translation.tool_ids import safe_id
from proxy.dialects.translation.tool_names import ToolNames
from tests.support.answers import compact
from tests.translation import chat_provider, gemini_provider, messages_provider, responses_provider
from tests.translation.cases.content import g_turn, user
from tests.translation.cases.tools import (
    CALL_ID,
    CALLED,
    FOREIGN,
    INPUT_SCHEMA,
    ROOM_TEXT,
    SCHEMA,
    SUNNY,
    c_called,
    c_result,
    called,
    g_called,
    g_result,
    gets_call,
    history,
    joined,
    m_called,
    m_result,
    r_called,
    r_gets,
    r_result,
    r_tool,
    results,
    sent_history,
    sent_tools,
    tools,
)
from tests.translation.cells import APIS, G_HI, HI, Api, Feature, Json


def as_functions(name: str, description: str, schema: Json) -> dict[Api, Json]:
    """A tool that a provider gets as a function."""
    return {
        "chat": {"type": "function", "function": {"name": name, "description": description, "parameters": schema}},
        "responses": {
            "type": "function",
            "name": name,
            "description": description,
            "parameters": schema,
            "strict": False,
        },
        "messages": {"name": name, "description": description, "input_schema": schema},
        "gemini": {
            "functionDeclarations": [{"name": name, "description": description, "parametersJsonSchema": schema}]
        },
    }


def in_list(tools: dict[Api, Json]) -> dict[Api, Json]:
    return {api: {"tools": [tool]} for api, tool in tools.items()}


def called_as_function(name: str, arguments: Json, output: str) -> dict[Api, Json]:
    """A call of such a function, and its result, as providers get them."""
    call = chat_provider.call(CALL_ID, name, compact(arguments).decode())
    return {
        "chat": {"messages": [HI, {"role": "assistant", "tool_calls": [call]}, c_result(output)]},
        "messages": {
            "messages": [
                HI,
                {"role": "assistant", "content": [messages_provider.call(CALL_ID, name, **arguments)]},
                user(m_result(output)),
            ]
        },
        "gemini": {
            "contents": [
                G_HI,
                g_turn("model", gemini_provider.call(name, arguments, CALL_ID) | FOREIGN),
                g_turn("user", g_result({"output": output}, name=name)),
            ]
        },
    }


LARK = "start: /a+/"
R_PATCH: Json = {"type": "custom", "name": "patch", "description": "Patch."}
C_PATCH: Json = {"type": "custom", "custom": {"name": "patch", "description": "Patch."}}
R_FORMAT: Json = {"format": {"type": "grammar", "syntax": "lark", "definition": LARK}}
C_FORMAT: Json = {"format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": LARK}}}
PATCH: dict[Api, Json] = {"chat": {"tools": [C_PATCH]}, "responses": {"tools": [R_PATCH]}}
PATCH_BY_GRAMMAR: dict[Api, Json] = {
    "chat": {"tools": [C_PATCH | {"custom": C_PATCH["custom"] | C_FORMAT}]},
    "responses": {"tools": [R_PATCH | R_FORMAT]},
}
IN_DESCRIPTION = f"Patch.\n\nThe argument `input` must match this lark grammar:\n{LARK}"
# Custom tools are those of OpenAI alone. The chat provider is another one.
SENT_PATCH = in_list(as_functions("patch", "Patch.", INPUT_SCHEMA)) | {"responses": PATCH["responses"]}
SENT_BY_GRAMMAR = in_list(as_functions("patch", IN_DESCRIPTION, INPUT_SCHEMA)) | {
    "responses": PATCH_BY_GRAMMAR["responses"]
}
INPUT_TEXT = '{"input":"aaa"}'
PATCHES: dict[Api, Json] = {
    "chat": chat_provider.answer("tool_calls", tool_calls=[chat_provider.call(CALL_ID, "patch", INPUT_TEXT)]),
    "responses": responses_provider.answer(responses_provider.custom_call(CALL_ID, "patch", "aaa")),
    "messages": messages_provider.answer(messages_provider.call(CALL_ID, "patch", input="aaa"), finish="tool_use"),
    "gemini": gemini_provider.answer(gemini_provider.call("patch", {"input": "aaa"}, CALL_ID)),
}
C_PATCHED: Json = {"id": CALL_ID, "type": "custom", "custom": {"name": "patch", "input": "aaa"}}
R_PATCHED: Json = {"type": "custom_tool_call", "call_id": CALL_ID, "name": "patch", "input": "aaa"}
GETS_PATCH: dict[Api, Json] = {
    "chat": {"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": [C_PATCHED]}}]},
    "responses": {"status": "completed", "output": [R_PATCHED]},
}
R_DONE: Json = {"type": "custom_tool_call_output", "call_id": CALL_ID, "output": "Done"}
PATCH_HISTORY: dict[Api, Json] = {
    "chat": {"messages": [HI, {"role": "assistant", "tool_calls": [C_PATCHED]}, c_result("Done")]},
    "responses": {"input": [HI, R_PATCHED, R_DONE]},
}
SENT_PATCH_HISTORY = called_as_function("patch", {"input": "aaa"}, "Done") | {"responses": PATCH_HISTORY["responses"]}
GRAMMAR_LOST: dict[str, Any] = {
    "lost": dict.fromkeys(("chat", "messages", "gemini"), "told"),
    "names": {"chat": "tools[].custom.format", "responses": "tools[].format"},
}

CUSTOM = [
    Feature("Custom tool", call=PATCH, sent=SENT_PATCH, answer=PATCHES, gets=GETS_PATCH),
    Feature(
        "Custom tool with a grammar",
        call=PATCH_BY_GRAMMAR, sent=SENT_BY_GRAMMAR, answer=PATCHES, gets=GETS_PATCH, **GRAMMAR_LOST,
    ),
    Feature(
        "Custom tool with a grammar", "round trip",
        call=joined(PATCH_BY_GRAMMAR, PATCH_HISTORY), sent=joined(SENT_BY_GRAMMAR, SENT_PATCH_HISTORY), **GRAMMAR_LOST,
    ),
]  # fmt: skip

NAMESPACE: Json = {"type": "namespace", "name": "city", "description": "Cities.", "tools": [r_tool()]}
FLAT = "city__weather"


NAMESPACES = [
    Feature(
        "Namespace of tools",
        call={"responses": {"tools": [NAMESPACE], "input": [HI, r_called(namespace="city"), r_result("Sunny")]}},
        sent=joined(
            sent_history(results(name=FLAT), name=FLAT),
            in_list(as_functions(FLAT, "The weather.\n\nThe tools city__*: Cities.", SCHEMA)),
        ),
        answer=called(FLAT),
        gets={"responses": r_gets((CALL_ID, "weather", ROOM_TEXT), namespace="city")},
    ),
]  # fmt: skip

LONG: Final = "mcp__weather_of_the_world__" * 6  # 162 characters
LIMITS: Final[dict[Api, int]] = {"chat": 64, "responses": 64, "messages": 128, "gemini": 64}
SHORT: Final = {api: ToolNames(limit).name(LONG) for api, limit in LIMITS.items()}
ONE_OF: dict[str, dict[Api, Json]] = {
    name: {
        "chat": {"tool_choice": {"type": "function", "function": {"name": name}}},
        "responses": {"tool_choice": {"type": "function", "name": name}},
        "messages": {"tool_choice": {"type": "tool", "name": name}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}},
    }
    for name in (LONG, *SHORT.values())
}


def sent_by_name(api: Api) -> Json:
    name = SHORT[api]
    return joined(sent_history(results(name=name), name=name), ONE_OF[name])[api]


ODD = "call|1/äöü." + "x" * 80
EVEN = safe_id(ODD)

NAMES = [
    Feature(
        "Tool name over the limit",
        call=joined(history(results(name=LONG), name=LONG), ONE_OF[LONG]),
        sent={api: sent_by_name(api) for api in APIS},
        answer={api: called(SHORT[api])[api] for api in APIS},
        gets=gets_call(LONG),
    ),
    Feature(
        "Call id of any shape",
        call=history(results(ODD), call_id=ODD), sent=sent_history(results(EVEN), call_id=EVEN),
    ),
]  # fmt: skip


def beside(own: dict[Api, Json]) -> dict[Api, Json]:
    """A tool that the provider itself runs, beside one that the client runs."""
    return {api: {"tools": [*tools()[api]["tools"], tool]} for api, tool in own.items()}


M_SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
M_CODE: Json = {"type": "code_execution_20250825", "name": "code_execution"}
M_FETCH: Json = {"type": "web_fetch_20250910", "name": "web_fetch"}
M_MCP: Json = {"type": "url", "name": "a", "url": "https://a.example/mcp"}
R_FILES: Json = {"type": "file_search", "vector_store_ids": ["vs_1"]}
R_CODE: Json = {"type": "code_interpreter", "container": {"type": "auto"}}

HOSTED = [
    Feature(
        "Hosted tool", "web search",
        call=beside({"responses": {"type": "web_search"}, "messages": M_SEARCH, "gemini": {"googleSearch": {}}}),
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"),
        names={"responses": "tools[web_search]", "messages": "tools[web_search]", "gemini": "tools[googleSearch]"},
    ),
    Feature(
        "Hosted tool", "web search alone",
        call={
            "chat": {"web_search_options": {}},
            "responses": {"tools": [{"type": "web_search"}]},
            "messages": {"tools": [M_SEARCH]},
            "gemini": {"tools": [{"googleSearch": {}}]},
        },
        lost=dict.fromkeys(APIS, "told"),
        names={
            "chat": "web_search_options", "responses": "tools[web_search]", "messages": "tools[web_search]",
            "gemini": "tools[googleSearch]",
        },
    ),
    Feature(
        "Hosted tool", "code",
        call=beside({"responses": R_CODE, "messages": M_CODE, "gemini": {"codeExecution": {}}}),
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"),
        names={
            "responses": "tools[code_interpreter]", "messages": "tools[code_execution]", "gemini": "tools[codeExecution]",
        },
    ),
    Feature(
        "Hosted tool", "pages by address",
        call=beside({"messages": M_FETCH, "gemini": {"urlContext": {}}}),
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"),
        names={"messages": "tools[web_fetch]", "gemini": "tools[urlContext]"},
    ),
    Feature(
        "Hosted tool", "search in files",
        call=beside({"responses": R_FILES, "gemini": {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}}}),
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"),
        names={"responses": "tools[file_search]", "gemini": "tools[fileSearch]"},
    ),
    Feature(
        "MCP server that the provider calls",
        call={"messages": {"mcp_servers": [M_MCP]} | beside({"messages": {"type": "mcp_toolset", "mcp_server_name": "a"}})["messages"]},
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"), names={"messages": ("mcp_servers", "tools[mcp_toolset]")},
    ),
    Feature(
        "MCP server that the provider calls",
        call=beside({"responses": {"type": "mcp", "server_label": "a", "server_url": "https://a.example/mcp"}}),
        lost=dict.fromkeys(APIS, "400"), names={"responses": "tools[1].type"},
    ),
    Feature(
        "MCP server that the provider calls",
        call=beside({"gemini": {"mcpServers": [{"name": "a", "streamableHttpTransport": {"url": "https://a.example/mcp"}}]}}),
        sent=sent_tools(), lost=dict.fromkeys(APIS, "told"), names={"gemini": "tools[mcpServers]"},
    ),
]  # fmt: skip

# Tools whose schemas only their API knows, and which the client runs.
SHELLS = DEFINITIONS["shell"]
ACTION: Json = {"commands": ["ls"]}
SHELL_CALL: Json = {"type": "shell_call", "call_id": CALL_ID, "action": ACTION}
SHELL_OUTPUT: list[Json] = [{"stdout": "a.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
SHELL_RESULT: Json = {"type": "shell_call_output", "call_id": CALL_ID, "output": SHELL_OUTPUT}
ACTION_TEXT = '{"commands":["ls"]}'

DEFINED = [
    Feature(
        "Tool that its API defines",
        call={"messages": {"tools": [{"type": "bash_20250124", "name": "bash"}]}},
        lost=dict.fromkeys(APIS, "400"), names={"messages": "tools[0].type"},
    ),
    Feature(
        "Tool that its API defines",
        call={"gemini": {"tools": [{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}]}},
        lost=dict.fromkeys(APIS, "400"), names={"gemini": "tools[0].computerUse"},
    ),
    Feature(
        "Tool that its API defines",
        call={"responses": {"tools": [{"type": "shell"}]}},
        sent=in_list(as_functions("shell", SHELLS.description, SHELLS.parameters)),
        answer={
            "chat": chat_provider.answer("tool_calls", tool_calls=[chat_provider.call(CALL_ID, "shell", ACTION_TEXT)]),
            "messages": messages_provider.answer(messages_provider.call(CALL_ID, "shell", **ACTION), finish="tool_use"),
            "gemini": gemini_provider.answer(gemini_provider.call("shell", ACTION, CALL_ID)),
        },
        gets={"responses": {"output": [{"type": "shell_call", "call_id": CALL_ID, "action": ACTION}]}},
    ),
    Feature(
        "Tool that its API defines", "round trip",
        call={"responses": {"tools": [{"type": "shell"}], "input": [HI, SHELL_CALL, SHELL_RESULT]}},
        sent=joined(
            in_list(as_functions("shell", SHELLS.description, SHELLS.parameters)),
            called_as_function("shell", ACTION, compact(SHELL_OUTPUT).decode()),
        ),
    ),
]  # fmt: skip

FUNCTION: Json = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
OLD_CALL: Json = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": ROOM_TEXT}}
OLD_ID = "function_call_1"  # as the old members have none
ONE_AT_A_TIME: dict[Api, Json] = {
    "responses": {"parallel_tool_calls": False},
    "messages": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
}

LEGACY = [
    Feature(
        "Old `functions`",
        call={"chat": {"functions": [FUNCTION], "messages": [HI, OLD_CALL, {"role": "function", "name": "weather", "content": "Sunny"}]}},
        sent=sent_history(results(OLD_ID), call_id=OLD_ID)
        | joined(sent_history(results(OLD_ID), call_id=OLD_ID), ONE_AT_A_TIME),
        answer=CALLED,
        gets={"chat": {"choices": [{"finish_reason": "function_call", "message": {"function_call": {"name": "weather", "arguments": ROOM_TEXT}}}]}},
        # Gemini cannot be held to one call, which is all that the old members have room for.
        lost={"gemini": "told"}, names={"chat": "parallel_tool_calls"},
    ),
]  # fmt: skip

UNCALLED = "[The result of an earlier tool call that is no longer part of this conversation:]"
MISSING = "[The result of this tool call is missing: the call was interrupted, or its result was removed.]"
AS_TEXTS = (UNCALLED, "Sunny", "Hi")
HI_TEXT: Json = {"type": "text", "text": "Hi"}

ORPHANS = [
    Feature(
        "Tool result without its call",
        call=joined(
            tools(),
            {
                "chat": {"messages": [c_result("Sunny"), HI]},
                "responses": {"input": [r_result("Sunny"), HI]},
                "messages": {"messages": [user(m_result("Sunny"), HI_TEXT)]},
                "gemini": {"contents": [g_turn("user", g_result(SUNNY), {"text": "Hi"})]},
            },
        ),
        sent=joined(
            sent_tools(),
            {
                "chat": {"messages": [user({"type": "text", "text": "\n\n".join(AS_TEXTS)})]},
                "responses": {"input": [user({"type": "input_text", "text": f"{UNCALLED}\n\nSunny"}), HI]},
                "messages": {"messages": [user(*({"type": "text", "text": each} for each in AS_TEXTS))]},
                "gemini": {"contents": [g_turn("user", *({"text": each} for each in AS_TEXTS))]},
            },
        ),
        lost=dict.fromkeys(APIS, "told"), names=dict.fromkeys(APIS, "orphan_tool_result"),
    ),
    Feature(
        "Tool call without its result",
        call=joined(
            tools(),
            {
                "chat": {"messages": [HI, c_called(), HI]},
                "responses": {"input": [HI, r_called(), HI]},
                "messages": {"messages": [HI, m_called(), HI]},
                "gemini": {"contents": [G_HI, g_called(), G_HI]},
            },
        ),
        sent=joined(
            sent_tools(),
            {
                "chat": {"messages": [HI, c_called(), c_result(f"Error: {MISSING}"), HI]},
                "responses": {"input": [HI, r_called(), r_result(f"Error: {MISSING}"), HI]},
                "messages": {"messages": [HI, m_called(), user(m_result(MISSING, is_error=True), HI_TEXT)]},
                "gemini": {"contents": [G_HI, g_called(**FOREIGN), g_turn("user", g_result({"error": MISSING}), {"text": "Hi"})]},
            },
        ),
        lost=dict.fromkeys(APIS, "told"), names=dict.fromkeys(APIS, "missing_tool_result"),
    ),
]  # fmt: skip

FEATURES = [*CUSTOM, *NAMESPACES, *NAMES, *HOSTED, *DEFINED, *LEGACY, *ORPHANS]
