"""Two machines with a cable between them: network namespaces, so that rules of a firewall concern no one else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.support import within
from tests.support.machine import debian_program, missing

V4, V6 = "10.77.0.1", "fd77::1"  # of the server; the peer has .2 and ::2

# Listens at each port of its arguments until its input ends; only by IPv6 if the port has a "-" before it. The kernel
# accepts the connections.
LISTEN = """
import socket, sys
kept = [
    socket.create_server(("::", abs(int(port))), family=socket.AF_INET6, dualstack_ipv6=port[0] != "-")
    for port in sys.argv[1:]
]
print("ready", flush=True)
sys.stdin.read()
"""

# Prints whether each port of a host is open, else why the connection failed.
CONNECT = """
import errno, json, socket, sys
found = {}
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port))).close()
        found[port] = "open"
    except OSError as error:
        found[port] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


class Machines(NamedTuple):
    """Prefixes of commands: what runs at the server, and at the other machine."""

    server: tuple[str, ...]
    peer: tuple[str, ...]

    async def run(self, *command: str) -> str:
        """Output of a command that succeeds."""
        ran = await _run(*command)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    async def ports(self, prefix: tuple[str, ...], host: str, *ports: int) -> dict[int, str]:
        shown = await self.run(*prefix, sys.executable, "-c", CONNECT, host, *map(str, ports))
        return {int(port): state for port, state in json.loads(shown).items()}

    async def open_ports(self, host: str, *ports: int) -> set[int]:
        """Those that the other machine can connect to."""
        return {port for port, state in (await self.ports(self.peer, host, *ports)).items() if state == "open"}

    async def rules(self) -> str:
        return await self.run(*self.server, "nft", "list", "ruleset")

    @asynccontextmanager
    async def listening(self, *ports: int, prefix: tuple[str, ...] = ()) -> AsyncIterator[None]:
        """A listener at each port (negative: only by IPv6), of the server unless ``prefix`` says otherwise."""
        process = await asyncio.create_subprocess_exec(
            *(prefix or self.server),
            *(sys.executable, "-c", LISTEN, *map(str, ports)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert await within(process.stdout.readline(), "listeners") == b"ready\n"
            yield
        finally:
            process.stdin.close()
            await within(process.wait(), "the end of the listeners")


@asynccontextmanager
async def two_machines() -> AsyncIterator[Machines]:
    """The test is skipped where namespaces cannot be made (CI: it fails)."""
    ip = debian_program("ip", "iproute2")
    debian_program("nft", "nftables")
    names = [f"sluice-{os.getpid()}-{role}" for role in ("server", "peer")]
    machines = Machines(*((ip, "netns", "exec", name) for name in names))
    steps = [f"netns add {name}" for name in names]
    steps += [f"link add name server netns {names[0]} type veth peer name peer netns {names[1]}"]
    for number, (name, role) in enumerate(zip(names, ("server", "peer"), strict=True), 1):
        steps += [
            f"-n {name} address add 10.77.0.{number}/24 dev {role}",
            f"-n {name} address add fd77::{number}/64 dev {role} nodad",
            f"-n {name} link set lo up",
            f"-n {name} link set {role} up",
        ]
    try:
        for step in steps:
            ran = await _run(ip, *step.split())
            if ran.returncode:
                missing(f"ip {step}: {ran.stderr.strip()}")
        yield machines
    finally:
        for name in names:
            await _run(ip, "netns", "delete", name)


async def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
