"""Reasoning and how hard the model thinks."""

from __future__ import annotations

from typing import Any

from tests.translation import chat_provider, gemini_provider, messages_provider, responses_provider
from tests.translation.cells import G_HI, HI, OLD_CLAUDE, Api, But, Feature, Json
from tests.translation.rig import FINE

THOUGHT = "Let me think about that."
R_SAID: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": FINE}]}
R_THOUGHT: Json = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": THOUGHT}]}
R_SUMMARY: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}

# Clients of Gemini are shown thoughts only if they ask for them.
G_SHOWN: Json = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}

TEXTS = [
    Feature(
        "Reasoning text",
        call={"chat": {}, "responses": {}, "messages": {}, "gemini": G_SHOWN},
        answer={
            "chat": chat_provider.answer(content=FINE, reasoning_content=THOUGHT),
            "responses": responses_provider.answer(responses_provider.reasoning(summary=[THOUGHT]), responses_provider.text(FINE)),
            "messages": messages_provider.answer({"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmF0dXJl"}, messages_provider.text(FINE)),
            "gemini": gemini_provider.answer(gemini_provider.thought(THOUGHT), gemini_provider.text(FINE)),
        },
        gets={
            "chat": {"choices": [{"message": {"reasoning_content": THOUGHT, "content": FINE}}]},
            "responses": {"output": [R_THOUGHT, R_SAID]},
            "messages": {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": FINE}]},
            "gemini": {"candidates": [{"content": {"parts": [{"text": THOUGHT, "thought": True}, {"text": FINE}]}}]},
        },
        but={
            ("responses", "gemini"): But(gets={"output": [R_SUMMARY, R_SAID]}),
            ("gemini", "responses"): But(sent={"reasoning": {"summary": "auto"}}),
            ("gemini", "messages"): But(sent={"thinking": {"type": "adaptive", "display": "summarized"}}),
        },
    ),
    Feature(
        "Reasoning text", "that is no summary",
        call={"chat": {}, "messages": {}, "gemini": G_SHOWN},
        answer={"responses": responses_provider.answer(responses_provider.reasoning(THOUGHT), responses_provider.text(FINE))},
        gets={
            "chat": {"choices": [{"message": {"reasoning_content": THOUGHT, "content": FINE}}]},
            "messages": {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": FINE}]},
            "gemini": {"candidates": [{"content": {"parts": [{"text": THOUGHT, "thought": True}, {"text": FINE}]}}]},
        },
        providers=("responses",),
        but={("gemini", "responses"): But(sent={"reasoning": {"summary": "auto"}})},
    ),
]  # fmt: skip


def history(**turn: Any) -> Json:
    """A conversation with an earlier answer."""
    return {"messages": [HI, {"role": "assistant", "content": FINE, **turn}, HI]}


UNSIGNED: dict[Api, Json] = {
    "chat": history(reasoning_content=THOUGHT),
    "responses": {
        "input": [
            HI,
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": THOUGHT}]},
            {"role": "assistant", "content": FINE},
            HI,
        ]
    },
    "messages": history(
        content=[{"type": "thinking", "thinking": THOUGHT, "signature": ""}, {"type": "text", "text": FINE}]
    ),
    "gemini": {
        "contents": [G_HI, {"role": "model", "parts": [{"text": THOUGHT, "thought": True}, {"text": FINE}]}, G_HI]
    },
}  # fmt: skip
TEXT_ONLY: dict[Api, Json] = {
    "chat": history(),
    "responses": {"input": [HI, {"role": "assistant", "content": FINE}, HI]},
    "messages": history(),
    "gemini": {"contents": [G_HI, {"role": "model", "parts": [{"text": FINE}]}, G_HI]},
}
NAMES: dict[Api, str] = {
    "chat": "messages[].reasoning_content",
    "responses": "input[reasoning]",
    "messages": "messages[].content[].thinking",
    "gemini": "contents[].parts[].thought",
}

SENT_BACK = [
    Feature(
        "Reasoning text sent back",
        call=UNSIGNED,
        sent=TEXT_ONLY | {"chat": UNSIGNED["chat"]},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"), names=NAMES,
    ),
    Feature(
        "Reasoning text sent back, at a server that refuses it",
        call=UNSIGNED, sent=TEXT_ONLY, lost={"chat": "told"}, names=NAMES, providers=("chat",), server={"chat": "groq"},
    ),
]  # fmt: skip


def g_thinking(**members: Any) -> Json:
    return {"generationConfig": {"thinkingConfig": members}}


def efforts(effort: str) -> dict[Api, Json]:
    """The same effort in each API."""
    return {
        "chat": {"reasoning_effort": effort},
        "responses": {"reasoning": {"effort": effort}},
        "messages": {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}},
        "gemini": g_thinking(thinkingLevel=effort.upper()),
    }


def sent_efforts(effort: str) -> dict[Api, Json]:
    """The same as providers get it. Google shows no thoughts unless asked to."""
    return efforts(effort) | {"gemini": g_thinking(thinkingLevel=effort.upper(), includeThoughts=True)}


HIGH, SENT_HIGH = efforts("high"), sent_efforts("high")
R_SHOWN_HIGH: Json = {"reasoning": {"effort": "high", "summary": "auto"}}
# Most clients of Gemini get no thoughts, so that none are asked for.
M_HIDDEN_HIGH: Json = {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}}
BUDGETS: dict[Api, Json] = {
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 16_000}},
    "gemini": g_thinking(thinkingBudget=16_000),
}

