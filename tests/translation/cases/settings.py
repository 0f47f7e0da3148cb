"""Sampling, limits of the answer, and settings that only one API has."""

from __future__ import annotations

from typing import Any

from tests.translation.cells import ABSENT, APIS, OLD_CLAUDE, Api, But, Feature, Json


def config(**settings: Any) -> Json:
    return {"generationConfig": settings}


# Models that take sampling. The one of OpenAI does not reason.
SAMPLED: dict[Api, str] = {"responses": "gpt-4.1", "messages": OLD_CLAUDE, "gemini": "gemini-3.5-flash"}
OLD = {"max_tokens": 64_000}
UNSEALED = {"include": ABSENT}
HALF = {"temperature": 0.5, "top_p": 0.9}
HALVES: dict[Api, Json] = {
    "chat": HALF,
    "responses": HALF,
    "messages": HALF,
    "gemini": config(temperature=0.5, topP=0.9),
}
HALF_NAMES: dict[Api, tuple[str, ...]] = {
    "chat": ("temperature", "top_p"),
    "responses": ("temperature", "top_p"),
    "messages": ("temperature", "top_p"),
    "gemini": ("generationConfig.temperature", "generationConfig.topP"),
}


def alone(name: str, in_gemini: str) -> Feature:
    half: dict[Api, Json] = {
        "chat": {name: 0.5}, "responses": {name: 0.5}, "messages": {name: 0.5}, "gemini": config(**{in_gemini: 0.5}),
    }  # fmt: skip
    return Feature(
        "`temperature`, `top_p`", name,
        call=half,
        sent=half | {"responses": half["responses"] | UNSEALED, "messages": half["messages"] | OLD},
        model=SAMPLED,
    )  # fmt: skip


SAMPLING = [
    alone("temperature", "temperature"),
    alone("top_p", "topP"),
    Feature(
        "`temperature`, `top_p`", "both",
        call=HALVES, sent=HALVES | {"responses": HALF | UNSEALED},
        providers=("chat", "responses", "gemini"), model=SAMPLED,
    ),
    Feature(
        "`temperature` beside `top_p`, which Claude refuses",
        call=HALVES, sent={"messages": {"temperature": 0.5} | OLD},
        lost={"messages": "told"}, names={"chat": "top_p", "responses": "top_p", "gemini": "generationConfig.topP"},
        providers=("messages",), model=SAMPLED,
    ),
    Feature(
        "`temperature`, `top_p` for a Claude model that refuses them",
        call=HALVES, lost={"messages": "told"}, names=HALF_NAMES, providers=("messages",),
    ),
    Feature(
        "`temperature`, `top_p` for a GPT or Gemini model that refuses them",
        call=HALVES,
        lost={"responses": "told", "gemini": "told"}, names=HALF_NAMES, providers=("responses", "gemini"),
    ),
    Feature(
        "`temperature` above 1, which Claude refuses",
        call={"chat": {"temperature": 1.5}, "responses": {"temperature": 1.5}, "gemini": config(temperature=1.5)},
        sent={"messages": {"temperature": 1} | OLD},
        lost={"messages": "told"},
        names={"chat": "temperature", "responses": "temperature", "gemini": "generationConfig.temperature"},
        providers=("messages",), model=SAMPLED,
    ),
]  # fmt: skip

SEED: dict[Api, Json] = {"chat": {"seed": 1}, "gemini": config(seed=1)}
PENALTIES = {"presence_penalty": 1, "frequency_penalty": 1}
G_PENALTIES = config(presencePenalty=1, frequencyPenalty=1)
PENALTY_NAMES: dict[Api, tuple[str, ...]] = {
    "chat": ("presence_penalty", "frequency_penalty"),
    "responses": ("presence_penalty", "frequency_penalty"),
    "gemini": ("generationConfig.presencePenalty", "generationConfig.frequencyPenalty"),
}
BIAS = {"logit_bias": {"1": 1}}
TOP_K: dict[Api, Json] = {"chat": {"top_k": 4}, "messages": {"top_k": 4}, "gemini": config(topK=4)}
TOP_K_NAMES: dict[Api, str] = {"chat": "top_k", "messages": "top_k", "gemini": "generationConfig.topK"}

RARER = [
    Feature(
        "Seed, penalties, `logit_bias`",
        call={
            "chat": {"seed": 1, **PENALTIES, **BIAS},
            "responses": PENALTIES,
            "gemini": {"generationConfig": SEED["gemini"]["generationConfig"] | G_PENALTIES["generationConfig"]},
        },
        sent={"chat": {"seed": 1, **PENALTIES}, "gemini": SEED["gemini"]},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"),
        names={
            "chat": ("seed", *PENALTY_NAMES["chat"], "logit_bias"),
            "responses": PENALTY_NAMES["responses"],
            "gemini": ("generationConfig.seed", *PENALTY_NAMES["gemini"]),
        },
        but={
            ("responses", "chat"): But(sent=PENALTIES),
            ("chat", "gemini"): But(dropped=(*PENALTY_NAMES["chat"], "logit_bias")),
            ("responses", "gemini"): But(sent={}),
        },
    ),
    Feature(
        "Penalties, for a Gemini model that takes them",
        call={"chat": PENALTIES, "responses": PENALTIES},
        sent={"gemini": G_PENALTIES},
        providers=("gemini",), model={"gemini": "gemini-2.0-flash"},
    ),
    Feature("`top_k`", call=TOP_K, lost=dict.fromkeys(APIS, "told"), names=TOP_K_NAMES),
    Feature(
        "`top_k`, at a server that takes it",
        call=TOP_K,
        sent=TOP_K | {"messages": TOP_K["messages"] | OLD},
        providers=("chat", "messages", "gemini"), server={"chat": "together"}, model=SAMPLED,
    ),
    Feature(
        "`n` above 1",
        call={"chat": {"n": 2}, "gemini": config(candidateCount=2)},
        lost={"responses": "400", "messages": "400"}, names={"chat": "n", "gemini": "generationConfig.candidateCount"},
        providers=("responses", "messages"),
    ),
]  # fmt: skip

