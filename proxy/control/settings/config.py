"""Show the effective configuration with every secret masked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json

from proxy.config.schema import Config
from proxy.config.secret import plain
from proxy.control.http.operation import Operation
from proxy.control.http.responses import JSON_HEADERS
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.server.request import Request


class ConfigView(Struct, rename="camel"):
    """``config``: as in a configuration file, with defaults. ``path``: ``null`` without a file. ``waitsForStart``:
    changed keys that take effect at the next start only."""

    config: dict[str, Any]
    path: str | None
    waits_for_start: list[str]


class ConfigHandler:
    def __init__(self, live: LiveConfig) -> None:
        self._live = live

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "Show the effective configuration without secrets", ConfigView)
        return (ControlRoute("GET", "/admin/config", "admin", self.show, operation),)

    async def show(self, request: Request) -> None:
        """GET /admin/config."""
        live = self._live
        # In a thread, because thousands of models take a while. The configuration is immutable.
        body = await asyncio.to_thread(_encode, live.config, live.config_path or None, list(live.waiting))
        request.reply.send(200, JSON_HEADERS, body)


def masked(config: Config) -> dict[str, Any]:
    """The configuration with keys in camelCase and ``********`` for secrets."""
    found: dict[str, Any] = plain(config, lambda secret: secret.shown)
    return found


def _encode(config: Config, path: str | None, waiting: list[str]) -> bytes:
    return json.encode(ConfigView(masked(config), path, waiting))
