"""The paths of the API itself, out of the table of endpoints."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from proxy.control.openapi import calls, faults, wishes
from proxy.control.openapi.operation import EVENTS, JSON
from proxy.router_metadata import RouterMetadata
from proxy.routing.endpoints import ENDPOINTS, Endpoint

BASE = "/v1/"
TAG = "api"
SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}, {"apiKeyHeader": []}, {}]

_MODELS_ERRORS = (400, 401, 404, 429, 503)
_SUMMARIES = {
    "chat/completions": "Answer a conversation",
    "chat/completions/stream": "Answer a conversation, always as a stream",
    "completions": "Go on with a text",
    "responses": "Answer with the Responses API",
    "embeddings": "Texts as vectors",
    "moderations": "Judge a text",
    "images/generations": "Paint a picture",
    "images/edits": "Change a picture",
    "audio/speech": "Say a text",
    "audio/transcriptions": "Write down what is said",
    "audio/translations": "Write down in English what is said",
}
_ANSWER = {
    "type": "object",
    "properties": {"_router": {"$ref": "#/components/schemas/RouterMetadata"}},
    "additionalProperties": True,
    "description": "What the API defines, and who answered.",
}


class ModelObject(Struct):
    """OpenAI's model object; ``created`` in Unix seconds."""

    id: str
    object: str
    created: int
    owned_by: str


class ModelRow(Struct, rename="camel"):
    """One entry of the configuration."""

    name: str
    provider: str
    type: str
    context_size: int | None
    tags: list[str]
    available: bool


class ModelList(Struct):
    """``data`` as OpenAI lists models, a name once; ``models`` has more of each."""

    object: str
    data: list[ModelObject]
    models: list[ModelRow]


TYPES = (ModelObject, ModelList, RouterMetadata)


def paths() -> dict[str, Any]:
    return {BASE + (each.alias or each.path): {"post": _call(each)} for each in ENDPOINTS} | {
        BASE + "models": {"get": _models("listModels", "The models there are", "ModelList")},
        BASE + "models/{model}": {
            "get": {
                **_models("retrieveModel", "One model", "ModelObject"),
                "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
            }
        },
    }


def _call(endpoint: Endpoint) -> dict[str, Any]:
    name = endpoint.alias or endpoint.path
    return {
        "tags": [TAG],
        "operationId": "api_" + name.replace("/", "_"),
        "summary": _SUMMARIES[name],
        "security": SECURITY,
        "parameters": wishes.asked(),
        "requestBody": calls.body(endpoint),
        "responses": {
            "200": {"description": "The answer.", "headers": wishes.told(), "content": _content(endpoint)},
            **faults.refer(faults.API),
        },
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    events: dict[str, Any] = {EVENTS: {}} if endpoint.streams else {}
    if endpoint.force_stream:
        return events
    other: dict[str, Any] = {"*/*": {}} if endpoint.answer == "any" else {}
    return {JSON: {"schema": _ANSWER}, **events, **other}


def _models(operation: str, summary: str, kind: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{kind}"}}}
    return {
        "tags": [TAG],
        "operationId": operation,
        "summary": summary,
        "security": SECURITY,
        "responses": {
            "200": {"description": "As told.", "content": content},
            **faults.refer((400, 401, 404, 429, 503)),
        },
    }
