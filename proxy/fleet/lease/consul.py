"""Leases in Consul: a key for each, locked by a session of its holder.

Sources: https://developer.hashicorp.com/consul/docs/automate/session, /api-docs/session
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.consul.client import ConsulClient, ConsulUnavailable
from proxy.consul.keys import key_name, path_of
from proxy.fleet.lease.base import LeaseUnavailable

LEAST_SECS: Final = 10.0  # TTL of a session
MOST_DELAY: Final = 60.0  # lock-delay


class ConsulLeases:
    """A session ends between one and two times ``secs`` after its last renewal, which releases its lease.

    No check ends it earlier. A session that an operator destroys is followed by a lock-delay of ``secs``: within it
    the holder learns that it has lost the lease.
    """

    def __init__(self, client: ConsulClient, prefix: str) -> None:
        self._client = client
        self._prefix = path_of(prefix)
        self._sessions: dict[tuple[str, str], str] = {}  # by lease and holder

    async def take(self, name: str, holder: str, secs: float) -> bool:
        try:
            session = await self._session(name, holder, secs)
            reply = await self._client.put(self._key(name), {"acquire": session}, holder.encode())
        except ConsulUnavailable as error:
            raise LeaseUnavailable(f"Consul: {error}") from None
        return reply.body.strip() == b"true"

    async def release(self, name: str, holder: str) -> None:
        session = self._sessions.pop((name, holder), "")
        if not session:
            return
        try:
            # First released: a session that is destroyed with its lock would delay the next holder.
            await self._client.put(self._key(name), {"release": session}, b"")
            await self._client.put(f"session/destroy/{session}")
        except ConsulUnavailable as error:
            raise LeaseUnavailable(f"Consul: {error}") from None

    async def _session(self, name: str, holder: str, secs: float) -> str:
        """The session of the holder, renewed or new."""
        old = self._sessions.get((name, holder), "")
        if old and (await self._client.put(f"session/renew/{old}")).found:
            return old
        wanted = {
            "Name": f"sluice lease {name}",
            "TTL": f"{max(secs, LEAST_SECS):g}s",
            "LockDelay": f"{min(secs, MOST_DELAY):g}s",
            "Behavior": "release",
            "NodeChecks": [],
        }
        reply = await self._client.put("session/create", None, msgspec.json.encode(wanted))
        try:
            made = msgspec.json.decode(reply.body, type=dict[str, str])["ID"]
        except (msgspec.DecodeError, KeyError):
            raise ConsulUnavailable("the answer to session/create cannot be read") from None
        self._sessions[name, holder] = made
        return made

    def _key(self, name: str) -> str:
        return f"kv/{self._prefix}/leases/{key_name(name)}"
