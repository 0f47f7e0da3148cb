"""Responses of the control plane: never cached, never shared with other origins, errors in the shape of the API."""

from __future__ import annotations

from typing import Any, Final

from msgspec import json

from proxy import responder
from proxy.errors import GatewayError
from proxy.server.request import Request
from proxy.server.security import NOSNIFF

NO_STORE: Final = b"Cache-Control: no-store\r\n"
JSON_HEADERS: Final = b"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n" + NO_STORE

_BODY_UNREAD: Final = (408, 413)  # statuses after which the rest of the request body is not read


def send_json(request: Request, status: int, value: Any, header_lines: bytes = b"") -> None:
    """Send ``value`` as JSON."""
    request.reply.send(status, JSON_HEADERS + header_lines, json.encode(value))


def send_no_content(request: Request, header_lines: bytes = b"") -> None:
    """Send status 204."""
    request.reply.send(204, NO_STORE + header_lines)


def redirect(request: Request, location: str, header_lines: bytes = b"") -> None:
    """Send status 303: the browser requests ``location`` with GET and without a referrer."""
    target = b"Location: %b\r\nReferrer-Policy: no-referrer\r\n" % location.encode("ascii")
    request.reply.send(303, NO_STORE + target + header_lines)


def send_error(request: Request, fault: GatewayError, header_lines: bytes = b"") -> None:
    """Send an error response in OpenAI's shape, unless the client left or its response has begun."""
    reply = request.reply
    if request.gone or reply.begun:
        return
    if fault.status in _BODY_UNREAD or request.body_withheld:
        reply.keep_alive = False
    responder.refuse(reply, fault, NOSNIFF + NO_STORE + header_lines)
