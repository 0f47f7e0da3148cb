"""Clients that leave while nobody reads their socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxy.server import departure
from proxy.server.departure import DepartureWatch, has_left
from tests.support import until


class Paused(asyncio.Transport):
    """A transport that does not read."""

    def __init__(self, sock: socket.socket | None) -> None:
        super().__init__()
        self._sock = sock
        self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._sock if name == "socket" else default

    def abort(self) -> None:
        self.aborted = True


def test_only_the_kernel_knows_whether_a_peer_has_left() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"unread")
        assert not has_left(Paused(ours))
        theirs.shutdown(socket.SHUT_WR)
        assert has_left(Paused(ours))


def test_without_a_socket_nobody_can_tell() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    assert not has_left(Paused(None))
    assert not has_left(Paused(ours))


async def test_a_watch_cuts_a_client_that_left_and_looks_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [False, False, True]
    monkeypatch.setattr(departure, "INTERVAL", 0.001)
    monkeypatch.setattr(departure, "has_left", lambda transport: looks.pop(0))
    transport = Paused(None)
    watch = DepartureWatch(asyncio.get_running_loop())
    watch.start(transport)
    watch.start(transport)  # which changes nothing
    await until(lambda: transport.aborted, "the client to be cut off")
    assert looks == []


async def test_a_watch_that_is_stopped_looks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(departure, "INTERVAL", 0.0)
    monkeypatch.setattr(departure, "has_left", calls.append)
    watch = DepartureWatch(asyncio.get_running_loop())
    watch.start(Paused(None))
    watch.stop()
    watch.stop()
    await asyncio.sleep(0)
    assert calls == []
