"""What the Gemini API refuses, by model. The types are those of the google-genai package, without unknown members."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from google.genai.types import Content, GenerationConfig, Tool, ToolConfig
from pydantic import BaseModel, ValidationError

from proxy.dialects.translation.model_facts import ModelFacts
from proxy.providers.models.gemini import GEMINI, UNKNOWN_AT_GOOGLE
from tests.support.upstream import Request

Json = dict[str, Any]

KEY = "gemini-key"
MODEL = "gemini-3.8-flash"
SKIP = "skip_thought_signature_validator"
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
TARGET = re.compile(r"/v1beta/models/([a-z0-9.-]+):(generateContent|streamGenerateContent\?alt=sse)")
MOST_STOPS = 5
MEMBERS: Final[dict[str, type[BaseModel]]] = {
    "systemInstruction": Content,
    "toolConfig": ToolConfig,
    "generationConfig": GenerationConfig,
}
LISTS: Final[dict[str, type[BaseModel]]] = {"contents": Content, "tools": Tool}
KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
IN_RESULTS = ("inlineData", "fileData")


def of_head(request: Request) -> Iterator[str]:
    """Reasons to refuse the head of a request."""
    if not TARGET.fullmatch(request.target):
        yield f"unknown path {request.target}"
    if request.header("x-goog-api-key") != KEY or request.header("authorization") is not None:
        yield "wrong key"
    for name, _ in request.headers:
        if name.lower().startswith(("anthropic-", "openai-", "x-api-key", "x-stainless-")):
            yield f"header of another API: {name}"


def model_of(request: Request) -> str:
    found = TARGET.fullmatch(request.target)
    return found[1] if found else ""


def of_body(body: Json, model: str = MODEL, signatures: Collection[str] = ()) -> Iterator[str]:
    """Reasons to refuse a body. ``signatures`` are the provider's own."""
    facts = GEMINI.get(model, UNKNOWN_AT_GOOGLE)
    yield from _types(body)
    yield from _contents(body["contents"], facts, signatures)
    yield from _tools(body, facts)
    yield from _settings(body.get("generationConfig", {}), facts)
    if "tools" in body and "responseMimeType" in body.get("generationConfig", {}) and not facts.format_with_tools:
        yield "Function calling with a response mime type: 'application/json' is unsupported"
    if body.get("serviceTier", "standard") not in ("standard", "flex", "priority"):
        yield "serviceTier: unknown"


def _types(body: Json) -> Iterator[str]:
    for name, value in body.items():
        if name in MEMBERS:
            yield from _misfits(name, value, MEMBERS[name])
        elif name in LISTS:
            if not value:
                yield f"{name}: is empty"
            for at, each in enumerate(value):
                yield from _misfits(f"{name}[{at}]", each, LISTS[name])
        elif name != "serviceTier":
            yield f"{name}: is unknown"


