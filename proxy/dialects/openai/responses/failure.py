"""The last event of a stream that broke, and the code by which clients decide whether to repeat the request.

Codex 0.171 repeats a request up to five times if its stream ends with an event ``error``, or with ``response.failed``
and an unknown code, ``server_error`` or ``rate_limit_exceeded``. Each time is billed. The codes in ``_FINAL`` end its
turn; it shows the message of ``invalid_prompt``. OpenAI's packages raise only if ``error`` stands in the event itself.
Source: https://platform.openai.com/docs/api-reference/responses-streaming/response/failed
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.openai.error_object import error_object
from proxy.errors import GatewayError

_FINAL: Final = frozenset(
    [
        *("context_length_exceeded", "insufficient_quota", "invalid_prompt"),
        *("server_is_overloaded", "cyber_policy", "bio_policy"),
    ]
)
_encode: Final = msgspec.json.Encoder().encode


def response_error(fault: GatewayError, *, begun: bool) -> dict[str, str]:
    """The object ``error`` of a response. ``begun``: the client has content, so nothing may be repeated."""
    return {"code": _code(fault, begun), "message": fault.message}


def failed_event(fault: GatewayError, response: bytes, number: int) -> bytes:
    """The event ``response.failed``, with the error as chat streams have it. ``response``: the object, as JSON."""
    return (
        b'event: response.failed\ndata: {"type":"response.failed","response":%b,"error":%b,"sequence_number":%d}\n\n'
        % (response, _encode(error_object(fault)), number)
    )


def bare_response(answer_id: str, error: dict[str, str]) -> bytes:
    """The object of a response of which nothing but its id is known."""
    return _encode(
        {
            "id": answer_id,
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": error,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": "",
            "output": [],
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
        }
    )


def _code(fault: GatewayError, begun: bool) -> str:
    if fault.code in _FINAL:
        return fault.code
    if begun or fault.should_retry is False or fault.kind in ("invalid_request", "unauthorized"):
        return "invalid_prompt"
    return "rate_limit_exceeded" if fault.kind == "rate_limited" or fault.status == 429 else "server_error"
