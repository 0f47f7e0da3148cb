"""The form of answers: JSON, verbosity, and the beginning of an answer that the client gives."""

from __future__ import annotations

from typing import Any

from tests.translation.cases.content import assistant, g_turn, system
from tests.translation.cases.tools import joined, tools
from tests.translation.cells import APIS, G_HI, HI, OLD_CLAUDE, Api, But, Feature, Json

SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TITLED: Json = SCHEMA | {"title": "reply"}
OPEN_SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
# It has no such member, and its objects are closed.
OF_OPENAPI: Json = {name: value for name, value in SCHEMA.items() if name != "additionalProperties"}
FORMAT_NAMES: dict[Api, str] = {
    "chat": "response_format",
    "responses": "text.format",
    "messages": "output_config.format",
    "gemini": "generationConfig.responseMimeType",
}
ANY_JSON = "Answer with one valid JSON object and nothing else: no text around it, and no Markdown fence."
AS_JSON = "Answer in JSON."


def c_format(schema: Json, name: str = "reply", **more: Any) -> Json:
    found = {"name": name, "schema": schema} | more
    return {"response_format": {"type": "json_schema", "json_schema": found}}


def r_format(schema: Json, name: str = "reply", **more: Any) -> Json:
    return {"text": {"format": {"type": "json_schema", "name": name, "schema": schema} | more}}


def m_format(schema: Json) -> Json:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def g_format(**schema: Any) -> Json:
    """The schema by the name of its member."""
    return {"generationConfig": {"responseMimeType": "application/json"} | schema}


def by_schema(schema: Json, **more: Any) -> dict[Api, Json]:
    """What each provider gets of an unnamed schema. ``more``: what OpenAI's APIs say of it."""
    return {
        "chat": c_format(schema, "response", **more),
        "responses": r_format(schema, "response", **more),
        "messages": m_format(schema),
        "gemini": g_format(responseJsonSchema=schema),
    }


