"""What the gateway itself sends to clients of the Messages API.

Source: https://docs.claude.com/en/api/errors
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.dialects.base import Writer
from proxy.dialects.provider_error import ProviderError
from proxy.errors import ErrorInStream, GatewayError
from proxy.wire import document

_encode: Final = msgspec.json.Encoder().encode

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    501: "not_supported",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WORDS: Final = frozenset(TYPES.values()) | {"api_error"}


class AnthropicWriter(Writer):
    """``{"type": "error", "error": {"type", "message"}}``, in an event with the name ``error``.

    The SDKs read the name of an event before its data, and take a stream that was cut for a whole one.
    """

    terminal = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    ends_always = True
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    id_header = b"request-id"
    model_places = (("model",), ("message", "model"))

    def error_body(self, fault: GatewayError) -> bytes:
        return _error(_type_of(fault), fault.message)

    def error_event(self, fault: GatewayError, sequence: int, answer_id: str = "") -> bytes:
        return b"event: error\ndata: %b\n\n" % self.error_body(fault)

    def relayed_error(self, error: ProviderError, body: bytes, status: int) -> bytes:
        """A provider's error body as clients expect it; the same bytes where it is that already."""
        if _is_error(document.decode(body)):
            return body
        kind = error.type if error.type in _WORDS else _type(status)
        return _error(kind, error.message)

    def with_metadata(self, body: bytes, member: bytes) -> bytes:
        """The body itself: typed clients refuse unknown members. The header lines tell the same."""
        return body


def _is_error(answer: Any) -> bool:
    error = answer.get("error") if isinstance(answer, dict) and answer.get("type") == "error" else None
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)


def _error(kind: str, message: str) -> bytes:
    return _encode({"type": "error", "error": {"type": kind, "message": message}})


def _type_of(fault: GatewayError) -> str:
    if isinstance(fault, ErrorInStream) and fault.provider_type in _WORDS:
        return fault.provider_type
    if fault.kind == "quota_exceeded":  # no ``rate_limit_error``, after which clients wait for some seconds
        return "billing_error"
    return _type(fault.status)


def _type(status: int) -> str:
    return TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
