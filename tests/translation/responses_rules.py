"""What a provider of the Responses API refuses, by model. The types are those of the openai package.

OpenAI itself and Azure take all that OpenAI documents. A server that is only compatible refuses what is OpenAI's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from proxy.dialects.translation.model_facts import ModelFacts
from proxy.providers.models.gpt import GPT, WITH_BREAKPOINTS
from tests.support.upstream import Request
from tests.translation.responses_input_rules import NAME, of_input
from tests.translation.types_check import misfits

Json = dict[str, Any]

KEY: Final = "responses-key"
MODEL: Final = "gpt-5.6"
OPENAI: Final = ("openai", "azure")
SEALED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
STATE: Final = ("previous_response_id", "conversation", "prompt", "background")
OTHERS: Final = ("anthropic-", "x-goog-", "x-api-key", "x-stainless-")
# Texts of at most 64 characters: https://github.com/looplj/axonhub/issues/1669,
# https://github.com/theopenco/llmgateway/pull/3110
SHORT: Final = ("safety_identifier", "user", "prompt_cache_key")
# Members that only OpenAI takes.
OPENAIS: Final = ("service_tier", "prompt_cache_key", "prompt_cache_options", "metadata", "safety_identifier")


def of_head(request: Request) -> Iterator[str]:
    """Reasons to refuse the head of a request."""
    if request.target != "/v1/responses":
        yield f"unknown path {request.target}"
    if request.header("authorization") != f"Bearer {KEY}":
        yield "wrong key"
    yield from (f"header of another API: {name}" for name, _ in request.headers if name.lower().startswith(OTHERS))


def of_body(body: Json, server: str = "openai", signatures: Collection[str] = ()) -> Iterator[str]:
    """Reasons to refuse a body. ``server``: name of a known one; ``signatures``: encrypted contents of its own.

    A mapping of ``signatures`` has the id of the item for each, which must come back with it, or none.
    """
    absent = [name for name in ("model", "input") if not body.get(name)]
    if absent:
        yield from (f"Missing required parameter: '{name}'." for name in absent)
        return
    facts = GPT.get(body["model"]) if server in OPENAI else ModelFacts()
    if facts is None:
        yield f"model: {body['model']}"
        return
    params = ResponseCreateParamsStreaming if body.get("stream") else ResponseCreateParamsNonStreaming
    yield from misfits(_standard(body), params)
    yield from (f"{name}: nothing is stored here" for name in STATE if body.get(name))
    yield from _settings(body)
    yield from _model(body, facts)
    yield from _tools(body)
    yield from _format(body, facts)
    yield from of_input(_items(body), signatures)
    yield from _breakpoints(body) if server in OPENAI else _of_openai(body)


def _items(body: Json) -> list[Json]:
    given = body["input"]
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _standard(body: Json) -> Json:
    """The body with members that the package's types require and the API does not."""
    if isinstance(body["input"], str):
        return body
    return body | {"input": [_standard_item(item) for item in body["input"]]}


def _standard_item(item: Json) -> Json:
    if item.get("type") == "reasoning":
        return {"id": "rs_"} | item
    if item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    parts = [({"annotations": []} | part) if part.get("type") == "output_text" else part for part in item["content"]]
    return {"id": "msg_", "status": "completed"} | item | {"content": parts}


def _settings(body: Json) -> Iterator[str]:
    include = body.get("include") or ()
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options: only allowed with stream"
    if body.get("max_output_tokens", 16) < 16:
        yield "max_output_tokens: integer below minimum value. Expected a value >= 16"
    if not 0 <= body.get("temperature", 0) <= 2:
        yield "temperature: from 0 to 2"
    if not 0 <= body.get("top_p", 0) <= 1:
        yield "top_p: from 0 to 1"
    if not 0 <= body.get("top_logprobs", 0) <= 20:
        yield "top_logprobs: from 0 to 20"
    if "top_logprobs" in body and LOGPROBS not in include:
        yield f"top_logprobs: only allowed with {LOGPROBS} in include"
    for name in SHORT:
        if len(body.get(name, "")) > 64:
            yield f"{name}: string too long. Expected a string with maximum length 64"
    tags = body.get("metadata", {})
    if len(tags) > 16 or any(len(name) > 64 or len(str(value)) > 512 for name, value in tags.items()):
        yield "metadata: at most 16 pairs, of names up to 64 and values up to 512 characters"


