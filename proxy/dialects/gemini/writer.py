"""What the gateway itself sends to clients of the Gemini API.

Google's SDKs raise on comments, on ``event:`` lines and on ``[DONE]``, so a stream has only ``data:`` lines and blank
lines. They recognize an error by its first member, ``error``. Google's own errors within a stream are no events, and
older versions of the JavaScript SDK (1.30 is in Gemini CLI 0.61) raise on those only, so a stream ends with both forms.
Sources: https://google.aip.dev/193, google-genai 3.6 (``_api_client.py``, ``errors.py``), @google/genai 1.30 and 3.3
(``processStreamResponse``)
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from proxy.dialects.base import Writer
from proxy.dialects.gemini import status
from proxy.dialects.provider_error import ProviderError
from proxy.errors import ErrorInStream, GatewayError
from proxy.wire import document

_encode: Final = msgspec.json.Encoder().encode

_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "sluice"
# Gemini CLI 0.61 repeats a 429 ten times, unless it has to wait for more than five minutes.
_NOT_RENEWED: Final = 86_400  # seconds
_is_reason: Final = re.compile(r"[a-z][a-z_0-9]{1,62}").fullmatch


class GeminiWriter(Writer):
    """``{"error": {"code", "message", "status", "details"}}``; ``code`` is the HTTP status."""

    ping = b"\n"  # a blank line: the only thing that clients ignore
    takes_comments = False
    model_places = (("modelVersion",),)

    def error_body(self, fault: GatewayError) -> bytes:
        return _error(fault)

    def error_event(self, fault: GatewayError, sequence: int, answer_id: str = "") -> bytes:
        return b"data: %b\n\n" % _error(fault)

    def error_tail(self, fault: GatewayError) -> bytes:
        """The error without framing. No blank line: after one, SDKs that get it together with an event drop it."""
        return _error(fault) + b"\n"

    def relayed_error(self, error: ProviderError, body: bytes, status_: int) -> bytes:
        """A provider's error body as clients expect it; the same bytes where it is that already."""
        if status.own(document.decode(body)) is not None:
            return body
        return _encode({"error": {"code": status_, "message": error.message, "status": status.word_of(status_)}})

    def with_metadata(self, body: bytes, member: bytes) -> bytes:
        """The body itself: typed clients refuse unknown members. The headers have the same facts."""
        return body

    def metadata_comment(self, document: bytes) -> bytes:
        return b""


def _error(fault: GatewayError) -> bytes:
    error: dict[str, Any] = {"code": fault.status, "message": fault.message, "status": _word(fault)}
    details = _details(fault)
    if details:
        error["details"] = details
    return _encode({"error": error})


def _word(fault: GatewayError) -> str:
    if isinstance(fault, ErrorInStream) and status.STATUSES.get(fault.provider_type or "") == fault.status:
        return fault.provider_type or ""
    return status.word_of(fault.status)


def _details(fault: GatewayError) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if fault.code and _is_reason(fault.code):
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": fault.code.upper(), "domain": _DOMAIN})
    if fault.param:
        violation = {"field": fault.param, "description": fault.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    wait = _NOT_RENEWED if fault.retry_after is None and fault.kind == "quota_exceeded" else fault.retry_after
    if wait is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait}s"})
    return details
