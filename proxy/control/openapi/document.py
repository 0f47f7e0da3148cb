"""GET /openapi.json: the description of all that the gateway answers, made of what it answers by (OpenAPI 3.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import json

from proxy.control.access.credential import COOKIE
from proxy.control.http.router import Route
from proxy.control.openapi import api, faults, wishes
from proxy.control.openapi.paths import paths
from proxy.control.openapi.schemas import Schemas
from proxy.server.connection import Request
from proxy.server.flush import send
from proxy.server.security import NOSNIFF

_LINES = b"Content-Type: application/json\r\n" + NOSNIFF + b"Cache-Control: no-cache\r\n"
_TEXT = """A gateway for language models that speaks OpenAI's API.

The API itself is below `/v1` (and the configured base path). `/proxy/{provider}/...` goes to one provider, whatever
the model. Of a request's fields those are described that the gateway reads; all others pass through untouched.
Errors have OpenAI's shape everywhere."""
_LICENSE = {"name": "MIT", "identifier": "MIT"}
_TAGS = {
    api.TAG: "The API, as OpenAI defines it: https://platform.openai.com/docs/api-reference",
    "health": "Whether it is well, for machines and for people.",
    "operator": "What the gateway does, and what an operator does about it.",
    "keys": "The API keys.",
    "session": "How a browser shows the admin token.",
}
_SCHEMES = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key or a token, as `auth.mode` asks for it."},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same as a header."},
    "adminToken": {"type": "http", "scheme": "bearer", "description": "The admin token."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A session, below /admin only."},
}


class Description:
    """``routes`` is the whole table; it is read when somebody asks."""

    def __init__(self, routes: Callable[[], Sequence[Route]], version: str) -> None:
        self._routes = routes
        self._version = version
        self._body = b""

    async def show(self, request: Request) -> None:
        """GET /openapi.json: the same for everybody, and nothing in it is a secret."""
        if not self._body:  # it takes some 10 ms
            self._body = await asyncio.to_thread(self._encoded)
        await send(request, request.reply, 200, _LINES, self._body)

    def _encoded(self) -> bytes:
        return json.encode(document(self._routes(), self._version))


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI Object."""
    types = [kind for route in routes if route.operation is not None for kind in route.operation.types]
    schemas = Schemas([faults.Error, *api.TYPES, *types])
    return {
        "openapi": "3.1.1",
        "info": {"title": "Sluice", "version": version, "description": _TEXT, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": api.paths() | paths(routes, schemas),
        "components": {
            "schemas": schemas.components,
            "responses": faults.components(),
            "parameters": wishes.parameters(),
            "headers": wishes.headers(),
            "securitySchemes": _SCHEMES,
        },
    }
