"""Ports for servers that are told their port before they start."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from random import SystemRandom

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def free_port() -> int:
    """A port that is free on loopback, that no outgoing connection takes, and that no other test gets.

    Until a server binds its port, only an agreement keeps it from the tests that run side by side: a name in the
    kernel's abstract namespace, which ends with this process.
    """
    lowest = int(_OUTGOING.read_text().split()[0]) if _OUTGOING.exists() else 49152
    while True:
        port = SystemRandom().randrange(10000, lowest)
        if _is_free(port) and _take(port) is not None:
            return port


def _is_free(port: int) -> bool:
    """At each loopback address of the tests."""
    # macOS has 127.0.0.1 only.
    hosts = ("127.0.0.1", "127.0.0.2", "127.0.0.3") if sys.platform == "linux" else ("127.0.0.1",)
    try:
        for host in hosts:
            with socket.socket() as probe:
                probe.bind((host, port))
    except OSError:
        return False
    return True


def _take(port: int) -> int | None:
    """The file descriptor that holds the port's name. None: another test has it."""
    if sys.platform != "linux":
        return -1  # no such names
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0sluice-test-port-{port}")
    except OSError:
        name.close()
        return None
    return name.detach()
