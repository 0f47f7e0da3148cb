"""The addresses of one service by DNS, asked for again when the answer has expired."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from msgspec import Struct

from proxy.config.discovery_checks import is_dns_name
from proxy.config.service_schema import DnsSource, ServerAddress
from proxy.services.discovery.backoff import delay
from proxy.services.discovery.base import Found, SourceState
from proxy.services.discovery.dns.lookup import DnsLookup, LookupFailed, NameAbsent
from proxy.services.discovery.dns.records import SrvRecord, of_hosts, of_services

JITTER: Final = 0.05  # of the TTL, after it: services that began together do not ask together for ever

MOST_NOTES: Final = 3


class DnsClocks(Struct, frozen=True):
    """``wall``: Unix seconds. The others are replaced in tests."""

    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Random


class _FoundAddresses(Struct, frozen=True):
    """``note``: what is wrong with a part of it."""

    addresses: Sequence[ServerAddress]
    ttl: float
    note: str = ""


class DnsAddresses:
    """``named``: URLs of SRV records and hosts keep their names, as certificates are verified against them."""

    def __init__(self, source: DnsSource, named: bool, lookup: DnsLookup, clocks: DnsClocks) -> None:
        self._source = source
        self._named = named
        self._lookup = lookup
        self._clocks = clocks
        self._state = SourceState(up=False)
        self._targets: dict[str, tuple[str, ...]] = {}  # what was known last, while a target cannot be looked up

    @property
    def state(self) -> SourceState:
        return self._state

    async def follow(self, found: Found) -> None:
        """What DNS answers is the truth, also that a name is gone. Where it does not answer, nothing changes."""
        failures = 0
        last: Sequence[ServerAddress] | None = None
        while True:
            try:
                answer = await self._look()
            except LookupFailed as error:
                failures += 1
                self._state = SourceState(up=False, at=self._state.at, error=str(error))
                pause = max(delay(failures, self._clocks.chance), self._lookup.clamp(0))
            else:
                failures = 0
                self._state = SourceState(up=True, at=self._clocks.wall(), error=answer.note)
                if answer.addresses != last:
                    last = answer.addresses
                    found(last)
                pause = answer.ttl * (1 + self._clocks.chance.uniform(0, JITTER))
            await self._clocks.sleep(pause)

    async def _look(self) -> _FoundAddresses:
        try:
            return await (self._by_services() if self._source.srv else self._by_hosts())
        except NameAbsent as absent:
            return _FoundAddresses([], self._lookup.clamp(absent.ttl), str(absent))

    async def _by_hosts(self) -> _FoundAddresses:
        hosts = await self._lookup.hosts(self._source.host)
        addresses = None if self._named else hosts.addresses
        return _FoundAddresses(of_hosts(addresses, self._source), hosts.ttl)

    async def _by_services(self) -> _FoundAddresses:
        answer = await self._lookup.services(self._source.srv)
        records, notes = _with_hosts(answer.records)
        if self._named:
            return _FoundAddresses(of_services(records, None, self._source), answer.ttl, _joined(notes))
        targets = [*dict.fromkeys(each.target for each in records)]
        told = await asyncio.gather(*(self._target(each) for each in targets))
        self._targets = {name: addresses for name, (addresses, _, _) in zip(targets, told, strict=True)}
        ttl = min([answer.ttl, *(ttl for _, ttl, _ in told)])
        notes += [note for _, _, note in told if note]
        return _FoundAddresses(of_services(records, self._targets, self._source), ttl, _joined(notes))

    async def _target(self, name: str) -> tuple[tuple[str, ...], float, str]:
        """IP addresses of a target, for how long they hold, and what went wrong."""
        try:
            records = await self._lookup.hosts(name)
        except NameAbsent as absent:
            return (), self._lookup.clamp(absent.ttl), str(absent)
        except LookupFailed as error:
            return self._targets.get(name, ()), self._lookup.clamp(0), f"{name} cannot be looked up: {error}"
        return records.addresses, records.ttl, ""


def _with_hosts(records: Sequence[SrvRecord]) -> tuple[list[SrvRecord], list[str]]:
    """Records whose targets can be the host of a URL, and what is wrong with others."""
    good = [each for each in records if is_dns_name(each.target)]
    notes = [f"{each.target!r} is not the name of a host" for each in records if each.target and each not in good]
    return good, notes


def _joined(notes: Sequence[str]) -> str:
    more = len(notes) - MOST_NOTES
    return "; ".join(notes[:MOST_NOTES]) + (f"; and {more} more" if more > 0 else "")
