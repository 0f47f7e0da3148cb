"""Looking up records, and for how long they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from math import inf
from typing import Final, TypeVar, cast

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from msgspec.structs import replace

from proxy.caches import ExpiringCache
from proxy.config.service_schema import DnsSettings
from proxy.services.discovery.dns import servers
from proxy.services.discovery.dns.records import HostRecords, SrvRecord, SrvRecords

T = TypeVar("T", SrvRecords, HostRecords)

SERVER_SECS: Final = 2.0  # for a server to answer, before the next one is asked
LOOKUP_SECS: Final = 6.0  # for a record, over all servers
# Answers are parsed in Python: 75 us a record, so that not many may come in one turn of the loop.
MOST_AT_ONCE: Final = 16
SILENT_SECS: Final = 1.0
MOST_KEPT: Final = 20_000
EDNS_BYTES: Final = 1232  # of an answer over UDP; a longer one comes over TCP (DNS Flag Day 2020)
LONGEST_CHAIN: Final = 8  # of answers that end with an alias
EARLY_SECS: Final = 0.05  # timers may fire before their time


class NameAbsent(Exception):
    """The servers answer that a name has no such records. ``ttl``: seconds for which that holds.

    ``exists``: it has others.
    """

    def __init__(self, why: str, ttl: float, *, exists: bool) -> None:
        super().__init__(why)
        self.ttl = ttl
        self.exists = exists


class LookupFailed(Exception):
    """No server has answered; the text says why."""


class DnsLookup:
    """Asks the servers of the settings in their order, or those of the system. Answers are shared until they expire.

    ``now``: monotonic seconds. Names are absolute with servers of the settings; else the system's search list applies.
    """

    def __init__(
        self,
        settings: DnsSettings,
        now: Callable[[], float],
        *,
        server_secs: float = SERVER_SECS,
        lookup_secs: float = LOOKUP_SECS,
    ) -> None:
        self._settings = settings
        self._now = now
        self._server_secs = server_secs
        self._lookup_secs = lookup_secs
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._kept: ExpiringCache[tuple[str, str], tuple[SrvRecords | HostRecords, float]] = ExpiringCache(MOST_KEPT)
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._answered_at = -inf
        # While no server answers anything, lookups that wait for their turn fail at once, with this reason.
        self._silent, self._silent_until = "", -inf

    def clamp(self, ttl: float) -> float:
        """Seconds for which an answer with a TTL is used."""
        return max(self._settings.least_secs, min(ttl, self._settings.most_secs))

    async def services(self, name: str) -> SrvRecords:
        """SRV records. ``ttl`` is what is left of it. Raises NameAbsent and LookupFailed, as the other does."""
        return await self._shared("SRV", name, self._services)

    async def hosts(self, name: str) -> HostRecords:
        """IPv4 addresses of a host, or IPv6 addresses if it has no others."""
        return await self._shared("A", name, self._hosts)

    async def _shared(self, kind: str, name: str, look_up: Callable[[str], Awaitable[T]]) -> T:
        now = self._now()
        kept = self._kept.get((kind, name.lower()), now + EARLY_SECS)
        if kept is not None:
            records, until = kept
            return cast(T, replace(records, ttl=until - now))
        async with self._turns:
            found = await look_up(name)
        return self._keep(kind, name, found)

    def _keep(self, kind: str, name: str, found: T) -> T:
        ttl = self.clamp(found.ttl)
        until = self._now() + ttl
        self._kept.put((kind, name.lower()), (found, until), until)
        return replace(found, ttl=ttl)

    async def _services(self, name: str) -> SrvRecords:
        answer = await self._ask(name, dns.rdatatype.SRV)
        records = tuple(
            SrvRecord(each.priority, each.weight, each.port, each.target.to_text(omit_final_dot=True).strip("."))
            for each in answer.rrset or ()
        )
        for target, hosts in _additional(answer.response, records):
            self._keep("A", target, hosts)
        return SrvRecords(records, _ttl(answer.response))

    async def _hosts(self, name: str) -> HostRecords:
        try:
            answer = await self._ask(name, dns.rdatatype.A)
        except NameAbsent as absent:
            if not absent.exists:
                raise
            answer = await self._ask(name, dns.rdatatype.AAAA)
        addresses = tuple(each.address for each in answer.rrset or ())
        return HostRecords(addresses, _ttl(answer.response))

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        """The answer with records of this kind."""
        left, wanted = LONGEST_CHAIN, self._name(name)
        ttl = inf
        while True:
            answer = await self._query(wanted, kind)
            ttl = min(ttl, _ttl(answer.response))
            if answer.rrset is not None:
                return answer
            left -= 1
            if answer.canonical_name == answer.qname or not left:
                raise NameAbsent(f"{name} has no {kind.name} records", ttl, exists=True)
            # A server that does not follow aliases into other zones.
            wanted = answer.canonical_name

    async def _query(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        began = self._now()
        if began < self._silent_until:
            raise LookupFailed(self._silent)
        try:
            if self._resolver is None:
                self._resolver = await self._open()
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            self._answered_at = self._now()
            shown = name.to_text(omit_final_dot=True)
            raise NameAbsent(f"{shown} does not exist (NXDOMAIN)", _negative_ttl(error), exists=False) from None
        except (dns.exception.DNSException, OSError, ValueError, EOFError) as error:
            # The list of servers is made anew: the system's may have changed, and addresses of names, too.
            self._resolver = None
            why = _why(error)
            if isinstance(error, dns.exception.Timeout) and self._answered_at < began:
                self._silent, self._silent_until = why, self._now() + SILENT_SECS
            raise LookupFailed(why) from None
        self._answered_at = self._now()
        return answer

    async def _open(self) -> dns.asyncresolver.Resolver:
        listed = self._settings.servers
        if listed:
            made = dns.asyncresolver.Resolver(configure=False)
            made.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in await servers.addresses(listed)]
        else:
            made = await asyncio.to_thread(dns.asyncresolver.Resolver)  # reads a file
            made.use_search_by_default = True
        made.use_edns(0, 0, EDNS_BYTES)
        made.timeout, made.lifetime = self._server_secs, self._lookup_secs
        return made

    def _name(self, text: str) -> dns.name.Name:
        try:
            return dns.name.from_text(text, None if not self._settings.servers else dns.name.root)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise LookupFailed(f"{text!r} is not a name in DNS: {error}") from None


def _ttl(response: dns.message.QueryMessage) -> float:
    """The lowest one of the records that lead to the answer; of a negative one by RFC 2308, section 5."""
    return float(response.resolve_chaining().minimum_ttl)


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    responses = error.kwargs["responses"]
    return min((_ttl(each) for each in responses.values()), default=0.0)


def _additional(response: dns.message.QueryMessage, records: Sequence[SrvRecord]) -> Iterator[tuple[str, HostRecords]]:
    """IPv4 addresses of targets that the server has added, by name in lower case."""
    targets = {each.target.lower() for each in records}
    for rrset in response.additional:
        name = rrset.name.to_text(omit_final_dot=True).lower()
        if rrset.rdtype == dns.rdatatype.A and name in targets:
            yield name, HostRecords(tuple(each.address for each in rrset), float(rrset.ttl))


def _why(error: Exception) -> str:
    """The reasons by server, on one line."""
    if isinstance(error, dns.resolver.NoNameservers | dns.resolver.LifetimeTimeout):
        told = dict.fromkeys(f"{server}: {_reason(why)}" for server, _, _, why, _ in error.kwargs["errors"])
        return "; ".join(told) or "no server answered"
    return " ".join(str(error).split()) or type(error).__name__


def _reason(why: Exception | str) -> str:
    if isinstance(why, dns.exception.Timeout):
        return "no answer in time"
    return why if isinstance(why, str) else " ".join(str(why).split()) or type(why).__name__
