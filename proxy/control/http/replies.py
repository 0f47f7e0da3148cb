"""How the control plane answers: JSON that nobody keeps, and errors in the shape that the API has, without CORS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import json

from proxy import responder
from proxy.errors import GatewayError
from proxy.server.connection import Request

UNKEPT = b"Cache-Control: no-store\r\n"
JSON = b"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n" + UNKEPT
GIVEN_UP = (408, 413)  # the rest of the body is not waited for


def send(request: Request, status: int, value: Any, lines: bytes = b"") -> None:
    """``value`` as JSON; ``lines`` are more header lines."""
    request.reply.send(status, JSON + lines, json.encode(value))


def moment(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def done(request: Request, lines: bytes = b"") -> None:
    """204: it is done, and there is nothing to say of it."""
    request.reply.send(204, UNKEPT + lines)


def redirect(request: Request, to: str, lines: bytes = b"") -> None:
    """303: the browser asks for ``to`` with GET, and tells nobody from where."""
    location = b"Location: %b\r\nReferrer-Policy: no-referrer\r\n" % to.encode("ascii")
    request.reply.send(303, UNKEPT + location + lines)


def refuse(request: Request, fault: GatewayError, lines: bytes = b"") -> None:
    """An error answer in OpenAI's shape; nothing, where the client left or has its answer."""
    reply = request.reply
    if request.gone or reply.begun:
        return
    if fault.status in GIVEN_UP or request.body_withheld:
        reply.keep_alive = False
    responder.refuse(reply, fault, UNKEPT + lines)
