"""A dnsmasq of a test's own, whose records can be changed while it runs."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import dns.asyncquery
import dns.exception
import dns.message

from tests.support.machine import debian_program
from tests.support.patience import within
from tests.support.ports import free_port


class OwnDnsmasq:
    """``async with OwnDnsmasq() as server``: it listens at ``server.address``, over UDP and TCP.

    ``hosts`` replaces the addresses of names at once, by SIGHUP. ``serve`` replaces its configuration (``srv-host``,
    ``cname``), which needs a restart.
    """

    def __init__(self) -> None:
        self._program = debian_program("dnsmasq", "dnsmasq-base")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def hosts(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Addresses by name, in the way of /etc/hosts."""
        lines = [f"{address} {name}\n" for name, listed in addresses.items() for address in listed]
        self._hosts.write_text("".join(lines))
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    async def serve(self, *lines: str) -> None:
        """Lines of its configuration file, besides those that every test needs."""
        await self.stop()
        own = [
            f"port={self.port}",
            "listen-address=127.0.0.1",
            "bind-interfaces",
            "no-resolv",
            "no-hosts",
            f"addn-hosts={self._hosts}",
            "local=/example/",  # so that it answers with authority, and forwards nothing
            "local-ttl=1",
            f"user={pwd.getpwuid(os.getuid()).pw_name}",
            "pid-file=",
        ]
        path = self._folder / "dnsmasq.conf"
        path.write_text("\n".join([*own, *lines, ""]))
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            "--keep-in-foreground",
            f"--conf-file={path}",
            "--log-facility=-",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await within(self._answers(), "dnsmasq to answer")

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await within(self._process.wait(), "dnsmasq to end")
            self._process = None

    async def _answers(self) -> None:
        question = dns.message.make_query("ready.example.", "A")
        while True:
            assert self._process is not None
            assert self._process.returncode is None, "dnsmasq has ended"
            try:
                await dns.asyncquery.udp(question, "127.0.0.1", port=self.port, timeout=1.0)
                return
            except (dns.exception.Timeout, OSError):
                await asyncio.sleep(0.005)

    async def __aenter__(self) -> OwnDnsmasq:
        self._temporary = tempfile.TemporaryDirectory(prefix="sluice-")
        self._folder = Path(self._temporary.name)
        self._hosts = self._folder / "hosts"
        self._hosts.write_text("")
        self.port = free_port()
        await self.serve()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._temporary.cleanup()
