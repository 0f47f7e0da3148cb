"""Connections to Redis that answer what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Reply = Callable[[], Any]


def raises(error: Exception) -> Reply:
    def reply() -> Any:
        raise error

    return reply


class FakeConnection:
    """Answers each command with the next of ``replies``."""

    def __init__(self, pool: FakePool) -> None:
        self.pool = pool
        self.closed = False

    async def send_packed_command(self, command: bytes, check_health: bool) -> None:
        self.pool.sent.append(command)

    async def read_response(self) -> Any:
        if not self.pool.replies:
            await asyncio.Event().wait()
        return self.pool.replies.pop(0)()

    async def disconnect(self, nowait: bool) -> None:
        self.closed = True


class FakePool:
    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []
        self.opened: list[FakeConnection] = []
        self.released: list[FakeConnection] = []

    async def get_connection(self) -> FakeConnection:
        self.opened.append(FakeConnection(self))
        return self.opened[-1]

    async def release(self, connection: FakeConnection) -> None:
        self.released.append(connection)