EFFORT = [
    Feature(
        "Effort",
        call=HIGH, sent=SENT_HIGH,
        but={
            ("messages", "responses"): But(sent=R_SHOWN_HIGH),
            ("gemini", "messages"): But(sent=M_HIDDEN_HIGH),
        },
    ),
    Feature(
        "Effort for a Claude model that takes a budget",
        call={api: HIGH[api] for api in ("chat", "responses", "gemini")},
        sent={"messages": {"thinking": {"type": "enabled", "budget_tokens": 16_384}, "max_tokens": 64_000}},
        providers=("messages",), model={"messages": OLD_CLAUDE},
        but={
            ("gemini", "messages"): But(
                sent={"thinking": {"type": "enabled", "budget_tokens": 16_384, "display": "omitted"}, "max_tokens": 64_000}
            ),
        },
    ),
    Feature(
        "Effort for a Gemini model that takes a budget",
        call={api: HIGH[api] for api in ("chat", "responses", "messages")},
        sent={"gemini": g_thinking(thinkingBudget=16_384, includeThoughts=True)},
        providers=("gemini",), model={"gemini": "gemini-2.5-flash"},
    ),
    Feature(
        "Thinking budget",
        call=BUDGETS, sent=SENT_HIGH,
        but={
            ("messages", "responses"): But(sent=R_SHOWN_HIGH),
            ("gemini", "messages"): But(sent=M_HIDDEN_HIGH),
        },
    ),
    Feature(
        "Thinking budget, for a model that takes one",
        call={
            "messages": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "gemini": g_thinking(thinkingBudget=2000, includeThoughts=True),
        },
        sent={
            "messages": {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 64_000},
            "gemini": g_thinking(thinkingBudget=2000, includeThoughts=True),
        },
        providers=("messages", "gemini"),
        model={"messages": OLD_CLAUDE, "gemini": "gemini-2.5-flash"},
    ),
]  # fmt: skip

# None of the models has the least effort, and none that messages are translated for has the second highest.
LACKED: dict[Api, Json] = efforts("minimal") | {"messages": {"output_config": {"effort": "xhigh"}}}
OFF: dict[Api, Json] = {
    "chat": {"reasoning_effort": "none"},
    "responses": {"reasoning": {"effort": "none"}},
    "messages": {"thinking": {"type": "disabled"}},
    "gemini": g_thinking(thinkingBudget=0),
}
OF_OFF: dict[Api, str] = {
    "chat": "reasoning_effort",
    "responses": "reasoning.effort",
    "messages": "thinking.type",
    "gemini": "generationConfig.thinkingConfig",
}

EFFORTS_OF_OTHERS = [
    Feature(
        "Effort that the model lacks",
        call=LACKED, sent=sent_efforts("low"),
        lost=dict.fromkeys(("chat", "responses", "messages", "gemini"), "told"),
        names={"chat": "reasoning_effort", "responses": "reasoning.effort", "messages": "output_config.effort", "gemini": "generationConfig.thinkingConfig.thinkingLevel"},
        model={"responses": "gpt-5.1"},
        but={
            **{("messages", api): But(sent=SENT_HIGH[api]) for api in ("chat", "responses", "gemini")},
            ("gemini", "messages"): But(sent={"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}),
        },
    ),
    Feature(
        "Thinking off",
        call=OFF, sent={"responses": OFF["responses"], "messages": OFF["messages"], "gemini": g_thinking(thinkingLevel="LOW")},
        lost={"chat": "told", "gemini": "told"}, names=OF_OFF,
    ),
    Feature(
        "Thinking off, at DeepSeek",
        call=OFF, sent={"chat": OFF["messages"]},
        providers=("chat",), server={"chat": "deepseek"}, model={"chat": "deepseek-v4-pro"},
    ),
    Feature(
        "Thinking off, at a Gemini model that can",
        call=OFF, sent=OFF, providers=("gemini",), model={"gemini": "gemini-2.5-flash"},
    ),
]  # fmt: skip

FEATURES = [*TEXTS, *EFFORT, *EFFORTS_OF_OTHERS, *SENT_BACK]
