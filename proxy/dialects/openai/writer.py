"""What the gateway itself sends to clients of the OpenAI API.

Sources: https://platform.openai.com/docs/guides/error-codes and
https://platform.openai.com/docs/api-reference/responses-streaming/error
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from proxy.dialects.base import Writer
from proxy.dialects.provider_error import ProviderError
from proxy.errors import ErrorInStream, ErrorKind, GatewayError, RateLimited, ShuttingDown
from proxy.wire import document

_encode: Final = msgspec.json.Encoder().encode

TYPES: Final[dict[ErrorKind, str]] = {
    "invalid_request": "invalid_request_error",
    "unauthorized": "invalid_request_error",
    "rate_limited": "rate_limit_error",
    "overloaded": "overloaded_error",
    "internal": "server_error",
    "upstream": "upstream_error",
}


class OpenAIWriter(Writer):
    """``{"error": {"message", "type", "param", "code"}}``, in an event without a name."""

    terminal = b"data: [DONE]\n\n"

    def error_body(self, fault: GatewayError) -> bytes:
        if isinstance(fault, ShuttingDown):
            return _encode({"statusCode": 503, "message": fault.message, "error": "Service Unavailable"})
        return _error(fault)

    def error_event(self, fault: GatewayError, sequence: int) -> bytes:
        return b"data: %b\n\n" % _error(fault)

    def relayed_error(self, error: ProviderError, body: bytes, status: int) -> bytes:
        """A provider's error body as clients expect it; the same object where it is that already.

        An error of the client's request has a code: where the provider names none, ``upstream_`` and the status.
        """
        answer = document.decode(body)
        own = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(own, dict):
            found = {"message": error.message, "type": error.type or TYPES["invalid_request"], "param": error.param}
            return _encode({"error": found | {"code": _code(error.code, status)}})
        if own.get("code") is not None or status != 400:
            return body
        # Python's encoder, since this may hold halves of surrogate pairs.
        return json.dumps(answer | {"error": own | {"code": _code(None, status)}}, separators=(",", ":")).encode()


class ResponsesWriter(OpenAIWriter):
    """The same, but for events: they have names and numbers."""

    terminal = b""
    model_places = (("model",), ("response", "model"))

    def error_event(self, fault: GatewayError, sequence: int) -> bytes:
        event = {
            "type": "error",
            "code": fault.code,
            "message": fault.message,
            "param": fault.param,
            "sequence_number": sequence + 1,
        }
        return b"event: error\ndata: %b\n\n" % _encode(event)


def _error(fault: GatewayError) -> bytes:
    error: dict[str, Any] = {
        "message": fault.message,
        "type": _type(fault),
        "param": fault.param,
        "code": fault.code,
    }
    if isinstance(fault, RateLimited):
        error |= {"limit_type": fault.limit, "limit_unit": fault.unit}
    return _encode({"error": error})


def _type(fault: GatewayError) -> str:
    if isinstance(fault, ErrorInStream) and fault.provider_type:
        return fault.provider_type
    return TYPES[fault.kind]


def _code(code: str | int | None, status: int) -> str | int:
    return f"upstream_{status}" if code is None else code