def _model(body: Json, facts: ModelFacts) -> Iterator[str]:
    """Settings that the model does not take."""
    reasoning, include = body.get("reasoning", {}), body.get("include") or ()
    effort = reasoning.get("effort", "")
    if facts.efforts == ():
        if reasoning:
            yield "Unsupported parameter: 'reasoning' is not supported with this model."
        if SEALED in include:
            yield "Encrypted content is not supported with this model."
    elif effort and facts.efforts is not None and effort not in facts.efforts:
        yield f"reasoning.effort: {effort!r} is not supported with this model"
    if not facts.takes_sampling(effort):
        yield from (
            f"Unsupported parameter: '{name}' is not supported with this model."
            for name in ("temperature", "top_p", "top_logprobs")
            if name in body
        )
        if LOGPROBS in include:
            yield "logprobs are not supported with reasoning models"
    if facts.output_tokens and body.get("max_output_tokens", 0) > facts.output_tokens:
        yield f"max_output_tokens: this model supports at most {facts.output_tokens}"


def _tools(body: Json) -> Iterator[str]:
    tools = body.get("tools") or []
    names = [(tool["type"], tool.get("name", "")) for tool in tools if tool["type"] in ("function", "custom")]
    yield from (f"tools: wrong name {name!r}" for _, name in names if not NAME.fullmatch(name))
    if len({name for _, name in names}) < len(names):
        yield "tools: two of one name"
    for tool in tools:
        parameters = tool.get("parameters")
        if parameters is not None and parameters.get("type") != "object":
            yield "tools: parameters must be a schema of an object"
        if tool.get("strict"):
            yield from (f"tools: {reason}" for reason in _open_objects(parameters))
    choice = body.get("tool_choice")
    yield from (f"tool_choice: no tool {each}" for each in _chosen(choice) if each not in names)
    if choice == "required" and not tools:
        yield "Tool choice 'required' must be specified with 'tools' parameter."


def _chosen(choice: Any) -> list[tuple[str, str]]:
    """Types and names of tools in a tool choice."""
    match choice:
        case {"type": "function" | "custom" as kind, "name": name}:
            return [(kind, name)]
        case {"type": "allowed_tools", "tools": tools}:
            return [(tool["type"], tool["name"]) for tool in tools]
    return []


def _format(body: Json, facts: ModelFacts) -> Iterator[str]:
    match body.get("text", {}).get("format"):
        case {"type": "json_schema", "name": name, "schema": schema, **more}:
            if not facts.structured:
                yield "text.format: 'json_schema' is not supported with this model"
            if not NAME.fullmatch(name):
                yield f"text.format.name: wrong: {name!r}"
            if schema.get("type") != "object":
                yield "text.format.schema: must be a schema of an object"
            if more.get("strict"):
                yield from (f"text.format.schema: {reason}" for reason in _open_objects(schema))
        case {"type": "json_object"}:
            if "json" not in str(body["input"]).lower():
                yield "input must contain the word 'json' to use text.format of type 'json_object'"


def _open_objects(schema: Any) -> Iterator[str]:
    """Objects of a schema that a strict one may not have."""
    if isinstance(schema, list):
        for each in schema:
            yield from _open_objects(each)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield "'additionalProperties' is required to be supplied and to be false"
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            yield "'required' is required to be an array including every key in properties"
    for each in schema.values():
        yield from _open_objects(each)


def _breakpoints(body: Json) -> Iterator[str]:
    marked = "prompt_cache_breakpoint" in str(body) or "prompt_cache_options" in body
    if marked and body["model"] not in WITH_BREAKPOINTS:
        yield "prompt_cache_breakpoint: not supported with this model"


def _of_openai(body: Json) -> Iterator[str]:
    """What only OpenAI takes."""
    yield from (f"{name}: is unknown here" for name in OPENAIS if name in body)
    if "verbosity" in body.get("text", {}):
        yield "text.verbosity: is unknown here"
    if "prompt_cache_breakpoint" in str(body):
        yield "prompt_cache_breakpoint: is unknown here"
    if any(tool["type"] != "function" for tool in body.get("tools") or ()):
        yield "tools: functions only"
    for item in _items(body):
        if item.get("role") == "developer":
            yield "unknown role developer"
        if item.get("type", "").startswith("custom_"):
            yield "custom tools are unknown here"
        if "phase" in item:
            yield "phase: is unknown here"
