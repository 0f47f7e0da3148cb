"""This gateway as a service of Consul, with a TTL check that it passes while it serves.

Sources: https://developer.hashicorp.com/consul/api-docs/agent/service, /api-docs/agent/check
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from proxy.config.service_schema import ConsulRegistration
from proxy.consul.client import ConsulClient, ConsulReply, ConsulUnavailable

PASSES: Final = 3  # within the TTL
FORGOTTEN_TTLS: Final = 20  # a gateway that was killed is removed after so many TTLs
LEAST_FORGOTTEN_SECS: Final = 60.0  # Consul takes no less
CLOSE_SECS: Final = 3.0

_UNKNOWN: Final = ("Unknown check", "does not have associated TTL", "Unknown service")  # 500 before Consul 1.11


class OwnAddress(Struct, frozen=True):
    """``host`` ``""``: that of the agent's node."""

    host: str
    port: int


def own_address(settings: ConsulRegistration, host: str, port: int) -> OwnAddress:
    """What is registered, where the gateway listens at ``host`` and ``port``.

    One that listens at all interfaces is at the address of the node, and so is a name.
    """
    if not settings.address:
        try:
            listens = ip_address(host.strip("[]"))
            host = "" if listens.is_unspecified else str(listens)
        except ValueError:
            host = ""
    return OwnAddress(settings.address or host, settings.port or port)


class OwnRegistration:
    """``start`` registers and goes on in the background, ``drain`` is for the begin of a stop, ``close`` for its end.

    None of them raises or waits long: a gateway serves without Consul, too. ``warn`` and ``info`` take one line each
    when the agent stops answering and when it answers again.
    """

    def __init__(
        self,
        settings: ConsulRegistration,
        address: OwnAddress,
        client: ConsulClient,
        warn: Callable[[str], object],
        info: Callable[[str], object],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._address = address
        self._client = client
        self._warn = warn
        self._info = info
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._registered = False
        # The same after a restart, so that it takes the place of what a killed process left.
        self.ident = f"{settings.name}-{address.host or socket.gethostname()}-{address.port}"
        self.error = ""
        """Why it is not known to be registered and passing; ``""``: it is, or the first try is still to come."""

    def __repr__(self) -> str:
        return f"<OwnRegistration {self.ident}{' registered' if self._registered else ''}>"

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="registration at Consul")

    async def drain(self) -> None:
        """Make the check critical: others send no new requests, while running ones end."""
        await self._stop()
        if self._registered:
            await self._try(lambda: self._update("critical", "is stopping"))

    async def close(self) -> None:
        """Deregister it."""
        await self._stop()
        if self._registered:
            self._registered = False
            await self._try(lambda: self._put(f"agent/service/deregister/{quote(self.ident, safe='')}"))

    async def look(self) -> None:
        """Pass the check once, or register where the agent does not know this gateway."""
        try:
            if not self._registered or not await self._known(self._update("passing", "")):
                await self._register()
        except ConsulUnavailable as error:
            self._note(str(error))
        else:
            self._note("")

    async def _run(self) -> None:
        while True:
            await self.look()
            await self._sleep(self._settings.ttl_secs / PASSES)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _register(self) -> None:
        """The check passes from the beginning, so that there is no moment without."""
        settings, address = self._settings, self._address
        after = max(LEAST_FORGOTTEN_SECS, FORGOTTEN_TTLS * settings.ttl_secs)
        check = {
            "CheckID": self._check,
            "Name": "passed by the gateway itself",
            "TTL": f"{settings.ttl_secs:g}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": f"{after:g}s",
        }
        body: dict[str, Any] = {
            "ID": self.ident,
            "Name": settings.name,
            "Tags": settings.tags,
            "Address": address.host,
            "Port": address.port,
            "Meta": {"pid": str(os.getpid())},
            "Check": check,
        }
        try:
            reply = await self._put("agent/service/register", body)
        except asyncio.CancelledError:
            self._registered = True  # perhaps: the agent may have it
            raise
        if not reply.found:
            raise ConsulUnavailable("the agent knows no /v1/agent/service/register: is it Consul?")
        self._registered = True

    async def _known(self, update: Awaitable[ConsulReply]) -> bool:
        """Whether the agent knows the check. One that lost its data does not."""
        try:
            return (await update).found
        except ConsulUnavailable as error:
            if any(words in str(error) for words in _UNKNOWN):
                return False
            raise

    async def _update(self, status: str, output: str) -> ConsulReply:
        path = f"agent/check/update/{quote(self._check, safe='')}"
        return await self._put(path, {"Status": status, "Output": output})

    async def _put(self, path: str, body: object = None) -> ConsulReply:
        return await self._client.put(path, None, b"" if body is None else msgspec.json.encode(body))

    async def _try(self, call: Callable[[], Awaitable[object]]) -> None:
        """While the process stops: what fails is left to the TTL."""
        try:
            async with asyncio.timeout(CLOSE_SECS):
                await call()
        except (ConsulUnavailable, TimeoutError) as error:
            self._warn(f"Consul: {self.ident} cannot be taken out: {str(error) or 'no answer'}; its TTL does it.")

    @property
    def _check(self) -> str:
        return f"service:{self.ident}"

    def _note(self, error: str) -> None:
        before, self.error = self.error, error
        if error and not before:
            self._warn(f"Consul: {self.ident} cannot be registered or kept passing: {error}; it is tried again.")
        elif before and not error:
            self._info(f"Consul: {self.ident} is registered again.")