OF_MESSAGES = by_schema(SCHEMA, strict=True)
SCHEMAS = [
    Feature(
        "JSON by schema",
        call={
            "chat": c_format(SCHEMA, strict=True),
            "responses": r_format(SCHEMA, strict=True),
            "messages": m_format(SCHEMA),
            "gemini": g_format(responseJsonSchema=TITLED),
        },
        sent={
            "chat": c_format(SCHEMA, strict=True),
            "responses": r_format(SCHEMA, strict=True),
            "messages": m_format(TITLED),
            "gemini": g_format(responseJsonSchema=TITLED),
        },
        # The schemas of messages have no name, and those of Gemini have it within.
        but={("messages", api): But(sent=OF_MESSAGES[api]) for api in ("chat", "responses", "gemini")}
        | {
            ("gemini", "chat"): But(sent=c_format(TITLED, strict=True)),
            ("gemini", "responses"): But(sent=r_format(TITLED, strict=True)),
        },
    ),
    Feature(
        "JSON by schema", "in the words of OpenAPI",
        call={
            "gemini": g_format(
                responseSchema={
                    "type": "OBJECT",
                    "properties": {"a": {"type": "STRING", "nullable": True}},
                    "required": ["a"],
                    "propertyOrdering": ["a"],
                }
            )
        },
        sent=by_schema(SCHEMA | {"properties": {"a": {"type": ["string", "null"]}}}, strict=True),
    ),
    Feature(
        "JSON by schema", "with a description",
        call={"chat": c_format(SCHEMA, strict=True, description="All."), "responses": r_format(SCHEMA, strict=True, description="All.")},
        sent={
            "chat": c_format(SCHEMA, strict=True, description="All."),
            "responses": r_format(SCHEMA, strict=True, description="All."),
            "messages": m_format(TITLED | {"description": "All."}),
            "gemini": g_format(responseJsonSchema=TITLED | {"description": "All."}),
        },
    ),
    Feature(
        "JSON by schema", "that is not strict at OpenAI",
        call={"messages": m_format(OPEN_SCHEMA), "gemini": g_format(responseJsonSchema=OPEN_SCHEMA)},
        sent=by_schema(OPEN_SCHEMA) | {"messages": m_format(OPEN_SCHEMA | {"required": [], "additionalProperties": False})},
    ),
    Feature(
        "JSON by schema", "at Gemini 2.0",
        call={"chat": c_format(SCHEMA), "responses": r_format(SCHEMA), "messages": m_format(SCHEMA)},
        sent={"gemini": g_format(responseSchema=OF_OPENAPI | {"title": "reply"})},
        providers=("gemini",), model={"gemini": "gemini-2.0-flash"},
        but={("messages", "gemini"): But(sent=g_format(responseSchema=OF_OPENAPI))},
    ),
    Feature(
        "JSON by schema, for a model that keeps to none",
        call={"chat": c_format(SCHEMA), "responses": r_format(SCHEMA), "messages": m_format(SCHEMA), "gemini": g_format(responseJsonSchema=SCHEMA)},
        lost={"chat": "400", "responses": "400"}, names=FORMAT_NAMES,
        providers=("chat", "responses"), server={"chat": "deepseek"}, model={"responses": "gpt-4-turbo"},
    ),
    Feature(
        "JSON by schema beside tools, at a Gemini model that takes none",
        call=joined(tools(), {"chat": c_format(SCHEMA), "responses": r_format(SCHEMA), "messages": m_format(SCHEMA)}),
        lost={"gemini": "400"}, names=FORMAT_NAMES,
        providers=("gemini",), model={"gemini": "gemini-2.5-flash"},
    ),
    Feature(
        "JSON without schema",
        call={
            "chat": {"messages": [system(AS_JSON), HI], "response_format": {"type": "json_object"}},
            "responses": {"input": [{"role": "developer", "content": AS_JSON}, HI], "text": {"format": {"type": "json_object"}}},
            "gemini": {"systemInstruction": {"parts": [{"text": AS_JSON}]}} | g_format(),
        },
        sent={
            "chat": {"messages": [system(AS_JSON), HI], "response_format": {"type": "json_object"}},
            # OpenAI looks for the word JSON in the input alone.
            "responses": {"input": [{"role": "developer", "content": AS_JSON}, HI], "text": {"format": {"type": "json_object"}}},
            "messages": {"system": [{"type": "text", "text": AS_JSON}, {"type": "text", "text": ANY_JSON}]},
            "gemini": {"systemInstruction": {"parts": [{"text": AS_JSON}]}} | g_format(),
        },
        lost={"messages": "told"}, names=FORMAT_NAMES,
    ),
    Feature(
        "JSON without schema", "and without the word JSON",
        call={"chat": {"response_format": {"type": "json_object"}}, "responses": {"text": {"format": {"type": "json_object"}}}, "gemini": g_format()},
        sent={
            "chat": {"messages": [system(AS_JSON), HI], "response_format": {"type": "json_object"}},
            "responses": {"input": [{"role": "developer", "content": AS_JSON}, HI], "text": {"format": {"type": "json_object"}}},
            "messages": {"system": ANY_JSON},
            "gemini": g_format(),
        },
        lost={"messages": "told"}, names=FORMAT_NAMES,
    ),
    Feature(
        "Form of the answer that no other API has",
        call={
            "chat": {"response_format": {"type": "haiku"}},
            "responses": {"text": {"format": {"type": "haiku"}}},
            "gemini": {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}},
        },
        lost=dict.fromkeys(APIS, "400"),
        names={"chat": "response_format.type", "responses": "text.format.type", "gemini": "generationConfig.responseMimeType"},
    ),
    Feature(
        "Image answer",
        call={
            "chat": {"modalities": ["text", "image"]},
            "gemini": {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        },
        lost=dict.fromkeys(APIS, "400"),
        names={"chat": "modalities", "gemini": "generationConfig.responseModalities"},
    ),
]  # fmt: skip

VERBOSITY = [
    Feature(
        "Verbosity",
        call={"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
        sent={"responses": {"text": {"verbosity": "low"}}},
        lost=dict.fromkeys(("chat", "messages", "gemini"), "told"),
        names={"chat": "verbosity", "responses": "text.verbosity"},
    ),
    Feature(
        "Verbosity, at OpenAI",
        call={"responses": {"text": {"verbosity": "low"}}},
        sent={"chat": {"verbosity": "low"}},
        providers=("chat",), server={"chat": "openai"}, model={"chat": "gpt-5.6"},
    ),
]  # fmt: skip

HELLO: Json = {"type": "text", "text": "Hello"}
PREFIX: dict[Api, Json] = {
    "chat": {"messages": [HI, assistant(HELLO)]},
    "responses": {"input": [HI, {"role": "assistant", "content": "Hello"}]},
    "messages": {"messages": [HI, assistant(HELLO)]},
    "gemini": {"contents": [G_HI, g_turn("model", {"text": "Hello"})]},
}
PREFILL = [
    Feature(
        "Final assistant message",
        call=PREFIX, sent=PREFIX,
        lost=dict.fromkeys(("responses", "messages", "gemini"), "400"),
        names={"chat": "messages", "responses": "input", "messages": "messages", "gemini": "contents"},
    ),
    Feature(
        "Final assistant message for a Claude model that continues it",
        call=PREFIX,
        sent={"messages": PREFIX["messages"] | {"max_tokens": 64_000}},
        providers=("messages",), model={"messages": OLD_CLAUDE},
    ),
    Feature(
        "Final assistant message for a Gemini model that continues it",
        call=PREFIX, sent=PREFIX,
        providers=("gemini",), model={"gemini": "gemini-3.5-flash"},
    ),
]  # fmt: skip

FEATURES = [*SCHEMAS, *VERBOSITY, *PREFILL]
