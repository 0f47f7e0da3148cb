"""GET /openapi.json: the OpenAPI 3.1 document of everything that the gateway serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import json

from proxy.control.access.credential import COOKIE
from proxy.control.http.router import ControlRoute
from proxy.control.openapi import api, errors, headers
from proxy.control.openapi.paths import control_paths
from proxy.control.openapi.schemas import Schemas
from proxy.server.flush import send
from proxy.server.request import Request
from proxy.server.security import NOSNIFF

_HEADER_LINES: Final = b"Content-Type: application/json\r\n" + NOSNIFF + b"Cache-Control: no-cache\r\n"
_TEXT: Final = """A gateway for language models with the APIs of OpenAI, Anthropic and Google.

The API is below `/v1` and the configured base path. `/proxy/{provider}/...` relays any request to one provider.
The fields of a request that the gateway reads are described here; all others are passed on unchanged.
Errors have the shape of the API that the path belongs to."""
_LICENSE: Final = {"name": "MIT", "identifier": "MIT"}
_TAGS: Final = {
    api.TAG: "The API, as OpenAI, Anthropic and Google define it: https://platform.openai.com/docs/api-reference",
    "health": "Health checks for machines, and details for people.",
    "operator": "What the gateway does now, and how to change it.",
    "services": "Services of any kind, and the routes that lead to them, changed while the gateway runs.",
    "keys": "API keys.",
    "usage": "What was used and what it cost: see the ledger.",
    "billing": "Balances of accounts.",
    "session": "Login of a browser with the admin token.",
}
_SCHEMES: Final = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key or a JWT, depending on `auth.mode`."},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same in this header."},
    "adminToken": {"type": "http", "scheme": "bearer", "description": "The admin token."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A session, accepted below /admin only.",
    },
}


class OpenApiHandler:
    """``table`` returns all routes; it is called at the first request."""

    def __init__(self, table: Callable[[], Sequence[ControlRoute]], version: str) -> None:
        self._table = table
        self._version = version
        self._body = b""

    def routes(self) -> Sequence[ControlRoute]:
        return (ControlRoute("GET", "/openapi.json", "open", self.show),)

    async def show(self, request: Request) -> None:
        """GET /openapi.json: open to everyone, because it contains nothing of the configuration."""
        if not self._body:  # takes some 10 ms
            self._body = await asyncio.to_thread(self._encode)
        await send(request, request.reply, 200, _HEADER_LINES, self._body)

    def _encode(self) -> bytes:
        return json.encode(document(self._table(), self._version))


def document(routes: Sequence[ControlRoute], version: str) -> dict[str, Any]:
    """The OpenAPI Object."""
    types = [kind for route in routes if route.operation is not None for kind in route.operation.types]
    schemas = Schemas([*errors.TYPES, *api.TYPES, *types])
    return {
        "openapi": "3.1.1",
        "info": {"title": "Sluice", "version": version, "description": _TEXT, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": api.api_paths() | control_paths(routes, schemas),
        "components": {
            "schemas": schemas.components,
            "responses": errors.error_components(),
            "parameters": headers.parameter_components(),
            "headers": headers.header_components(),
            "securitySchemes": _SCHEMES,
        },
    }
