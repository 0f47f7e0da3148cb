"""Tools: their definitions, calls and results."""

from __future__ import annotations

from typing import Any

from tests.translation import chat_provider, messages_provider
from tests.translation.cases.content import C_IMAGE, LOOK, M_IMAGE, R_IMAGE, assistant, user
from tests.translation.cells import C_M, HI, M_C, R_C, R_M, Case, Json

SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
NO_ARGUMENTS: Json = {"type": "object", "properties": {}}
ROOM = {"city": "Rome"}
ROOM_TEXT = '{"city":"Rome"}'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
INPUT_SCHEMA: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
LONG = "mcp__" + "a_long_name_of_a_server__" * 3 + "weather"  # 87 characters
ODD_ID = "call|äöü/" + "x" * 80


def m_tool(name: str = "weather", **more: Any) -> Json:
    return {"name": name, "description": "The weather.", "input_schema": SCHEMA} | more


def c_tool(name: str = "weather", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name, "description": "The weather.", "parameters": SCHEMA} | more}


def r_tool(name: str = "weather", **more: Any) -> Json:
    return {"type": "function", "name": name, "description": "The weather.", "parameters": SCHEMA} | more


# A call by the provider, and what the client gets of it.
C_CALLS = chat_provider.answer("tool_calls", tool_calls=[chat_provider.call("call_1", "weather", ROOM_TEXT)])
M_CALLS = messages_provider.answer(messages_provider.call("toolu_1", "weather", **ROOM), finish="tool_use")
M_GETS: Json = {
    "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": ROOM}],
    "stop_reason": "tool_use",
}


def c_gets(*calls: tuple[str, str, str]) -> Json:
    """A completion with these calls: id, name and arguments."""
    found = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
        for call_id, name, text in calls
    ]
    return {"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": found}}]}


def r_gets(*calls: tuple[str, str, str], **more: Any) -> Json:
    """A response with these calls."""
    found = [
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": text} | more
        for call_id, name, text in calls
    ]
    return {"status": "completed", "output": found}


def spaced(text: str) -> str:
    """Arguments as ``json.dumps`` of the messages provider writes them in a stream."""
    return text.replace(":", ": ")


ONE = [
    Case("One tool", M_C, call={"tools": [m_tool()]}, sent={"tools": [c_tool()]}, answer=C_CALLS, gets=M_GETS),
    Case("One tool", R_C, call={"tools": [r_tool()]}, sent={"tools": [c_tool()]}, answer=C_CALLS, gets=r_gets(("call_1", "weather", ROOM_TEXT))),
    Case("One tool", C_M, call={"tools": [c_tool()]}, sent={"tools": [m_tool()]}, answer=M_CALLS, gets=c_gets(("toolu_1", "weather", ROOM_TEXT))),
    Case("One tool", R_M, call={"tools": [r_tool()]}, sent={"tools": [m_tool()]}, answer=M_CALLS, gets=r_gets(("toolu_1", "weather", ROOM_TEXT))),
]  # fmt: skip

TWO_OF_CHAT = chat_provider.answer(
    "tool_calls",
    content="Both.",
    tool_calls=[chat_provider.call("call_1", "weather", ROOM_TEXT), chat_provider.call("call_2", "time", "{}")],
)
TWO_OF_MESSAGES = messages_provider.answer(
    messages_provider.text("Both."),
    messages_provider.call("toolu_1", "weather", **ROOM),
    messages_provider.call("toolu_2", "time"),
    finish="tool_use",
)
M_TWO = [m_tool(), {"name": "time", "input_schema": NO_ARGUMENTS}]
C_TWO = [c_tool(), {"type": "function", "function": {"name": "time", "parameters": NO_ARGUMENTS}}]
R_TWO = [r_tool(), {"type": "function", "name": "time", "parameters": NO_ARGUMENTS}]
R_BOTH: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Both."}]}

