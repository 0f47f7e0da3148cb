"""Error responses: their shape, which is that of the client's API, and what each status means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from proxy.config.provider_schema import WireDialect


class ErrorObject(Struct):
    """OpenAI's error object. ``limit_type`` and ``limit_unit``: which rate limit rejected the request, and its unit."""

    message: str
    type: str | None
    param: str | None
    code: str | int | None
    limit_type: str | UnsetType = UNSET
    limit_unit: str | UnsetType = UNSET


class Error(Struct):
    """The body of every error of the gateway, and of those providers that use the same shape."""

    error: ErrorObject


class AnthropicErrorObject(Struct):
    """The kind of an error, and what went wrong."""

    type: str
    message: str


class AnthropicError(Struct):
    """The body of an error of Anthropic's API; ``type`` is ``error``."""

    type: str
    error: AnthropicErrorObject


class GeminiErrorObject(Struct):
    """google.rpc.Status: ``code`` is the HTTP status, ``status`` its name."""

    code: int
    message: str
    status: str


class GeminiError(Struct):
    """The body of an error of Google's API."""

    error: GeminiErrorObject


TYPES: Final = (Error, AnthropicError, GeminiError)
_SCHEMAS: Final[Mapping[WireDialect, str]] = {"messages": "AnthropicError", "gemini": "GeminiError"}
# Redoc's sampler cannot make one from alternatives.
_GEMINI_EXAMPLE: Final = {"error": {"code": 400, "message": "'contents' is wrong.", "status": "INVALID_ARGUMENT"}}
_RETRY_AFTER: Final = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
_MEANING: Final = {
    "400": "The request is invalid; `param` names the field, if it is one.",
    "401": "The API key or the admin token is missing or invalid.",
    "403": "The credential does not allow this, or a change by session cookie came from another site.",
    "404": "It does not exist, or not for this credential.",
    "408": "The request body did not arrive in time.",
    "409": "The current state does not allow it.",
    "412": "It was changed since it was read, so `If-Match` does not hold.",
    "413": "The request body is too large.",
    "415": "The content coding of the request body is not supported.",
    "429": "A rate limit of the gateway or the provider is reached, or there were too many wrong tokens.",
    "501": "The configuration does not enable this.",
    "502": "No provider answered, or the answer was broken off.",
    "503": "Temporarily unavailable: too busy, stopping, or something it depends on is down.",
    "504": "The provider did not answer in time, or the request takes a cached answer only, and there is none.",
    "4XX": "The provider rejected the request; the body is the provider's.",
    "5XX": "The provider failed.",
}
_WITH_RETRY_AFTER: Final = ("429", "503")

API_ERRORS: Final = (400, 401, 403, 404, 408, 413, 415, 429, 502, 503, 504, "4XX", "5XX")


def error_components() -> dict[str, Any]:
    """The ``responses`` components, by shape and status."""
    found = {f"Error{status}": _response("Error", status) for status in _MEANING}
    for schema in _SCHEMAS.values():
        found |= {f"{schema}{status}": _response(schema, str(status)) for status in API_ERRORS}
    return found


def error_references(statuses: Iterable[int | str], wire: WireDialect = "chat") -> dict[str, Any]:
    """A Responses Object that refers to the components of these statuses; ``wire``: of the client's API."""
    names, schema = sorted({str(status) for status in statuses}), _SCHEMAS.get(wire, "Error")
    return {name: {"$ref": f"#/components/responses/{schema}{name}"} for name in names}


def _response(schema: str, status: str) -> dict[str, Any]:
    headers = {"headers": _RETRY_AFTER} if status in _WITH_RETRY_AFTER else {}
    body: dict[str, Any] = {"$ref": f"#/components/schemas/{schema}"}
    if schema == "GeminiError":  # of a stream without alt=sse, whose answer is an array
        body = {"anyOf": [body, {"type": "array", "items": body}]}
        content: dict[str, Any] = {"schema": body, "example": _GEMINI_EXAMPLE}
    else:
        content = {"schema": body}
    return {"description": _MEANING[status], **headers, "content": {"application/json": content}}
