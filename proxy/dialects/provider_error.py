"""Errors that providers report, in whatever shape they come.

OpenAI's object ``{"error": {"message", "type", "param", "code"}}`` is the common one; Anthropic's and Gemini's have
``error`` as well. Providers differ in what they put where: ``error`` may be a string, and stand in a list of one.
Source: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.errors import ErrorInStream, UpstreamAuthFailed, UpstreamFault
from proxy.wire import document
from proxy.wire.redaction import redacted

MESSAGE_LIMIT: Final = 2000
ENTRIES: Final = 10  # of a list of mistakes


class ProviderError(msgspec.Struct):
    """``type`` is a word of the provider's dialect; ``status`` is 0 where the error names none."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    status: int = 0


def read(body: bytes) -> ProviderError | None:
    """The error in a JSON document, or ``None`` if it is none or holds none."""
    try:
        return find(document.decode(body))
    except ValueError:
        return None


def refused(body: bytes) -> ProviderError | None:
    """The error of an answer with an error status, which may have no member ``error``.

    FastAPI: ``{"detail": "text"}`` or ``{"detail": [{"loc", "msg"}]}``; vLLM, Mistral, Cohere, Bedrock:
    ``{"message", "type", "param", "code"}``; xAI: ``{"error": "text", "code"}``.
    """
    try:
        answer = document.decode(body)
    except ValueError:
        return None
    found = find(answer)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, dict) or (found is not None and isinstance(answer.get("error"), dict)):
        return found
    message = found.message if found is not None else _text(answer.get("message")) or _detail(answer.get("detail"))
    code = _text(answer.get("code"))
    if not message:
        return found
    return ProviderError(
        message=message,
        type=_text(answer.get("type")) or None,
        param=_text(answer.get("param")) or None,
        code=code if code and " " not in code else None,
    )


def find(answer: Any) -> ProviderError | None:
    """The error in a decoded document: an answer whose ``error`` is null, empty or absent holds none."""
    if isinstance(answer, list) and len(answer) == 1:  # Gemini wraps its errors in a list
        answer = answer[0]
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if isinstance(error, str) and error:
        return ProviderError(_text(error))
    if not isinstance(error, dict) or not error:
        return None
    code = error.get("code")
    named = (code, error.get("status_code"), error.get("status"), answer.get("status_code"))
    status = next(filter(None, map(_status, named)), 0)
    return ProviderError(
        message=_text(error.get("message")),
        type=_text(error.get("type")) or None,
        param=_text(error.get("param")) or None,
        code=_text(code) if isinstance(code, str) else code if type(code) is int and abs(code) < 10**9 else None,
        status=status or _status_of(_text(error.get("type")) + " " + _text(code)),
    )


def fault_of(error: ProviderError | None) -> UpstreamFault:
    """The fault for an error that came with a 200: the status that it should have had, the provider's words.

    Not the words of a 401: they are about the gateway's own credential.
    """
    error = error or ProviderError()
    if error.status == 401:
        return UpstreamAuthFailed("The provider refused the gateway's credential.")
    fault = ErrorInStream(redacted(error.message) or "The provider reported an error.", param=error.param)
    if error.status:
        fault.status = 503 if error.status == 529 else error.status
    fault.provider_type = error.type
    if error.code is not None:
        fault.code = str(error.code)
    return fault


def _detail(detail: object) -> str:
    """The sentence of FastAPI's ``detail``, whose entries name the fields that are wrong."""
    if isinstance(detail, dict):
        return _text(detail.get("message")) or _text(detail.get("msg")) or _text(detail.get("error"))
    if not isinstance(detail, list):
        return _text(detail)
    sentences = []
    for entry in detail[:ENTRIES]:
        place = entry.get("loc") if isinstance(entry, dict) else None
        words = _text(entry.get("msg")) if isinstance(entry, dict) else _text(entry)
        path = ".".join(str(part)[:100] for part in place[:10]) if isinstance(place, list) else ""
        sentences.append(f"{path}: {words}" if path and words else words)
    return _text("; ".join(filter(None, sentences)))


def _status(value: object) -> int:
    """The HTTP error status that a value is, or 0."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) == 3 else value
    return number if isinstance(number, int) and 400 <= number <= 599 else 0


def _status_of(words: str) -> int:
    """The status that goes with an error's type or code where the provider gives no number."""
    for word, status in (("rate_limit", 429), ("insufficient_quota", 429), ("overloaded", 529), ("server_error", 500),
                         ("authentication", 401), ("invalid_request", 400), ("not_found", 404), ("billing_error", 402),
                         ("permission_error", 403), ("request_too_large", 413), ("timeout_error", 504)):  # fmt: skip
        if word in words:
            return status
    return 0


def _text(value: object) -> str:
    # Without halves of surrogate pairs: JSON can carry them, and we could not write them.
    return value[:MESSAGE_LIMIT].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
