"""Caches of prompts: marks of breakpoints, keys, and what would keep a cache from ever being hit."""

from __future__ import annotations

from tests.translation.cases.content import BRIEF, g_turn, system, user
from tests.translation.cases.tools import c_tool, g_tool, m_tool, r_tool
from tests.translation.cells import ABSENT, GPT, HI, Api, But, Feature, Json

EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
HELLO: Json = {"type": "text", "text": "Hello"}
R_HELLO: Json = {"type": "input_text", "text": "Hello"}
UNMARKED: dict[Api, Json] = {
    "chat": {"messages": [user(HELLO)]},
    "responses": {"input": [user(R_HELLO)]},
    "messages": {"messages": [user(HELLO)]},
    "gemini": {"contents": [g_turn("user", {"text": "Hello"})]},
}
MARKED: dict[Api, Json] = {
    "chat": {"messages": [user(HELLO | BREAKPOINT)]},
    "responses": {"input": [user(R_HELLO | BREAKPOINT)]},
    "messages": {"messages": [user(HELLO | EPHEMERAL)]},
}
# What OpenAI gets of the limit of the usual call.
LIMIT_AT_OPENAI: Json = {"max_tokens": ABSENT, "max_completion_tokens": 100}
AT_OPENAI: dict[Api, str] = {"chat": "openai"}

MARKS = [
    Feature(
        "Cache marks",
        call=MARKED, sent=UNMARKED | {"responses": MARKED["responses"], "messages": MARKED["messages"]},
        lost={"chat": "told", "gemini": "told"},
        names={
            "chat": "messages[].content[].prompt_cache_breakpoint",
            "responses": "input[].content[].prompt_cache_breakpoint",
            "messages": "messages[].content[].cache_control",
        },
    ),
    Feature(
        "Cache marks", "at the end",
        call={
            "chat": {"prompt_cache_options": {"mode": "implicit"}},
            "responses": {"prompt_cache_options": {"mode": "implicit"}},
            "messages": EPHEMERAL,
        },
        sent={
            "responses": {"prompt_cache_options": {"mode": "implicit"}},
            "messages": {"messages": [user({"type": "text", "text": "Hi"} | EPHEMERAL)]},
        },
        lost={"chat": "told", "gemini": "told"},
        names={"chat": "prompt_cache_options", "responses": "prompt_cache_options", "messages": "cache_control"},
    ),
    Feature(
        "Cache marks, at OpenAI",
        call=MARKED, sent={"chat": MARKED["chat"]},
        providers=("chat",), server=AT_OPENAI, model={"chat": GPT},
        but={("messages", "chat"): But(sent=MARKED["chat"] | LIMIT_AT_OPENAI)},
    ),
    Feature(
        "Cache marks, at OpenRouter",
        call=MARKED, sent={"chat": MARKED["messages"]},
        providers=("chat",), server={"chat": "openrouter"},
    ),
    Feature(
        "Cache mark of a tool",
        call={"messages": {"tools": [m_tool(cache_control=EPHEMERAL["cache_control"])]}},
        sent={
            "chat": {"tools": [c_tool()]},
            "responses": {"tools": [r_tool(strict=False)]},
            "gemini": {"tools": [g_tool()]},
        },
        lost=dict.fromkeys(("chat", "responses", "gemini"), "told"), names={"messages": "tools[].cache_control"},
    ),
]  # fmt: skip

KEY = {"prompt_cache_key": "thread-1"}
KEYS = [
    Feature(
        "Cache key",
        call={"chat": KEY, "responses": KEY}, sent={"responses": KEY},
        lost=dict.fromkeys(("chat", "messages", "gemini"), "told"),
        names={"chat": "prompt_cache_key", "responses": "prompt_cache_key"},
    ),
    Feature(
        "Cache key, at OpenAI",
        call={"responses": KEY}, sent={"chat": KEY}, providers=("chat",), server=AT_OPENAI, model={"chat": GPT},
    ),
    Feature(
        "Billing line of Claude Code",
        call={
            "messages": {
                "system": [
                    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332; cch=abc;"},
                    {"type": "text", "text": BRIEF},
                ]
            }
        },
        sent={
            "chat": {"messages": [system(BRIEF), HI]},
            "responses": {"instructions": BRIEF},
            "gemini": {"systemInstruction": {"parts": [{"text": BRIEF}]}},
        },
    ),
]  # fmt: skip

FEATURES = [*MARKS, *KEYS]
