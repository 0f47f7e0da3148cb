"""The SDK of Google as a client: calls given as JSON, and answers as JSON again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from google.genai import types
from google.genai.client import AsyncClient
from google.genai.errors import APIError
from pydantic import BaseModel, ValidationError

from tests.translation.cells import Json, merged

_CONFIG: Final = "generationConfig"
# Members of a request that the SDK has among the settings.
_SETTINGS: Final = ("systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent")
_NAMES: Final = {field.alias or name for name, field in types.GenerateContentConfig.model_fields.items()}


async def stream(sdk: AsyncClient, call: Json) -> AsyncIterator[types.GenerateContentResponse]:
    """The chunks of a stream, as they come."""
    arguments: Any = _arguments(call)
    async for chunk in await sdk.models.generate_content_stream(**arguments):
        yield chunk


async def generate(sdk: AsyncClient, call: Json, *, streamed: bool) -> tuple[Json, Mapping[str, str], list[Json]]:
    """The answer, the header lines, and the chunks. A stream's chunks make the answer that a plain one is."""
    if streamed:
        chunks = [chunk async for chunk in stream(sdk, call)]
    else:
        arguments: Any = _arguments(call)
        chunks = [await sdk.models.generate_content(**arguments)]
    head = chunks[0].sdk_http_response
    found = list(map(as_json, chunks))
    return (_joined(found) if streamed else found[0]), (head.headers or {}) if head else {}, found if streamed else []


def as_json(chunk: types.GenerateContentResponse) -> Json:
    """An answer, or a chunk of one, without what only the SDK has."""
    return _json(chunk, exclude={"sdk_http_response", "parsed", "automatic_function_calling_history"})


def refusal(error: APIError) -> tuple[int, str, str, str]:
    """Status, its word, the message and the member that is wrong."""
    details: Any = error.details
    if "error" in details:
        details = details["error"]
    fields = [each["field"] for detail in details.get("details", ()) for each in detail.get("fieldViolations", ())]
    return error.code, error.status or "", error.message or "", "".join(fields[:1])


def _arguments(call: Json) -> Json:
    """Arguments of the SDK's method. What its types do not have goes into the body all the same."""
    settings = dict(call.get(_CONFIG, {})) | {name: call[name] for name in _SETTINGS if name in call}
    config = {name: value for name, value in settings.items() if name in _NAMES}
    extra: Json = {name: value for name, value in call.items() if name not in (_CONFIG, *_SETTINGS, "contents")}
    unknown = {name: value for name, value in call.get(_CONFIG, {}).items() if name not in config}
    if unknown:
        extra[_CONFIG] = unknown
    contents: Any = []
    try:
        contents = [types.Content.model_validate_json(json.dumps(each)) for each in call["contents"]]
    except ValidationError:
        extra["contents"] = call["contents"]
    made = types.GenerateContentConfig.model_validate_json(json.dumps(config))
    made.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
    if extra:
        made.http_options = types.HttpOptions(extra_body=extra)
    return {"model": "m", "contents": contents or "Hi", "config": made}


def _json(model: BaseModel, **options: Any) -> Json:
    found: Json = json.loads(model.model_dump_json(by_alias=True, exclude_none=True, **options))
    return _plain(found)


def _plain(value: Any) -> Any:
    """Base64 of the usual alphabet: the SDK writes that of addresses."""
    if isinstance(value, dict):
        return {
            name: each.replace("-", "+").replace("_", "/") if name in ("data", "thoughtSignature") else _plain(each)
            for name, each in value.items()
        }
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _joined(chunks: list[Json]) -> Json:
    """The answer of a stream, whose pieces of one text are one part."""
    found: Json = {}
    for chunk in chunks:
        candidates = [*found.get("candidates", ()), *chunk.get("candidates", ())]
        found = merged(found, chunk) | {"candidates": candidates}
    joined: dict[int, Json] = {}
    for candidate in found["candidates"]:
        place = candidate.get("index", 0)
        known = joined.get(place, {"content": {"parts": []}})
        parts = [*known["content"]["parts"], *candidate.get("content", {}).get("parts", ())]
        logprobs = known.get("logprobsResult", {})
        joined[place] = merged(known, candidate) | {"content": {"parts": parts, "role": "model"}}
        if logprobs and "logprobsResult" in candidate:
            joined[place]["logprobsResult"] = _extended(logprobs, candidate["logprobsResult"])
    for candidate in joined.values():
        candidate["content"]["parts"] = _texts_joined(candidate["content"]["parts"])
    return found | {"candidates": list(joined.values())}


def _extended(known: Json, more: Json) -> Json:
    return {name: [*known.get(name, ()), *more.get(name, ())] for name in known.keys() | more.keys()}


def _texts_joined(parts: Iterable[Json]) -> list[Json]:
    """Texts that follow each other as one. Its signature may come with any piece, or alone after the last."""
    found: list[Json] = []
    for part in parts:
        before = found[-1] if found else {}
        if (
            "text" in part
            and "text" in before
            and part.get("thought") == before.get("thought")
            and not ("thoughtSignature" in before and "thoughtSignature" in part)
        ):
            found[-1] = before | part | {"text": before["text"] + part["text"]}
        else:
            found.append(part)
    return [part for part in found if part != {"text": ""}] or found[:1]
