"""Errors of the Gemini API: ``{"error": {"code", "message", "status", "details"}}``, where ``status`` is a word.

A stream that was not requested as SSE has its error in a list of one.
Sources: https://google.aip.dev/193 and https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects import provider_error
from proxy.dialects.provider_error import ProviderError
from proxy.wire import document

# HTTP statuses by word, as code.proto maps them.
STATUSES: Final[dict[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORDS: Final[dict[int, str]] = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",  # Google's word for a project without billing
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    410: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def word_of(status: int) -> str:
    """The word for an HTTP error status."""
    return _WORDS.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def find(answer: Any) -> ProviderError | None:
    """The error in a decoded document, ``None`` if it holds none. Its ``type`` is the word."""
    error = provider_error.find(answer)
    return None if error is None else _named(error, answer)


def refused(body: bytes) -> ProviderError | None:
    """The error of an answer with an error status, ``None`` where there is none to read."""
    error = provider_error.refused(body)
    return None if error is None else _named(error, document.decode(body))


def own(answer: Any) -> dict[str, Any] | None:
    """The error object of a document that is an error of this dialect, ``None`` for any other document."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict) or error.get("status") not in STATUSES:
        return None
    return error if isinstance(error.get("message"), str) and isinstance(error.get("code"), int) else None


def _named(error: ProviderError, answer: Any) -> ProviderError:
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    found = answer.get("error") if isinstance(answer, dict) else None
    word = found.get("status") if isinstance(found, dict) else None
    if isinstance(word, str) and word in STATUSES:
        error.type = word
        error.status = error.status or STATUSES[word]
    return error
