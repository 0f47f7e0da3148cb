"""Tools: their definitions, calls and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.translation import chat_provider, gemini_provider, gemini_rules, messages_provider, responses_provider
from tests.translation.cases.content import (
    AUTO,
    C_IMAGE,
    G_IMAGE,
    G_LOOK,
    LOOK,
    M_IMAGE,
    R_IMAGE,
    R_LOOK,
    assistant,
    g_turn,
    user,
)
from tests.translation.cells import G_HI, HI, Api, But, Feature, Json

SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
NO_ARGUMENTS: Json = {"type": "object", "properties": {}}
ROOM = {"city": "Rome"}
ROOM_TEXT = '{"city":"Rome"}'
INPUT_SCHEMA: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def m_tool(name: str = "weather", **more: Any) -> Json:
    return {"name": name, "description": "The weather.", "input_schema": SCHEMA} | more


def c_tool(name: str = "weather", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name, "description": "The weather.", "parameters": SCHEMA} | more}


def r_tool(name: str = "weather", **more: Any) -> Json:
    return {"type": "function", "name": name, "description": "The weather.", "parameters": SCHEMA} | more


def g_tool(name: str = "weather", **more: Any) -> Json:
    declared = {"name": name, "description": "The weather.", "parametersJsonSchema": SCHEMA} | more
    return {"functionDeclarations": [declared]}


def tools(**more: Any) -> dict[Api, Json]:
    """One tool, for each API. ``more``: members of its definition."""
    return {
        "chat": {"tools": [c_tool(**more)]},
        "responses": {"tools": [r_tool(**more)]},
        "messages": {"tools": [m_tool(**more)]},
        "gemini": {"tools": [g_tool(**more)]},
    }


def sent_tools(**more: Any) -> dict[Api, Json]:
    """The same tool as providers get it. The Responses API takes a tool for strict that does not say that it is not."""
    return tools(**more) | {"responses": {"tools": [r_tool(**{"strict": False} | more)]}}


def joined(*halves: Mapping[Api, Json]) -> dict[Api, Json]:
    """The members of all, for the APIs that the last one has."""
    return {api: {name: value for half in halves for name, value in half[api].items()} for api in halves[-1]}


CALL_ID = "call_1"


def called(name: str) -> dict[Api, Json]:
    """Answers of providers that call the tool by this name."""
    return {
        "chat": chat_provider.answer("tool_calls", tool_calls=[chat_provider.call(CALL_ID, name, ROOM_TEXT)]),
        "responses": responses_provider.answer(responses_provider.call(CALL_ID, name, ROOM_TEXT)),
        "messages": messages_provider.answer(messages_provider.call(CALL_ID, name, **ROOM), finish="tool_use"),
        "gemini": gemini_provider.answer(gemini_provider.call(name, ROOM, CALL_ID)),
    }


CALLED = called("weather")


def m_gets(*calls: tuple[str, str, Json]) -> Json:
    """A message with these calls: id, name and arguments."""
    blocks = [{"type": "tool_use", "id": call_id, "name": name, "input": found} for call_id, name, found in calls]
    return {"content": blocks, "stop_reason": "tool_use"}


def g_gets(*calls: tuple[str, str, Json]) -> Json:
    """A generation with these calls."""
    found = [{"functionCall": {"id": call_id, "name": name, "args": args}} for call_id, name, args in calls]
    return {"candidates": [{"content": {"parts": found}, "finishReason": "STOP"}]}


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


def gets_call(name: str = "weather") -> dict[Api, Json]:
    """What each client gets of ``CALLED``."""
    return {
        "chat": c_gets((CALL_ID, name, ROOM_TEXT)),
        "responses": r_gets((CALL_ID, name, ROOM_TEXT)),
        "messages": m_gets((CALL_ID, name, ROOM)),
        "gemini": g_gets((CALL_ID, name, ROOM)),
    }


R_BOTH: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Both."}]}
R_TWO_CALLS = r_gets(("call_1", "weather", ROOM_TEXT), ("call_2", "time", "{}"))["output"]

TIME: Json = {"name": "time", "parameters": NO_ARGUMENTS}
TWO_TOOLS: dict[Api, Json] = {
    "chat": {"tools": [c_tool(), {"type": "function", "function": TIME}]},
    "responses": {"tools": [r_tool(), {"type": "function", **TIME}]},
    "messages": {"tools": [m_tool(), {"name": "time", "input_schema": NO_ARGUMENTS}]},
    "gemini": {"tools": [{"functionDeclarations": [*g_tool()["functionDeclarations"], {"name": "time"}]}]},
}
SENT_TWO: dict[Api, Json] = TWO_TOOLS | {
    "responses": {"tools": [r_tool(strict=False), {"type": "function", **TIME, "strict": False}]},
}

ONE = [
    Feature("One tool", call=tools(), sent=sent_tools(), answer=CALLED, gets=gets_call()),
    Feature(
        "Parallel tool calls",
        call=TWO_TOOLS,
        sent=SENT_TWO,
        answer={
            "chat": chat_provider.answer(
                "tool_calls",
                content="Both.",
                tool_calls=[chat_provider.call("call_1", "weather", ROOM_TEXT), chat_provider.call("call_2", "time", "{}")],
            ),
            "responses": responses_provider.answer(
                responses_provider.text("Both."),
                responses_provider.call("call_1", "weather", ROOM_TEXT),
                responses_provider.call("call_2", "time", "{}"),
            ),
            "messages": messages_provider.answer(
                messages_provider.text("Both."),
                messages_provider.call("call_1", "weather", **ROOM),
                messages_provider.call("call_2", "time"),
                finish="tool_use",
            ),
            "gemini": gemini_provider.answer(
                gemini_provider.text("Both."),
                gemini_provider.call("weather", ROOM, "call_1"),
                gemini_provider.call("time", {}, "call_2"),
            ),
        },
        gets={
            "chat": c_gets(("call_1", "weather", ROOM_TEXT), ("call_2", "time", "{}")),
            "responses": {"output": [R_BOTH, *R_TWO_CALLS]},
            "messages": {
                "content": [
                    {"type": "text", "text": "Both."},
                    *m_gets(("call_1", "weather", ROOM), ("call_2", "time", {}))["content"],
                ],
                "stop_reason": "tool_use",
            },
            "gemini": {
                "candidates": [
                    {
                        "content": {
                            "parts": [
                                {"text": "Both."},
                                {"functionCall": {"id": "call_1", "name": "weather", "args": ROOM}},
                                {"functionCall": {"id": "call_2", "name": "time"}},
                            ]
                        }
                    }
                ]
            },
        },
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


def g_called(call_id: str = "call_1", name: str = "weather", **more: Any) -> Json:
    return g_turn("model", {"functionCall": {"id": call_id, "name": name, "args": ROOM}} | more)


def g_result(response: Json, call_id: str = "call_1", name: str = "weather", **more: Any) -> Json:
    return {"functionResponse": {"id": call_id, "name": name, "response": response} | more}


# Calls that it did not make need this in place of a signature.
FOREIGN: Json = {"thoughtSignature": gemini_rules.SKIP}
SUNNY: Json = {"output": "Sunny"}


def history(
    result: Mapping[Api, Any], *, name: str = "weather", call_id: str = "call_1", **options: Any
) -> dict[Api, Json]:
    """A call of the tool and its result, for each API that has one. ``options``: members of Google's call."""
    made: dict[Api, Json] = {}
    if "chat" in result:
        made["chat"] = {"messages": [HI, c_called(call_id, name), *result["chat"]]}
    if "responses" in result:
        made["responses"] = {"input": [HI, r_called(call_id, name), *result["responses"]]}
    if "messages" in result:
        made["messages"] = {"messages": [HI, m_called(call_id, name), user(*result["messages"])]}
    if "gemini" in result:
        called, returned = g_called(call_id, name, **options), g_turn("user", *result["gemini"])
        made["gemini"] = {"contents": [G_HI, called, returned]}
    return joined(tools(name=name), made)


