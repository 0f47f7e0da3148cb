"""The addresses of one service by Consul."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from proxy.config.service_schema import ConsulSource, ServerAddress
from proxy.consul.client import ConsulClient, ConsulReply, ConsulUnavailable
from proxy.consul.watching import ConsulQuery, PollRate, PollSlots
from proxy.runtime.portions import in_portions
from proxy.services.discovery.backoff import delay
from proxy.services.discovery.base import Found, SourceState
from proxy.services.discovery.consul.instances import InstancesUnreadable, read_instances

_HIDDEN: Final = "the token may not read this service, so Consul hides its instances (service:read, node:read)"


class ConsulClocks(Struct, frozen=True):
    """``wall``: Unix seconds; ``now``: monotonic. ``sleep`` waits before a failed query is sent again."""

    wall: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Random


class ConsulAddresses:
    """``stale``: any server may answer, not only the leader."""

    def __init__(
        self, source: ConsulSource, client: ConsulClient, slots: PollSlots, clocks: ConsulClocks, *, stale: bool
    ) -> None:
        self._source = source
        self._client = client
        self._slots = slots
        self._clocks = clocks
        self._stale = stale
        self._state = SourceState(up=False)
        self._last: Sequence[ServerAddress] | None = None

    @property
    def state(self) -> SourceState:
        return self._state

    async def follow(self, found: Found) -> None:
        """An instance that Consul no longer names is gone. While Consul does not answer nothing changes."""
        query = self._query()
        rate = PollRate()
        failures = 0
        self._last = None
        self._slots.polls += 1
        try:
            while True:
                known = query.index
                try:
                    reply = await self._slots.ask(query, lambda: rate.take(self._clocks.now()))
                    async with self._slots.reading(len(reply.body)):
                        note = await self._take(reply, known, found)
                        self._state = SourceState(up=True, at=self._clocks.wall(), error=note)
                        failures = 0
                except (ConsulUnavailable, InstancesUnreadable) as error:
                    query.index = 0  # after a restart indexes may be lower
                    failures += 1
                    self._state = SourceState(up=False, at=self._state.at, error=str(error))
                    await self._clocks.sleep(delay(failures, self._clocks.chance))
        finally:
            self._slots.polls -= 1

    def _query(self) -> ConsulQuery:
        source = self._source
        params = {"passing": "true"} if source.passing_only else {}
        if source.datacenter:
            params["dc"] = source.datacenter
        if source.tags:
            params["tag"] = source.tags[0]  # the others are compared here
        path = f"health/service/{quote(source.service, safe='')}"
        return ConsulQuery(self._client, path, params, stale=self._stale)

    async def _take(self, reply: ConsulReply, known: int, found: Found) -> str:
        """Hand over the addresses of an answer, if they are others; what is wrong with a part of it.

        Raises ConsulUnavailable, InstancesUnreadable.
        """
        if known and reply.index == known:
            return self._state.error  # the wait was over without a change
        if not reply.found:
            raise ConsulUnavailable("the agent knows no /v1/health/service: is it Consul?")
        addresses, note = await in_portions(read_instances(reply.body, self._source))
        if not addresses and reply.filtered:
            raise ConsulUnavailable(_HIDDEN)
        if addresses != self._last:
            self._last = addresses
            found(addresses)
        return note