STOP: dict[Api, Json] = {
    "chat": {"stop": ["END"]},
    "messages": {"stop_sequences": ["END"]},
    "gemini": config(stopSequences=["END"]),
}
STOP_NAMES: dict[Api, str] = {"chat": "stop", "messages": "stop_sequences", "gemini": "generationConfig.stopSequences"}
STOPS = [
    Feature("Stop sequences", call=STOP, sent=STOP, lost={"responses": "told"}, names=STOP_NAMES),
    Feature(
        "Stop sequences", "one",
        call={"chat": {"stop": "END"}}, sent=STOP, lost={"responses": "told"}, names=STOP_NAMES,
    ),
    Feature(
        "More stop sequences than the provider takes",
        call={
            "chat": {"stop": list("abcdef")},
            "messages": {"stop_sequences": list("abcdef")},
            "gemini": config(stopSequences=list("abcde")),
        },
        sent={"chat": {"stop": list("abcd")}, "gemini": config(stopSequences=list("abcde"))},
        lost={"chat": "told", "gemini": "told"}, names=STOP_NAMES, providers=("chat", "gemini"),
    ),
    Feature(
        "Stop sequence of white space, which Claude refuses",
        call={"chat": {"stop": ["END", "\n"]}, "gemini": config(stopSequences=["END", "\n"])},
        sent=STOP,
        lost={"messages": "told"}, names=STOP_NAMES, providers=("messages",),
    ),
]  # fmt: skip


def limit(tokens: int) -> dict[Api, Json]:
    """The limit of the answer, by the name that each API has now, as clients say it."""
    return {
        "chat": {"max_completion_tokens": tokens},
        "responses": {"max_output_tokens": tokens},
        "messages": {"max_tokens": tokens},
        "gemini": config(maxOutputTokens=tokens),
    }


LIMIT_NAMES: dict[Api, str] = {
    "chat": "max_completion_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
    "gemini": "generationConfig.maxOutputTokens",
}
LIMITS = [
    Feature("Output limit", call=limit(20), sent=limit(20) | {"chat": {"max_tokens": 20}}),
    Feature("Output limit", "max_tokens", call={"chat": {"max_tokens": 20}}, sent=limit(20)),
    Feature(
        "Output limit, at OpenAI",
        call={api: members for api, members in limit(20).items() if api != "messages"}, sent=limit(20),
        providers=("chat",), server={"chat": "openai"}, model={"chat": "gpt-5.6"},
    ),
    Feature(
        "Output limit above that of the model",
        call=limit(500_000),
        sent=limit(128_000) | {"gemini": config(maxOutputTokens=65_536)},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"), names=LIMIT_NAMES,
        providers=("responses", "messages", "gemini"),
    ),
    Feature(
        "Output limit above that of the model", "max_tokens",
        call={"chat": {"max_tokens": 500_000}},
        sent=limit(128_000) | {"gemini": config(maxOutputTokens=65_536)},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"), names={"chat": "max_tokens"},
        providers=("responses", "messages", "gemini"),
    ),
    Feature(
        "Output limit below that of the Responses API",
        call=limit(7), sent=limit(16),
        lost={"responses": "told"}, names=LIMIT_NAMES, providers=("responses",),
    ),
    Feature("No output limit", call={"chat": {}, "responses": {}, "gemini": {}}),
    Feature(
        "No output limit", "an older Claude model",
        call={"chat": {}, "responses": {}, "gemini": {}}, sent={"messages": OLD},
        providers=("messages",), model={"messages": OLD_CLAUDE},
    ),
]  # fmt: skip

SAFETY = {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}
OWN = [
    Feature(
        "Settings that no other API has",
        call={
            "chat": {"prediction": {"type": "content", "content": "Fine"}, "moderation": {"model": "omni"}},
            "responses": {
                "truncation": "auto", "max_tool_calls": 3, "include": ["file_search_call.results"],
                "moderation": {"model": "omni"},
            },
            "messages": {"inference_geo": "us", "context_management": {"edits": []}},
            "gemini": {
                "safetySettings": [SAFETY],
                "generationConfig": {
                    "mediaResolution": "MEDIA_RESOLUTION_LOW",
                    "speechConfig": {"languageCode": "en-US"},
                },
            },
        },
        lost=dict.fromkeys(APIS, "told"),
        names={
            "chat": ("prediction", "moderation"),
            "responses": ("truncation", "max_tool_calls", "include[file_search_call.results]", "moderation"),
            "messages": ("inference_geo", "context_management"),
            "gemini": ("safetySettings", "generationConfig.mediaResolution", "generationConfig.speechConfig"),
        },
    ),
    Feature(
        "Unknown member",
        call={api: {"next_month": {"x": 1}} for api in APIS},
        lost=dict.fromkeys(APIS, "told"),
        names=dict.fromkeys(APIS, "next_month"),
    ),
    Feature(
        "Unknown member", "of an object",
        call={
            "responses": {"reasoning": {"next_month": 1}},
            "messages": {"output_config": {"next_month": 1}},
            "gemini": config(nextMonth=1),
        },
        lost=dict.fromkeys(APIS, "told"),
        names={"responses": "reasoning.next_month", "messages": "output_config.next_month", "gemini": "generationConfig.nextMonth"},
    ),
]  # fmt: skip

FEATURES = [*SAMPLING, *RARER, *STOPS, *LIMITS, *OWN]
