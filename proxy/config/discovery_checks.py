"""Checks of where services are found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from proxy.config.service_schema import DnsSettings, DnsSource

DNS_PORT: Final = 53

# Letters, digits and underscores, as names of services have; other names are written as IDNA has them (xn--).
_NAME: Final = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")


def is_dns_name(text: str) -> bool:
    """Whether a text is the name of a host or a service. Labels have at most 63 bytes (RFC 1035, section 2.3.4)."""
    return bool(_NAME.fullmatch(text)) and all(len(label) <= 63 for label in text.split("."))


def split_dns_server(text: str) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port`` or ``[host]:port``. Raises ValueError with the reason."""
    try:
        ip_address(text)  # of version 6, without brackets
    except ValueError:
        pass
    else:
        return text, DNS_PORT
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.netloc != text or "@" in text or port == 0:
        raise ValueError("expected a host, or host:port")
    return host, port or DNS_PORT


def dns_source_mistakes(source: DnsSource) -> Iterator[tuple[str, str]]:
    """What is wrong with where a service is found, as key and text."""
    if source.srv and source.host:
        yield "host", "only one of srv and host may be set"
    for key, name in (("srv", source.srv), ("host", source.host)):
        if name and not is_dns_name(name):
            yield key, "is not a name in DNS"
    if not source.srv and not source.host:
        yield "srv", "is missing, and so is host: one of them is needed"
    elif source.host and not source.port:
        yield "port", "is missing: the addresses of a host need it"
    elif source.srv and source.port:
        yield "port", "has no effect: SRV records have ports"


def dns_settings_mistakes(settings: DnsSettings) -> Iterator[tuple[str, str]]:
    for index, server in enumerate(settings.servers):
        try:
            split_dns_server(server)
        except ValueError as error:
            yield f"servers[{index}]", str(error)
    if settings.least_secs > settings.most_secs:
        yield "leastSecs", "must not be more than mostSecs"
