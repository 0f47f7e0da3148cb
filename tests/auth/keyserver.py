"""A server of key sets on loopback that can change them, fail and stop."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any

from aiohttp import web

from tests.support.ports import free_port


class KeyServer:
    """Answers every GET with ``document``, ``status`` and ``headers``; ``fetches`` counts. ``gate`` closed: it waits."""

    def __init__(self) -> None:
        self.document = b""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.port = free_port()  # one that nobody else gets between ``stop`` and ``start``
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    def show(self, *keys: Any) -> None:
        self.document = json.dumps({"keys": keys}).encode()

    async def start(self) -> None:
        """Start, on the same port each time."""
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> KeyServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        await self.stop()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.fetches += 1
        await self.gate.wait()
        return web.Response(body=self.document, status=self.status, headers=self.headers)
