"""Which tools the model may call, and how."""

from __future__ import annotations

from typing import Any

from tests.translation.cases.tools import (
    SCHEMA,
    SENT_TWO,
    TWO_TOOLS,
    c_tool,
    g_tool,
    joined,
    m_tool,
    r_tool,
    sent_tools,
    tools,
)
from tests.translation.cells import Api, But, Feature, Json


def g_choice(mode: str, **more: Any) -> Json:
    return {"toolConfig": {"functionCallingConfig": {"mode": mode} | more}}


def choices() -> list[Feature]:
    in_chat: dict[str, Any] = {
        "auto": "auto", "none": "none", "any": "required", "one": {"type": "function", "function": {"name": "weather"}},
    }  # fmt: skip
    in_messages: dict[str, Json] = {
        "auto": {"type": "auto"}, "none": {"type": "none"}, "any": {"type": "any"}, "one": {"type": "tool", "name": "weather"},
    }  # fmt: skip
    made = []
    for choice, chat in in_chat.items():
        given: dict[Api, Json] = {
            "chat": {"tool_choice": chat},
            "responses": {"tool_choice": {"type": "function", "name": "weather"} if choice == "one" else chat},
            "messages": {"tool_choice": in_messages[choice]},
            "gemini": g_choice("ANY", allowedFunctionNames=["weather"])
            if choice == "one"
            else g_choice(choice.upper()),
        }
        made.append(
            Feature("Tool choice: auto, none, any, one", choice, joined(tools(), given), joined(sent_tools(), given))
        )
    return made


C_SOME: Json = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
}
R_SOME: Json = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}
G_SOME = g_choice("ANY", allowedFunctionNames=["weather"])
OPTIONAL: Json = SCHEMA | {"properties": SCHEMA["properties"] | {"unit": {"type": "string"}}}
DISABLED = {"disable_parallel_tool_use": True}
ONE_CALL: dict[Api, Json] = {
    "chat": {"parallel_tool_calls": False},
    "responses": {"parallel_tool_calls": False},
    "messages": {"tool_choice": {"type": "auto"} | DISABLED},
}

FEATURES = [
    *choices(),
    Feature(
        "Tool choice: some",
        call=joined(TWO_TOOLS, {"chat": {"tool_choice": C_SOME}, "responses": {"tool_choice": R_SOME}}),
        sent=joined(
            tools(), {"chat": {"tool_choice": "required"}, "messages": {"tool_choice": {"type": "any"}}}
        ) | joined(SENT_TWO, {"responses": {"tool_choice": R_SOME}, "gemini": G_SOME}),
    ),
    Feature(
        "Tool choice: some", "at OpenAI",
        call=joined(TWO_TOOLS, {"responses": {"tool_choice": R_SOME}}),
        sent=joined(TWO_TOOLS, {"chat": {"tool_choice": C_SOME}}),
        providers=("chat",), server={"chat": "openai"}, model={"chat": "gpt-4.1"},
    ),
    Feature(
        "One call at a time",
        call=joined(tools(), ONE_CALL),
        sent=joined(sent_tools(), ONE_CALL) | {"gemini": tools()["gemini"]},
        lost={"gemini": "told"},
        names={"chat": "parallel_tool_calls", "responses": "parallel_tool_calls", "messages": "tool_choice.disable_parallel_tool_use"},
        # A client of messages has to say ``auto`` as well.
        but={
            ("messages", "chat"): But(sent=joined(tools(), {"chat": ONE_CALL["chat"] | {"tool_choice": "auto"}})["chat"]),
            ("messages", "responses"): But(sent=joined(sent_tools(), {"responses": ONE_CALL["responses"] | {"tool_choice": "auto"}})["responses"]),
            ("messages", "gemini"): But(sent=tools()["gemini"] | g_choice("AUTO")),
        },
    ),
    Feature(
        "Strict tool",
        call={api: members for api, members in tools(strict=True).items() if api != "gemini"},
        sent=tools(strict=True) | {"gemini": tools()["gemini"] | g_choice("VALIDATED")},
    ),
    Feature(
        "Strict tool with an optional member",
        call={"messages": {"tools": [m_tool(strict=True, input_schema=OPTIONAL)]}},
        sent={
            "chat": {"tools": [c_tool(strict=True, parameters=OPTIONAL)]},
            "responses": {"tools": [r_tool(strict=False, parameters=OPTIONAL)]},
            "gemini": {"tools": [g_tool(parametersJsonSchema=OPTIONAL)]} | g_choice("VALIDATED"),
        },
        lost={"responses": "told"}, names={"messages": "tools[].strict"},  # OpenAI would refuse it
    ),
]  # fmt: skip
