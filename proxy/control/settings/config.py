"""The route of the effective configuration, in which every secret is masked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, json

from proxy.config.schema import Config
from proxy.config.secret import plain
from proxy.control.http.replies import JSON
from proxy.server.connection import Request


class ConfigView(Struct, rename="camel"):
    """``config`` as it could stand in the file, defaults filled in; ``path`` is ``null`` where there is no file;
    ``waitsForStart`` are the keys that were changed in it and are only looked at when the process starts."""

    config: dict[str, Any]
    path: str | None
    waits_for_start: list[str]


class ConfigPage:
    """``path`` is that of the configuration's file, ``""`` if there is none."""

    def __init__(
        self, config: Callable[[], Config], path: Callable[[], str], waits: Callable[[], Sequence[str]]
    ) -> None:
        self._config = config
        self._path = path
        self._waits = waits

    async def show(self, request: Request) -> None:
        """GET /admin/config."""
        # In a thread: thousands of models take a while, and the configuration never changes.
        body = await asyncio.to_thread(_encoded, self._config(), self._path() or None, list(self._waits()))
        request.reply.send(200, JSON, body)


def shown(config: Config) -> dict[str, Any]:
    """Keys in camelCase; every secret is ``********``."""
    found: dict[str, Any] = plain(config, lambda secret: secret.shown)
    return found


def _encoded(config: Config, path: str | None, waits: list[str]) -> bytes:
    return json.encode(ConfigView(shown(config), path, waits))