PARALLEL = [
    Case(
        "Parallel tool calls", M_C, call={"tools": M_TWO}, sent={"tools": C_TWO}, answer=TWO_OF_CHAT,
        gets={
            "content": [
                {"type": "text", "text": "Both."},
                *M_GETS["content"],
                {"type": "tool_use", "id": "call_2", "name": "time", "input": {}},
            ],
            "stop_reason": "tool_use",
        },
    ),
    Case(
        "Parallel tool calls", R_C, call={"tools": R_TWO}, sent={"tools": C_TWO}, answer=TWO_OF_CHAT,
        gets={"output": [R_BOTH, *r_gets(("call_1", "weather", ROOM_TEXT), ("call_2", "time", "{}"))["output"]]},
    ),
    Case(
        "Parallel tool calls", C_M, call={"tools": C_TWO}, sent={"tools": M_TWO}, answer=TWO_OF_MESSAGES,
        gets=c_gets(("toolu_1", "weather", ROOM_TEXT), ("toolu_2", "time", "{}")),
    ),
    Case(
        "Parallel tool calls", R_M, call={"tools": R_TWO}, sent={"tools": M_TWO}, answer=TWO_OF_MESSAGES,
        gets={"output": [R_BOTH, *r_gets(("toolu_1", "weather", ROOM_TEXT), ("toolu_2", "time", "{}"))["output"]]},
    ),
]  # fmt: skip


def m_called(call_id: str = "call_1", name: str = "weather") -> Json:
    return assistant({"type": "tool_use", "id": call_id, "name": name, "input": ROOM})


def m_result(content: Any, call_id: str = "call_1", **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content} | more


def c_called(call_id: str = "call_1", name: str = "weather") -> Json:
    return {"role": "assistant", "tool_calls": [chat_provider.call(call_id, name, ROOM_TEXT)]}


def c_result(content: Any, call_id: str = "call_1") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def r_called(call_id: str = "call_1", name: str = "weather", **more: Any) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": ROOM_TEXT} | more


def r_result(output: Any, call_id: str = "call_1") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


OUTPUT: Json = {"type": "text", "text": "Output of the tool call call_1:"}  # images cannot be in a tool's message
M_HISTORY: Json = {"tools": [m_tool()], "messages": [HI, m_called(), user(m_result("Sunny"))]}
C_HISTORY: Json = {"tools": [c_tool()], "messages": [HI, c_called(), c_result("Sunny")]}
R_HISTORY: Json = {"tools": [r_tool()], "input": [HI, r_called(), r_result("Sunny")]}

ROUND_TRIPS = [
    Case("Tool round trip", M_C, call=M_HISTORY, sent=C_HISTORY),
    Case("Tool round trip", R_C, call=R_HISTORY, sent=C_HISTORY),
    Case("Tool round trip", C_M, call=C_HISTORY, sent=M_HISTORY),
    Case("Tool round trip", R_M, call=R_HISTORY, sent=M_HISTORY),
    Case(
        "Tool round trip", M_C, "text after the result",
        call=M_HISTORY | {"messages": [HI, m_called(), user(m_result("Sunny"), LOOK)]},
        sent=C_HISTORY | {"messages": [HI, c_called(), c_result("Sunny"), user(LOOK)]},
    ),
    Case(
        "Tool round trip", C_M, "text after the result",
        call=C_HISTORY | {"messages": [HI, c_called(), c_result("Sunny"), user(LOOK)]},
        sent=M_HISTORY | {"messages": [HI, m_called(), user(m_result("Sunny"), LOOK)]},
    ),
    Case(
        "Tool round trip", R_M, "two calls",
        call={"tools": [r_tool()], "input": [HI, r_called("a"), r_called("b"), r_result("1", "a"), r_result("2", "b")]},
        sent={
            "tools": [m_tool()],
            "messages": [
                HI,
                assistant(*m_called("a")["content"], *m_called("b")["content"]),
                user(m_result("1", "a"), m_result("2", "b")),
            ],
        },
    ),
    Case(
        "Tool result with an image", M_C,
        call=M_HISTORY | {"messages": [HI, m_called(), user(m_result([LOOK, M_IMAGE]))]},
        sent=C_HISTORY | {"messages": [HI, c_called(), c_result([LOOK]), user(OUTPUT, C_IMAGE)]},
    ),
    Case(
        "Tool result with an image", R_C,
        call=R_HISTORY | {"input": [HI, r_called(), r_result([{"type": "input_text", "text": "Look"}, R_IMAGE])]},
        sent=C_HISTORY | {"messages": [HI, c_called(), c_result([LOOK]), user(OUTPUT, C_IMAGE | {"image_url": C_IMAGE["image_url"] | {"detail": "auto"}})]},
    ),
    Case(
        "Tool result with an image", R_M,
        call=R_HISTORY | {"input": [HI, r_called(), r_result([{"type": "input_text", "text": "Look"}, R_IMAGE])]},
        sent=M_HISTORY | {"messages": [HI, m_called(), user(m_result([LOOK, M_IMAGE]))]},
    ),
    Case(
        "Tool error", M_C,
        call=M_HISTORY | {"messages": [HI, m_called(), user(m_result("No such city", is_error=True))]},
        sent=C_HISTORY | {"messages": [HI, c_called(), c_result("Error: No such city")]},
    ),
]  # fmt: skip


