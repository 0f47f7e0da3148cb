"""OpenAI's error object, read and written: ``{"error": {"message", "type", "param", "code"}}``.

Source: https://platform.openai.com/docs/guides/error-codes. Providers differ in what they put where; the
reader takes ``error`` as an object or as a string, alone or in a list of one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import ErrorInStream, GatewayError, RateLimited
from proxy.wire import document

_encode = msgspec.json.Encoder().encode

MESSAGE_LIMIT = 2000


class ProviderError(msgspec.Struct):
    """What a provider said went wrong; ``status`` is 0 where the body names none."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    status: int = 0


def body(fault: GatewayError) -> bytes:
    """The JSON of an error of ours."""
    error = {"message": fault.message, "type": fault.type, "param": fault.param, "code": fault.code}
    if isinstance(fault, RateLimited):
        error |= {"limit_type": fault.limit, "limit_unit": fault.unit}
    return _encode({"error": error})


def read(body: bytes) -> ProviderError | None:
    """The error in a JSON document, or ``None`` if it is none or holds none."""
    try:
        return find(document.decode(body))
    except ValueError:
        return None


def find(answer: Any) -> ProviderError | None:
    """The error in a decoded document: an answer whose ``error`` is null, empty or absent holds none."""
    if isinstance(answer, list) and len(answer) == 1:  # Gemini's wraps its errors so
        answer = answer[0]
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if isinstance(error, str) and error:
        return ProviderError(_text(error))
    if not isinstance(error, dict) or not error:
        return None
    code = error.get("code")
    told = (code, error.get("status_code"), error.get("status"), answer.get("status_code"))
    status = next(filter(None, map(_status, told)), 0)
    return ProviderError(
        message=_text(error.get("message")),
        type=_text(error.get("type")) or None,
        param=_text(error.get("param")) or None,
        code=_text(code) if isinstance(code, str) else code if type(code) is int and abs(code) < 10**9 else None,
        status=status or _status_of(_text(error.get("type")) + " " + _text(code)),
    )


def fault_of(error: ProviderError | None) -> ErrorInStream:
    """The fault for an error that came with a 200: the status that it should have had, the provider's words."""
    error = error or ProviderError()
    if error.status in (401, 402, 403):  # about our credential: not the client's business
        return ErrorInStream("The provider refused the gateway's credential.", code="upstream_auth_failed")
    fault = ErrorInStream(error.message or "The provider reported an error.", param=error.param)
    if error.status:
        fault.status = 503 if error.status == 529 else error.status
    if error.type:
        fault.type = error.type
    if error.code is not None:
        fault.code = str(error.code)
    return fault


def _status(value: object) -> int:
    """The HTTP error status that a value is, or 0."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) == 3 else value
    return number if isinstance(number, int) and 400 <= number <= 599 else 0


def _status_of(words: str) -> int:
    """The status that goes with an error's type or code where the provider gives no number."""
    for word, status in (("rate_limit", 429), ("insufficient_quota", 429), ("overloaded", 529), ("server_error", 500),
                         ("authentication", 401), ("invalid_request", 400), ("not_found", 404)):  # fmt: skip
        if word in words:
            return status
    return 0


def _text(value: object) -> str:
    # Without halves of surrogate pairs: JSON can carry them, and we could not write them.
    return value[:MESSAGE_LIMIT].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
