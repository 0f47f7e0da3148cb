"""The URL of a listener."""

from __future__ import annotations

from proxy.config.schema import ServerSettings

_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # wildcard addresses, and what to connect to on this machine


def host_and_port(server: ServerSettings, port: int) -> str:
    """As in a URL; ``port`` is the bound one."""
    return f"{f'[{server.host}]' if ':' in server.host else server.host}:{port}"


def address(server: ServerSettings, port: int) -> str:
    """The URL, or ``unix:`` and the socket's path."""
    if server.unix_socket:
        return f"unix:{server.unix_socket}"
    return f"{_scheme(server)}://{host_and_port(server, port)}"


def reachable_host(server: ServerSettings) -> str:
    """The host that this machine connects to, without brackets."""
    return _ANY.get(server.host, server.host).strip("[]")


def browser_address(server: ServerSettings, port: int) -> str:
    """As ``address``, with a host that works in a browser on this machine."""
    if not server.unix_socket and server.host in _ANY:
        return f"{_scheme(server)}://{_ANY[server.host]}:{port}"
    return address(server, port)


def _scheme(server: ServerSettings) -> str:
    return "https" if server.tls is not None else "http"
