from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support import Blackhole


async def test_a_connection_attempt_hangs() -> None:
    with Blackhole() as hole, socket.socket() as client:
        client.setblocking(False)
        connecting = asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", hole.port))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connecting, 0.2)
