"""What the gateway itself sends to clients of the OpenAI API.

Source: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from proxy.dialects.base import Writer
from proxy.dialects.openai.error_object import TYPES, error_object, type_of
from proxy.dialects.openai.responses.failure import bare_response, failed_event, response_error
from proxy.dialects.provider_error import ProviderError
from proxy.errors import GatewayError, ShuttingDown
from proxy.wire import document

_encode: Final = msgspec.json.Encoder().encode


class OpenAIWriter(Writer):
    """``{"error": {"message", "type", "param", "code"}}``, in an event without a name."""

    terminal = b"data: [DONE]\n\n"

    def error_body(self, fault: GatewayError) -> bytes:
        if isinstance(fault, ShuttingDown):
            return _encode({"statusCode": 503, "message": fault.message, "error": "Service Unavailable"})
        return _error(fault)

    def error_event(self, fault: GatewayError, sequence: int, answer_id: str = "") -> bytes:
        return b"data: %b\n\n" % _error(fault)

    def relayed_error(self, error: ProviderError, body: bytes, status: int) -> bytes:
        """A provider's error body as clients expect it; the same object where it is that already.

        An error of the client's request has a code: where the provider names none, ``upstream_`` and the status.
        """
        answer = document.decode(body)
        own = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(own, dict):
            kind = type_of(error.type, TYPES["invalid_request"])
            code = _code(None if error.code == status else error.code, status)  # Google's only repeats the status
            return _encode({"error": {"message": error.message, "type": kind, "param": error.param, "code": code}})
        if own.get("code") is not None or status != 400:
            return body
        # Python's encoder, since this may hold halves of surrogate pairs.
        return json.dumps(answer | {"error": own | {"code": _code(None, status)}}, separators=(",", ":")).encode()


class ResponsesWriter(OpenAIWriter):
    """The same, but for events: they have names and numbers, and the last one holds a failed response."""

    terminal = b""
    model_places = (("model",), ("response", "model"))

    def error_event(self, fault: GatewayError, sequence: int, answer_id: str = "") -> bytes:
        error = response_error(fault, begun=bool(answer_id) or sequence >= 0)
        return failed_event(fault, bare_response(answer_id, error), sequence + 1)


def _error(fault: GatewayError) -> bytes:
    return _encode({"error": error_object(fault)})


def _code(code: str | int | None, status: int) -> str | int:
    return f"upstream_{status}" if code is None else code