def sent_history(result: Mapping[Api, Any], *, name: str = "weather", call_id: str = "call_1") -> dict[Api, Json]:
    """The same as providers get it."""
    made, sent = history(result, name=name, call_id=call_id, **FOREIGN), sent_tools(name=name)
    return {api: body | sent[api] for api, body in made.items()}


def results(call_id: str = "call_1", name: str = "weather") -> dict[Api, list[Json]]:
    """The result of the call, for each API."""
    return {
        "chat": [c_result("Sunny", call_id)],
        "responses": [r_result("Sunny", call_id)],
        "messages": [m_result("Sunny", call_id)],
        "gemini": [g_result(SUNNY, call_id, name)],
    }


THEN_TEXT: dict[Api, list[Json]] = {
    "chat": [c_result("Sunny"), user(LOOK)],
    "responses": [r_result("Sunny"), user(R_LOOK)],
    "messages": [m_result("Sunny"), LOOK],
    "gemini": [g_result(SUNNY), G_LOOK],
}
OUTPUT: Json = {"type": "text", "text": "Output of the tool call call_1:"}  # images cannot be in a tool's message
PICTURED: dict[Api, list[Json]] = {
    "responses": [r_result([R_LOOK, R_IMAGE])],
    "messages": [m_result([LOOK, M_IMAGE])],
    "gemini": [g_result({"output": "Look"}, parts=[G_IMAGE])],
}
AS_USER: dict[Api, list[Json]] = {"chat": [c_result([LOOK]), user(OUTPUT, C_IMAGE)]}
DETAILED = user(OUTPUT, C_IMAGE | {"image_url": C_IMAGE["image_url"] | AUTO})

