"""The paths of the model API, from the table of endpoints."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from proxy.control.http.operation import EVENT_STREAM, JSON
from proxy.control.openapi.calls import request_body
from proxy.control.openapi.errors import API_ERRORS, error_references
from proxy.control.openapi.headers import header_references, parameter_references
from proxy.router_metadata import RouterMetadata
from proxy.routing.endpoints import ENDPOINTS, Endpoint

BASE: Final = "/v1/"
GEMINI_BASE: Final = "/v1beta/models/{model}:"
TAG: Final = "api"
SECURITY: Final[list[dict[str, list[str]]]] = [{"apiKey": []}, {"apiKeyHeader": []}, {}]

_MODELS_ERRORS: Final = (400, 401, 404, 429, 503)
_SUMMARIES: Final = {
    "chat/completions": "Create a chat completion",
    "chat/completions/stream": "Create a chat completion, always streamed",
    "completions": "Continue a text",
    "responses": "Create a response",
    "responses/input_tokens": "Count the tokens of a response's input",
    "embeddings": "Create embeddings",
    "moderations": "Moderate a text",
    "images/generations": "Create an image",
    "images/edits": "Edit an image",
    "audio/speech": "Convert text to speech",
    "audio/transcriptions": "Transcribe speech",
    "audio/translations": "Translate speech into English text",
    "messages": "Create a message",
    "messages/count_tokens": "Count the tokens of a message",
    "generateContent": "Generate content",
    "streamGenerateContent": "Generate content as a stream",
    "countTokens": "Count the tokens of contents",
    "embedContent": "Create an embedding",
    "batchEmbedContents": "Create several embeddings",
}
_ANSWER: Final = {
    "type": "object",
    "properties": {"_router": {"$ref": "#/components/schemas/RouterMetadata"}},
    "additionalProperties": True,
    "description": "As the API defines it, with the metadata of the gateway.",
}


class ModelObject(Struct):
    """OpenAI's model object; ``created`` in Unix seconds."""

    id: str
    object: str
    created: int
    owned_by: str


class ModelEntry(Struct, rename="camel"):
    """A model of the configuration."""

    name: str
    provider: str
    type: str
    context_size: int | None
    tags: list[str]
    available: bool


class ModelListView(Struct):
    """``data``: as OpenAI lists models, each name once; ``models``: with details."""

    object: str
    data: list[ModelObject]
    models: list[ModelEntry]


TYPES: Final = (ModelObject, ModelListView, RouterMetadata)


_MODEL_IN_PATH: Final = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def api_paths() -> dict[str, Any]:
    return {_path(each): {"post": _call(each)} for each in ENDPOINTS} | {
        BASE + "models": {"get": _models("listModels", "List the models", "ModelListView")},
        BASE + "models/{model}": {
            "get": {
                **_models("retrieveModel", "Show a model", "ModelObject"),
                "parameters": [_MODEL_IN_PATH],
            }
        },
    }


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if not endpoint.in_path:
        return []
    model = "gemini-embedding-001" if "mbed" in endpoint.path else "gemini-2.5-flash"
    return [{**_MODEL_IN_PATH, "example": model}]


def _path(endpoint: Endpoint) -> str:
    return (GEMINI_BASE if endpoint.in_path else BASE) + (endpoint.alias or endpoint.path)


def _call(endpoint: Endpoint) -> dict[str, Any]:
    name = endpoint.alias or endpoint.path
    return {
        "tags": [TAG],
        "operationId": "api_" + name.replace("/", "_"),
        "summary": _SUMMARIES[name],
        "security": SECURITY,
        "parameters": [*parameter_references(), *_path_parameters(endpoint)],
        "requestBody": request_body(endpoint),
        "responses": {
            "200": {"description": "Success.", "headers": header_references(), "content": _content(endpoint)},
            **error_references(API_ERRORS, endpoint.wire),
        },
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    events: dict[str, Any] = {EVENT_STREAM: {}} if endpoint.streams else {}
    if endpoint.in_path and endpoint.streams:
        return {JSON: {}, **events}  # without alt=sse one array
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
            "200": {"description": "Success.", "content": content},
            **error_references(_MODELS_ERRORS),
        },
    }
