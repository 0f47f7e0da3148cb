"""No two tests get one port, in one process or in several."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests.support import ports
from tests.support.ports import free_port, free_ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")


def only(monkeypatch: pytest.MonkeyPatch, *drawn: int) -> None:
    """Have these ports drawn, in this order."""
    left = [*drawn]
    monkeypatch.setattr(ports.SystemRandom, "randrange", lambda *_: left.pop(0))


def untaken() -> int:
    """A port that is free and has no name yet."""
    for port in range(10000, 30000):
        if ports._is_free(port) and (name := ports._take(port)) is not None:
            os.close(name)
            return port
    raise AssertionError("every port is taken")


def test_each_port_is_another_and_can_be_bound() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_is_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    first, free = free_port(), untaken()
    only(monkeypatch, first, free)
    assert free_port() == free


def test_another_process_does_not_get_it() -> None:
    port = free_port()
    other = f"from tests.support import ports; print(ports._take({port}), ports._is_free({port}))"
    seen = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True, timeout=60)
    assert seen.stdout.split() == ["None", "True"]


def test_a_port_that_is_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    free = untaken()
    with socket.create_server(("127.0.0.1", 0)) as server:
        only(monkeypatch, server.getsockname()[1], free)
        assert free_port() == free
