"""Advice on values that are valid and probably wrong: addresses and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from proxy.config.address_schema import service_url
from proxy.config.known_providers import HOSTED, KNOWN_PROVIDERS, KnownProvider
from proxy.config.schema import Config, ServerSettings

# Paths that the gateway appends to a base URL.
_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|responses|messages)$")
_REFERENCE = re.compile(
    r"\$\{?(?P<shell>[A-Za-z_]\w*)\}?|%(?P<batch>[A-Za-z_]\w*)%|(os\.environ/|process\.env\.|env[./:])(?P<other>\w+)"
)
_PORTS = {"ollama", "lmstudio"}  # their default ports are hardly used by other servers
_OTHER_APIS = {"ollama": ("", "/api"), "lmstudio": ("", "/api/v0")}  # paths of their other APIs


def key_mistake(key: str) -> str:
    """Why ``key`` cannot be a provider's key; ``""`` if it can. Does not repeat the key."""
    if key[:1] in ("'", '"', "`") or key[-1:] in ("'", '"', "`"):
        return "contains quotes, which would be sent as part of it; remove them"
    if re.match(r"(authorization\s*:|bearer\s)", key, re.IGNORECASE):
        return 'begins with "Bearer ", which the gateway adds; write the key alone'
    if found := _REFERENCE.fullmatch(key):
        name = found[found.lastgroup or 0]
        return f'is the name of a variable; write "${{{name}}}"' if name.isupper() else "is the name of a variable"
    return ""


def address_mistake(address: str) -> str:
    """Why a base URL cannot be right; ``""`` if it can."""
    path = urlsplit(address).path
    if found := _ENDPOINT.search(path):
        return f"ends with {found[0]}, which the gateway appends; write {address.removesuffix(found[0])}"
    return ""


def doubtful_addresses(config: Config) -> Iterator[str]:
    """One line for each base URL that is probably not an API's."""
    for name, provider in config.providers.items():
        for address in provider.addresses:
            if service_url(address) is not None:
                continue
            if is_own(address, config.server):
                yield f"providers.{name}.baseUrl: {address} is the gateway's own address"
            elif expected := _expected(name, address):
                yield f"providers.{name}.baseUrl: {address} is probably wrong; the API is at {expected}"


def is_own(address: str, server: ServerSettings) -> bool:
    """Whether the listener of ``server`` is at ``address``."""
    parts = urlsplit(address)
    if server.unix_socket or not server.port or (parts.port or {"http": 80, "https": 443}[parts.scheme]) != server.port:
        return False
    host = parts.hostname or ""
    return host == server.host or (_is_loopback(host) and (_is_loopback(server.host) or _is_any(server.host)))


def _expected(name: str, address: str) -> str:
    """The known API that ``address`` seems to mean; ``""`` if unknown or correct."""
    parts = urlsplit(address)
    for known in HOSTED.values():
        if parts.hostname == urlsplit(known.base_url).hostname:
            return "" if _is_at(parts.path, known) else known.base_url
    for local, known in KNOWN_PROVIDERS.items():
        port = urlsplit(known.base_url).port
        if local in HOSTED or not (name == local or (local in _PORTS and parts.port == port)):
            continue
        if parts.path in _OTHER_APIS.get(local, ("",)) and not _is_at(parts.path, known):
            return f"{address.removesuffix(parts.path)}{urlsplit(known.base_url).path}"
    return ""


def _is_at(path: str, known: KnownProvider) -> bool:
    return path in (urlsplit(known.base_url).path, *known.other_paths)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")