ROUND_TRIPS = [
    Feature("Tool round trip", call=history(results()), sent=sent_history(results())),
    Feature("Tool round trip", "text after the result", call=history(THEN_TEXT), sent=sent_history(THEN_TEXT)),
    Feature(
        "Tool round trip", "two calls",
        call={
            "responses": {"tools": [r_tool()], "input": [HI, r_called("a"), r_called("b"), r_result("1", "a"), r_result("2", "b")]},
            "gemini": {
                "tools": [g_tool()],
                "contents": [
                    G_HI,
                    g_turn("model", *g_called("a")["parts"], *g_called("b")["parts"]),
                    g_turn("user", g_result({"output": "1"}, "a"), g_result({"output": "2"}, "b")),
                ],
            },
        },
        sent={
            "chat": {
                "tools": [c_tool()],
                "messages": [
                    HI,
                    {"role": "assistant", "tool_calls": [*c_called("a")["tool_calls"], *c_called("b")["tool_calls"]]},
                    c_result("1", "a"),
                    c_result("2", "b"),
                ],
            },
            "responses": {"tools": [r_tool(strict=False)], "input": [HI, r_called("a"), r_called("b"), r_result("1", "a"), r_result("2", "b")]},
            "messages": {
                "tools": [m_tool()],
                "messages": [
                    HI,
                    assistant(*m_called("a")["content"], *m_called("b")["content"]),
                    user(m_result("1", "a"), m_result("2", "b")),
                ],
            },
            "gemini": {
                "tools": [g_tool()],
                "contents": [
                    G_HI,
                    g_turn("model", *g_called("a", **FOREIGN)["parts"], *g_called("b")["parts"]),
                    g_turn("user", g_result({"output": "1"}, "a"), g_result({"output": "2"}, "b")),
                ],
            },
        },
    ),
    Feature(
        "Tool result with an image",
        call=history(PICTURED), sent=sent_history(PICTURED | AS_USER),
        but={("responses", "chat"): But(sent={"tools": [c_tool()], "messages": [HI, c_called(), c_result([LOOK]), DETAILED]})},
    ),
    Feature(
        "Tool error",
        call=history({"messages": [m_result("No such city", is_error=True)], "gemini": [g_result({"error": "No such city"})]}),
        sent=sent_history(
            {
                "chat": [c_result("Error: No such city")],
                "responses": [r_result("Error: No such city")],
                "messages": [m_result("No such city", is_error=True)],
                "gemini": [g_result({"error": "No such city"})],
            }
        ),
    ),
]  # fmt: skip

FEATURES = [*ONE, *ROUND_TRIPS]