def _misfits(path: str, value: Any, kind: type[BaseModel]) -> Iterator[str]:
    try:
        kind.model_validate_json(json.dumps(value))
    except ValidationError as fault:
        yield from (f"{path}.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in fault.errors())


def _contents(contents: list[Json], facts: ModelFacts, signatures: Collection[str]) -> Iterator[str]:
    roles = [content.get("role") for content in contents]
    if roles[:1] == ["model"]:
        yield "contents: a call must come directly after a turn of the user"
    if roles[-1:] == ["model"] and not facts.prefill:
        yield "Requests ending with a model turn are not supported."
    for at, content in enumerate(contents):
        if content.get("role") not in ("user", "model"):
            yield f"contents[{at}]: unknown role"
        if not content["parts"]:
            yield f"contents[{at}]: no parts"
        for part in content["parts"]:
            yield from (f"contents[{at}]: {reason}" for reason in _part(part, content["role"], facts, signatures))
    for before, content in zip([{"parts": []}, *contents], [*contents, {"parts": []}], strict=True):
        yield from _pairs(before, content)
    if facts.thought_signatures:
        yield from _unsigned(contents)


def _part(part: Json, role: str, facts: ModelFacts, signatures: Collection[str]) -> Iterator[str]:
    kinds = [kind for kind in KINDS if kind in part]
    if len(kinds) != 1:
        yield f"a part must be one of {KINDS}, not {sorted(part)}"
        return
    if {"functionCall": "model", "functionResponse": "user"}.get(kinds[0], role) != role:
        yield f"a {kinds[0]} of the {role}"
    if part.get("text") == "" and "thoughtSignature" not in part:
        yield "an empty text"
    if ("thought" in part or "thoughtSignature" in part) and role == "user":
        yield "a thought of the user"
    if "thoughtSignature" in part and part["thoughtSignature"] not in (*signatures, SKIP):
        yield "Corrupted thought signature."
    yield from _media(part, facts)
    for each in part.get("functionResponse", {}).get("parts", ()):
        if not facts.media_in_results:
            yield "multimodal function responses are not supported"
        if [*each] not in [[kind] for kind in IN_RESULTS]:
            yield f"a part of a result must be one of {IN_RESULTS}"
        yield from _media(each, facts)


def _media(part: Json, facts: ModelFacts) -> Iterator[str]:
    if "inlineData" in part and not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", part["inlineData"]["mimeType"]):
        yield f"wrong type {part['inlineData']['mimeType']!r}"
    address = part.get("fileData", {}).get("fileUri", "gs://")
    if not address.startswith(("gs://", "https://", "http://")):
        yield "wrong address"
    if address.startswith("http") and (not facts.fetches or "mimeType" not in part["fileData"]):
        yield "Unsupported file URI"


def _pairs(before: Json, content: Json) -> Iterator[str]:
    """The results of all calls of a turn are in the next one."""
    calls = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
    results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
    if len(calls) != len(results):
        yield "the number of function response parts must be equal to that of function call parts"
    for call, result in zip(calls, results, strict=False):
        if (call.get("id"), call["name"]) != (result.get("id"), result["name"]):
            yield "a result of another call"
        if not {"output", "error"} & result["response"].keys():
            yield "a result without output"
    ids = [call.get("id") for call in calls]
    if len(set(ids)) < len(ids):
        yield "ids of calls repeat"


def _unsigned(contents: list[Json]) -> Iterator[str]:
    """The first call of each step of the current turn needs a signature."""
    starts = [
        at
        for at, content in enumerate(contents)
        if content["role"] == "user" and any("functionResponse" not in part for part in content["parts"])
    ]
    for content in contents[max(starts, default=0) :]:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            yield "Function call is missing a thought_signature in functionCall parts."


def _tools(body: Json, facts: ModelFacts) -> Iterator[str]:
    declared = [each for tool in body.get("tools", ()) for each in tool["functionDeclarations"]]
    names = [each["name"] for each in declared]
    if len(set(names)) < len(names):
        yield "tools: two of one name"
    yield from (f"tools: wrong name {name!r}" for name in names if not NAME.fullmatch(name))
    for each in declared:
        if "parametersJsonSchema" in each and ("parameters" in each or not facts.json_schemas):
            yield "tools: Unknown name 'parametersJsonSchema'"
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    if config and not declared:
        yield "Function calling config is set without function_declarations."
    if config.get("mode", "AUTO") not in ("AUTO", "NONE", "ANY", "VALIDATED"):
        yield "toolConfig: unknown mode"
    allowed = config.get("allowedFunctionNames")
    if allowed is not None and (config["mode"] != "ANY" or not set(allowed) <= set(names) or not allowed):
        yield "allowed_function_names should be set only when the function calling mode is ANY, to declared names"


def _settings(config: Json, facts: ModelFacts) -> Iterator[str]:
    stops = config.get("stopSequences", ["x"])
    if not 0 < len(stops) <= MOST_STOPS or not all(stops):
        yield "stopSequences: at most 5, none of them empty"
    refused = {
        "presence_penalty": "presencePenalty",
        "frequency_penalty": "frequencyPenalty",
        "logprobs": "responseLogprobs",
    }
    yield from (f"{name} is not enabled for this model" for kind, name in refused.items() if kind in facts.refuses and name in config)  # fmt: skip
    if config.get("candidateCount", 1) > facts.candidates:
        yield "Multiple candidates is not enabled for this model"
    if "logprobs" in config and not config.get("responseLogprobs"):
        yield "logprobs without responseLogprobs"
    if facts.output_tokens and config.get("maxOutputTokens", 1) > facts.output_tokens:
        yield "maxOutputTokens: out of range"
    if "responseJsonSchema" in config and not facts.json_schemas:
        yield "Unknown name 'responseJsonSchema'"
    if ("responseJsonSchema" in config or "responseSchema" in config) and "responseMimeType" not in config:
        yield "a schema without responseMimeType"
    yield from _thinking(config.get("thinkingConfig"), facts)


def _thinking(config: Json | None, facts: ModelFacts) -> Iterator[str]:
    if config is None:
        return
    if facts.thinking == "none":
        yield "Thinking is not supported by this model"
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and (facts.thinking != "adaptive" or level.lower() not in (facts.efforts or ())):
        yield f"Thinking level {level} is not supported for this model."
    if budget is None:
        return
    if facts.thinking != "budget":
        yield "thinking_budget is not supported for this model"
    least, most = facts.budgets
    if not (least <= budget <= most or budget == -1 or (budget == 0 and facts.thinking_off == "yes")):
        yield f"The thinking budget {budget} is invalid."
