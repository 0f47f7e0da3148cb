"""The object ``error`` of the OpenAI API for the gateway's own errors.

Source: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any, Final

from proxy.errors import ErrorInStream, ErrorKind, GatewayError, RateLimited

TYPES: Final[dict[ErrorKind, str]] = {
    "invalid_request": "invalid_request_error",
    "unauthorized": "invalid_request_error",
    "rate_limited": "rate_limit_error",
    "quota_exceeded": "insufficient_quota",
    "overloaded": "overloaded_error",
    "internal": "server_error",
    "upstream": "upstream_error",
}


def error_object(fault: GatewayError) -> dict[str, Any]:
    """``{"message", "type", "param", "code"}``; the type of an error in a stream is the provider's own."""
    error: dict[str, Any] = {
        "message": fault.message,
        "type": _type(fault),
        "param": fault.param,
        "code": fault.code,
    }
    if isinstance(fault, RateLimited):
        error |= {"limit_type": fault.limit, "limit_unit": fault.unit}
    return error


def type_of(word: str | None, usual: str) -> str:
    """The type for a provider's ``word``. Google's are statuses in upper case, which clients of OpenAI do not know."""
    return word if word and not word.isupper() else usual


def _type(fault: GatewayError) -> str:
    return type_of(fault.provider_type if isinstance(fault, ErrorInStream) else None, TYPES[fault.kind])