def choices() -> list[Case]:
    row = "Tool choice: auto, none, any, one"
    in_chat: dict[str, Any] = {
        "auto": "auto", "none": "none", "any": "required", "one": {"type": "function", "function": {"name": "weather"}},
    }  # fmt: skip
    in_messages: dict[str, Json] = {
        "auto": {"type": "auto"}, "none": {"type": "none"}, "any": {"type": "any"}, "one": {"type": "tool", "name": "weather"},
    }  # fmt: skip
    made = []
    for choice, chat in in_chat.items():
        of_messages = {"tools": [m_tool()], "tool_choice": in_messages[choice]}
        of_chat = {"tools": [c_tool()], "tool_choice": chat}
        responses = {"type": "function", "name": "weather"} if choice == "one" else chat
        of_responses = {"tools": [r_tool()], "tool_choice": responses}
        made += [
            Case(row, M_C, choice, of_messages, of_chat),
            Case(row, R_C, choice, of_responses, of_chat),
            Case(row, C_M, choice, of_chat, of_messages),
            Case(row, R_M, choice, of_responses, of_messages),
        ]
    return made


C_SOME: Json = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
}
R_SOME: Json = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}
DISABLED = {"disable_parallel_tool_use": True}

CHOICES = [
    *choices(),
    Case("Tool choice: some", R_C, call={"tools": R_TWO, "tool_choice": R_SOME}, sent={"tools": [c_tool()], "tool_choice": "required"}),
    Case("Tool choice: some", R_C, "at OpenAI", call={"tools": R_TWO, "tool_choice": R_SOME}, sent={"tools": C_TWO, "tool_choice": C_SOME}, server="openai", model="gpt-4.1"),
    Case("Tool choice: some", C_M, call={"tools": C_TWO, "tool_choice": C_SOME}, sent={"tools": [m_tool()], "tool_choice": {"type": "any"}}),
    Case("Tool choice: some", R_M, call={"tools": R_TWO, "tool_choice": R_SOME}, sent={"tools": [m_tool()], "tool_choice": {"type": "any"}}),
    Case(
        "One call at a time", M_C,
        call={"tools": [m_tool()], "tool_choice": {"type": "auto"} | DISABLED},
        sent={"tools": [c_tool()], "tool_choice": "auto", "parallel_tool_calls": False},
    ),
    Case("One call at a time", R_C, call={"tools": [r_tool()], "parallel_tool_calls": False}, sent={"tools": [c_tool()], "parallel_tool_calls": False}),
    Case("One call at a time", C_M, call={"tools": [c_tool()], "parallel_tool_calls": False}, sent={"tools": [m_tool()], "tool_choice": {"type": "auto"} | DISABLED}),
    Case("One call at a time", R_M, call={"tools": [r_tool()], "parallel_tool_calls": False}, sent={"tools": [m_tool()], "tool_choice": {"type": "auto"} | DISABLED}),
    Case("Strict tool", M_C, call={"tools": [m_tool(strict=True)]}, sent={"tools": [c_tool(strict=True)]}),
    Case("Strict tool", R_C, call={"tools": [r_tool(strict=True)]}, sent={"tools": [c_tool(strict=True)]}),
    Case("Strict tool", C_M, call={"tools": [c_tool(strict=True)]}, sent={"tools": [m_tool(strict=True)]}),
    Case("Strict tool", R_M, call={"tools": [r_tool(strict=True)]}, sent={"tools": [m_tool(strict=True)]}),
]  # fmt: skip

CASES = [*ONE, *PARALLEL, *ROUND_TRIPS, *CHOICES]
