"""Instances of a service, as Consul answers them, as addresses.

Source: https://developer.hashicorp.com/consul/api-docs/health#list-nodes-for-service
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct, field

from proxy.config.checks import base_url
from proxy.config.service_schema import ConsulSource, ServerAddress

MOST_WEIGHT: Final = 1_000_000.0
MOST_PRIORITY: Final = 100
LONGEST_REGION: Final = 200
MOST_NOTES: Final = 3
PORTION: Final = 100  # 0.5 ms
WORDS: Final = ("weight", "priority", "region", "scheme")


class ConsulNode(Struct, frozen=True, rename="pascal"):
    address: str = ""


class ConsulWeights(Struct, frozen=True, rename="pascal"):
    passing: float = 1
    warning: float = 1


class ConsulInstance(Struct, frozen=True, rename="pascal"):
    id: str = field(name="ID", default="")
    address: str = ""
    port: int = 0
    tags: list[str] | None = None
    meta: dict[str, str] | None = None
    weights: ConsulWeights | None = None


class ConsulCheck(Struct, frozen=True, rename="pascal"):
    status: str = ""


class ConsulFinding(Struct, frozen=True, rename="pascal"):
    node: ConsulNode
    service: ConsulInstance
    checks: list[ConsulCheck] | None = None


_FINDINGS: Final = msgspec.json.Decoder(list[ConsulFinding])


class InstancesUnreadable(Exception):
    """The answer is not what Consul answers."""


def read_instances(body: bytes, source: ConsulSource) -> Generator[None, None, tuple[list[ServerAddress], str]]:
    """Returns the addresses by URL, each once, and what is wrong with some instances (``""``: nothing).

    Yields after every ``PORTION`` instances, so that the loop can do other work: 1,000 of them take 7 ms.
    An instance that cannot be used is left out. A word that cannot be read counts as missing. Raises
    InstancesUnreadable.
    """
    try:
        findings = _FINDINGS.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise InstancesUnreadable(f"the answer cannot be read: {error}") from None
    notes: list[str] = []
    found: dict[str, ServerAddress] = {}
    tags = {each.lower() for each in source.tags}
    for number, each in enumerate(findings, 1):
        if not number % PORTION:
            yield
        if tags and not tags.issubset(map(str.lower, each.service.tags or ())):
            continue
        state = _state(each.checks or ())
        if state == "critical" or (source.passing_only and state != "passing"):
            continue
        try:
            address = _address(each, source, state, notes)
        except ValueError as error:
            notes.append(f"{each.service.id}: {error}")
            continue
        found.setdefault(address.url, address)
    more = len(notes) - MOST_NOTES
    note = "; ".join(notes[:MOST_NOTES]) + (f"; and {more} more" if more > 0 else "")
    return [found[url] for url in sorted(found)], note


def _state(checks: list[ConsulCheck] | tuple[()]) -> str:
    """The worst of the checks. Maintenance is a critical check."""
    states = {each.status for each in checks}
    return "critical" if states - {"passing", "warning"} else "warning" if "warning" in states else "passing"


def _address(finding: ConsulFinding, source: ConsulSource, state: str, notes: list[str]) -> ServerAddress:
    """Raises ValueError if there is none."""
    service = finding.service
    host = service.address or finding.node.address
    if not 0 < service.port < 65_536:
        raise ValueError("has no port")
    if not host.isascii():
        raise ValueError("its address is neither a name nor an IP address")
    words = {**dict(_of_meta(service.meta or {})), **dict(_of_tags(service.tags or ()))}
    weights = service.weights or ConsulWeights()
    own = weights.warning if state == "warning" else weights.passing
    given = _number(words, "weight", MOST_WEIGHT, service.id, notes)
    priority = _number(words, "priority", MOST_PRIORITY, service.id, notes) or 0.0
    scheme = words.get("scheme", source.scheme)
    if scheme not in ("http", "https"):
        notes.append(f"{service.id}: scheme={scheme} is neither http nor https")
        scheme = source.scheme
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return ServerAddress(
        url=base_url(f"{scheme}://{name}:{service.port}{source.path}"),
        weight=min(max(own, 0.0), MOST_WEIGHT) if given is None else given,
        priority=int(priority),
        region=words.get("region", "")[:LONGEST_REGION],
    )


def _of_tags(tags: list[str] | tuple[()]) -> Iterator[tuple[str, str]]:
    for tag in tags:
        name, sign, value = tag.partition("=")
        if sign and name in WORDS:
            yield name, value.strip()


def _of_meta(meta: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((name, meta[name].strip()) for name in WORDS if name in meta)


def _number(words: Mapping[str, str], name: str, most: float, instance: str, notes: list[str]) -> float | None:
    """``None``: it is missing, or no such number."""
    text = words.get(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not isfinite(number) or not 0 <= number <= most:
        notes.append(f"{instance}: {name}={text[:40]} is not a number from 0 to {most:g}")
        return None
    return number
