"""The error answers: one shape for all of them, which is OpenAI's, and what each status says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Struct, UnsetType


class ErrorObject(Struct):
    """OpenAI's error object. ``limit_type`` and ``limit_unit`` say which limit refused, and what it counts."""

    message: str
    type: str | None
    param: str | None
    code: str | int | None
    limit_type: str | UnsetType = UNSET
    limit_unit: str | UnsetType = UNSET


class Error(Struct):
    """Every error of the gateway's own, and of providers wherever they tell theirs in this shape."""

    error: ErrorObject


_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_RETRY = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
_MEANING = {
    "400": "The request is not acceptable; `param` names the field, where it is one.",
    "401": "The key, or the admin token, is missing or not valid.",
    "403": "The credential does not open this; or a change by cookie came from another site.",
    "404": "There is no such thing, or not for this credential.",
    "408": "The body did not come in time.",
    "409": "It cannot be done as things stand.",
    "413": "The body is too large.",
    "415": "The body's encoding is not known.",
    "429": "A limit is used up, of the gateway's or the provider's; too many wrong tokens are one as well.",
    "501": "The configuration does not provide for this.",
    "502": "No provider could answer, or the answer broke.",
    "503": "Not now: full, stopping, or without what this needs.",
    "504": "The provider did not answer in time.",
    "4XX": "What the provider refuses, in its own words.",
    "5XX": "What the provider failed at.",
}
_WAITING = ("429", "503")

API = (400, 401, 403, 404, 408, 413, 415, 429, 502, 503, 504, "4XX", "5XX")


def components() -> dict[str, Any]:
    """The responses that ``refer`` refers to."""
    return {f"Error{status}": _response(status) for status in _MEANING}


def refer(statuses: Iterable[int | str]) -> dict[str, Any]:
    """The Responses Object of these statuses."""
    names = sorted({str(status) for status in statuses})
    return {name: {"$ref": f"#/components/responses/Error{name}"} for name in names}


def _response(status: str) -> dict[str, Any]:
    headers = {"headers": _RETRY} if status in _WAITING else {}
    return {"description": _MEANING[status], **headers, "content": _CONTENT}
