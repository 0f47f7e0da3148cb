"""Settings and metadata of requests."""

from __future__ import annotations

from typing import Any

from tests.translation.cases.content import assistant, system, user
from tests.translation.cells import ABSENT, C_M, HI, M_C, OLD_CLAUDE, R_C, R_M, Case, Json

SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
M_SCHEMA: Json = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
M_NAMED: Json = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA | {"title": "reply"}}}}
C_SCHEMA: Json = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}}
}
R_SCHEMA: Json = {"text": {"format": {"type": "json_schema", "name": "reply", "schema": SCHEMA, "strict": True}}}

ANY_JSON = "Answer with one valid JSON object and nothing else: no text around it, and no Markdown fence."

FORMATS = [
    Case("JSON by schema", M_C, call=M_SCHEMA, sent={"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA, "strict": True}}}),
    Case("JSON by schema", R_C, call=R_SCHEMA, sent=C_SCHEMA),
    Case("JSON by schema", C_M, call=C_SCHEMA, sent=M_NAMED),
    Case("JSON by schema", R_M, call=R_SCHEMA, sent=M_NAMED),
    Case("JSON without schema", R_C, call={"text": {"format": {"type": "json_object"}}}, sent={"response_format": {"type": "json_object"}}),
    Case("JSON without schema", C_M, call={"response_format": {"type": "json_object"}}, sent={"system": ANY_JSON}, dropped=("response_format",)),
    Case("JSON without schema", R_M, call={"text": {"format": {"type": "json_object"}}}, sent={"system": ANY_JSON}, dropped=("text.format",)),
]  # fmt: skip

HALF = {"temperature": 0.5, "top_p": 0.9}
OLD = {"max_tokens": 64_000}

SAMPLING = [
    Case("`temperature`, `top_p`", M_C, call=HALF, sent=HALF),
    Case("`temperature`, `top_p`", R_C, call=HALF, sent=HALF),
    *(
        Case("`temperature`, `top_p`", pair, name, call={name: 0.5}, sent={name: 0.5} | OLD, model=OLD_CLAUDE)
        for pair in (C_M, R_M)
        for name in HALF
    ),
    Case("`temperature` beside `top_p`, which Claude refuses", C_M, call=HALF, sent={"temperature": 0.5} | OLD, dropped=("top_p",), model=OLD_CLAUDE),
    Case("`temperature` beside `top_p`, which Claude refuses", R_M, call=HALF, sent={"temperature": 0.5} | OLD, dropped=("top_p",), model=OLD_CLAUDE),
    Case("`temperature`, `top_p` for a Claude model that refuses them", C_M, call=HALF, dropped=("temperature", "top_p")),
    Case("`temperature`, `top_p` for a Claude model that refuses them", R_M, call=HALF, dropped=("temperature", "top_p")),
    Case(
        "Seed, penalties, `logit_bias`", C_M,
        call={"seed": 1, "presence_penalty": 1, "frequency_penalty": 1, "logit_bias": {"1": 1}},
        dropped=("seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    ),
    Case("`top_k`", M_C, call={"top_k": 4}, dropped=("top_k",)),
    Case("`top_k`, at a server that takes it", M_C, call={"top_k": 4}, sent={"top_k": 4}, server="together"),
    Case("`n` above 1", C_M, call={"n": 2}, refused="n"),
    Case("Stop sequences", M_C, call={"stop_sequences": ["END"]}, sent={"stop": ["END"]}),
    Case("Stop sequences", C_M, call={"stop": ["END"]}, sent={"stop_sequences": ["END"]}),
    Case("Stop sequences", C_M, "one", call={"stop": "END"}, sent={"stop_sequences": ["END"]}),
    Case(
        "More stop sequences than the provider takes", M_C,
        call={"stop_sequences": list("abcdef")}, sent={"stop": list("abcd")}, dropped=("stop_sequences",),
    ),
]  # fmt: skip

LIMITS = [
    Case("Output limit", M_C, call={"max_tokens": 7}, sent={"max_tokens": 7}),
    Case("Output limit", R_C, call={"max_output_tokens": 7}, sent={"max_tokens": 7}),
    Case("Output limit", C_M, call={"max_completion_tokens": 7}, sent={"max_tokens": 7}),
    Case("Output limit", C_M, "max_tokens", call={"max_tokens": 7}, sent={"max_tokens": 7}),
    Case("Output limit", R_M, call={"max_output_tokens": 7}, sent={"max_tokens": 7}),
    Case("No output limit", R_C, sent={"max_tokens": ABSENT}),
    Case("No output limit", C_M, sent=OLD, model=OLD_CLAUDE),
    Case("No output limit", R_M, sent=OLD, model=OLD_CLAUDE),
]  # fmt: skip

EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
BILLING = "x-anthropic-billing-header: cc_version=2.1.332; cch=abc;"
HELLO: Json = {"type": "text", "text": "Hello"}
R_HELLO: Json = {"type": "input_text", "text": "Hello"}
MARKED_FOR_CLAUDE: Json = {"messages": [user(HELLO | EPHEMERAL)]}
GPT = "gpt-5.6"
LIMIT_AT_OPENAI: Json = {"max_tokens": ABSENT, "max_completion_tokens": 100}

CACHES = [
    Case(
        "Cache marks, at OpenAI", M_C,
        call=MARKED_FOR_CLAUDE, sent={"messages": [user(HELLO | BREAKPOINT)], **LIMIT_AT_OPENAI}, server="openai", model=GPT,
    ),
    Case(
        "Cache marks, at OpenAI", R_C,
        call={"input": [user(R_HELLO | BREAKPOINT)]}, sent={"messages": [user(HELLO | BREAKPOINT)]}, server="openai", model=GPT,
    ),
    Case("Cache marks, at OpenRouter", M_C, call=MARKED_FOR_CLAUDE, sent=MARKED_FOR_CLAUDE, server="openrouter"),
    Case("Cache marks, at OpenRouter", R_C, call={"input": [user(R_HELLO | BREAKPOINT)]}, sent=MARKED_FOR_CLAUDE, server="openrouter"),
    Case("Cache marks", M_C, call=MARKED_FOR_CLAUDE, sent={"messages": [user(HELLO)]}, dropped=("messages[].content[].cache_control",)),
    Case("Cache marks", R_C, call={"input": [user(R_HELLO | BREAKPOINT)]}, sent={"messages": [user(HELLO)]}, dropped=("input[].content[].prompt_cache_breakpoint",)),
    Case("Cache marks", C_M, call={"messages": [user(HELLO | BREAKPOINT)]}, sent=MARKED_FOR_CLAUDE),
    Case("Cache marks", R_M, call={"input": [user(R_HELLO | BREAKPOINT)]}, sent=MARKED_FOR_CLAUDE),
    Case("Cache key", R_C, call={"prompt_cache_key": "thread-1"}, dropped=("prompt_cache_key",)),
    Case("Cache key", C_M, call={"prompt_cache_key": "thread-1"}, dropped=("prompt_cache_key",)),
    Case("Cache key", R_M, call={"prompt_cache_key": "thread-1"}, dropped=("prompt_cache_key",)),
    Case("Cache key, at OpenAI", R_C, call={"prompt_cache_key": "thread-1"}, sent={"prompt_cache_key": "thread-1"}, server="openai", model=GPT),
    Case(
        "Billing line of Claude Code", M_C,
        call={"system": [{"type": "text", "text": BILLING}, {"type": "text", "text": "Be brief."}]},
        sent={"messages": [system("Be brief."), HI]},
    ),
]  # fmt: skip

TAGS = {"metadata": {"a": "b"}}

METADATA = [
    Case("End user", M_C, call={"metadata": {"user_id": "ann"}}, sent={"user": "ann"}),
    Case("End user", R_C, call={"safety_identifier": "ann"}, sent={"user": "ann"}),
    Case("End user", C_M, call={"user": "ann"}, sent={"metadata": {"user_id": "ann"}}),
    Case("End user", R_M, call={"safety_identifier": "ann"}, sent={"metadata": {"user_id": "ann"}}),
    Case("Metadata", R_C, call=TAGS, dropped=("metadata",)),
    Case("Metadata", C_M, call=TAGS, dropped=("metadata",)),
    Case("Metadata", R_M, call=TAGS, dropped=("metadata",)),
    Case("Service tier", M_C, call={"service_tier": "auto"}),
    Case("Service tier", R_C, call={"service_tier": "auto"}),
    Case("Service tier", C_M, call={"service_tier": "default"}, sent={"service_tier": "standard_only"}),
    Case("Service tier", R_M, call={"service_tier": "auto"}, sent={"service_tier": "auto"}),
    Case("Service tier that the provider lacks", M_C, call={"service_tier": "standard_only"}, dropped=("service_tier",)),
    Case("Service tier that the provider lacks", R_C, call={"service_tier": "flex"}, dropped=("service_tier",)),
    Case("Service tier that the provider lacks", C_M, call={"service_tier": "flex"}, dropped=("service_tier",)),
    Case("Service tier that the provider lacks", R_M, call={"service_tier": "flex"}, dropped=("service_tier",)),
    Case("Service tier, at OpenAI", M_C, call={"service_tier": "standard_only"}, sent={"service_tier": "default", **LIMIT_AT_OPENAI}, server="openai", model=GPT),
    Case("Service tier, at OpenAI", R_C, call={"service_tier": "flex"}, sent={"service_tier": "flex"}, server="openai", model=GPT),
    Case("`store`", R_C, call={"store": True}, dropped=("store",)),
    Case("`store`", C_M, call={"store": True}, dropped=("store",)),
    Case("`store`", R_M, call={"store": True}, dropped=("store",)),
    Case("Verbosity", R_C, call={"text": {"verbosity": "low"}}, dropped=("text.verbosity",)),
    Case("Verbosity", C_M, call={"verbosity": "low"}, dropped=("verbosity",)),
    Case("Verbosity", R_M, call={"text": {"verbosity": "low"}}, dropped=("text.verbosity",)),
    Case("Verbosity, at OpenAI", R_C, call={"text": {"verbosity": "low"}}, sent={"verbosity": "low"}, server="openai", model=GPT),
]  # fmt: skip

STATES: dict[str, Any] = {
    "previous_response_id": "resp_1", "conversation": "conv_1", "prompt": {"id": "pmpt_1"}, "background": True,
}  # fmt: skip

STATE = [
    Case("State: `previous_response_id`, `conversation`, `prompt`, `background`", pair, name, call={name: value}, refused=name)
    for pair in (R_C, R_M)
    for name, value in STATES.items()
]  # fmt: skip

UNKNOWN = [
    Case("Unknown member", pair, call={"next_month": {"x": 1}}, dropped=("next_month",)) for pair in (M_C, R_C, C_M, R_M)
]  # fmt: skip

PREFIX: Json = {"messages": [HI, assistant(HELLO)]}
R_PREFIX: Json = {"input": [HI, {"role": "assistant", "content": "Hello"}]}

PREFILL = [
    Case("Final assistant message", M_C, call=PREFIX, sent=PREFIX),
    Case("Final assistant message", R_C, call=R_PREFIX, sent=PREFIX),
    Case("Final assistant message", C_M, call=PREFIX, refused="messages"),
    Case("Final assistant message", R_M, call=R_PREFIX, refused="input"),
    Case("Final assistant message for a Claude model that continues it", C_M, call=PREFIX, sent=PREFIX | OLD, model=OLD_CLAUDE),
    Case("Final assistant message for a Claude model that continues it", R_M, call=R_PREFIX, sent=PREFIX | OLD, model=OLD_CLAUDE),
]  # fmt: skip

CASES = [*FORMATS, *SAMPLING, *LIMITS, *CACHES, *METADATA, *STATE, *UNKNOWN, *PREFILL]
