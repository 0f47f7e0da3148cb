"""From the records of a name to the addresses of a service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

from proxy.config.checks import base_url
from proxy.config.service_schema import DnsSource, ServerAddress

HIGHEST_PRIORITY: Final = 100  # of an address, while that of a record may be up to 65535
# RFC 2782: a record with weight 0 has "a very small chance of being selected" beside others.
SMALL_SHARE: Final = 0.01


class SrvRecord(Struct, frozen=True, order=True):
    """``target``: the host's name without the dot at its end; ``""``: there is decidedly no such service (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class HostRecords(Struct, frozen=True):
    """IP addresses of a host; ``ttl``: seconds for which they hold."""

    addresses: tuple[str, ...]
    ttl: float


class SrvRecords(Struct, frozen=True):
    records: tuple[SrvRecord, ...]
    ttl: float


def of_hosts(addresses: Iterable[str] | None, source: DnsSource) -> list[ServerAddress]:
    """Addresses of a host by A or AAAA records, each with the port of the settings. ``None``: one with its name."""
    places = [source.host.rstrip(".")] if addresses is None else _sorted(filter(usable, addresses))
    return [ServerAddress(_url(source, each, source.port)) for each in places]


def of_services(
    records: Sequence[SrvRecord], hosts: Mapping[str, Sequence[str]] | None, source: DnsSource
) -> list[ServerAddress]:
    """Addresses by SRV records, in the order of priorities, then of targets.

    ``hosts``: IP addresses by target. A target without any is left out, and several share its weight. ``None``: URLs
    have the names of targets.
    """
    records = sorted(each for each in records if each.target and each.port)
    priorities, weights = _priorities(records), _weights(records)
    found: dict[str, ServerAddress] = {}
    for each in records:
        places = [each.target] if hosts is None else _sorted(filter(usable, hosts.get(each.target, ())))
        for place in places:
            url = _url(source, place, each.port)
            made = ServerAddress(url, weights[each] / len(places), priorities[each.priority])
            found.setdefault(url, made)
    return [*found.values()]


def usable(address: str) -> bool:
    """Whether requests can go to it. Resolvers that block names answer with ``0.0.0.0``."""
    parsed = ip_address(address)
    scoped = isinstance(parsed, IPv6Address) and parsed.is_link_local  # needs an interface
    return not (parsed.is_unspecified or parsed.is_multicast or scoped)


def _sorted(addresses: Iterable[str]) -> list[str]:
    """In an order of their own: servers rotate them, and that is no change."""
    return sorted(set(addresses), key=lambda each: (ip_address(each).version, int(ip_address(each))))


def _url(source: DnsSource, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return base_url(f"{source.scheme}://{name}:{port}{source.path}")


def _priorities(records: Sequence[SrvRecord]) -> dict[int, int]:
    """Priorities as they are, or by their rank if one of them is too high."""
    found = sorted({each.priority for each in records})
    if not found or found[-1] <= HIGHEST_PRIORITY:
        return {each: each for each in found}
    return {each: min(rank, HIGHEST_PRIORITY) for rank, each in enumerate(found)}


def _weights(records: Sequence[SrvRecord]) -> dict[SrvRecord, float]:
    """Those of a priority whose weights are all 0 have equal shares."""
    lowest: dict[int, int] = {}
    for each in records:
        if each.weight:
            lowest[each.priority] = min(each.weight, lowest.get(each.priority, each.weight))
    return {each: float(each.weight) or _small(lowest.get(each.priority)) for each in records}


def _small(lowest: int | None) -> float:
    return 1.0 if lowest is None else lowest * SMALL_SHARE
