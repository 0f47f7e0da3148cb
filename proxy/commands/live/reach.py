"""Opening a connection as the gateway does, with its resolver, proxy and TLS settings, and saying why that failed."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from proxy.client.dial import Dialer, Origin
from proxy.config.provider_schema import Tls
from proxy.config.proxies import Proxies, authority
from proxy.errors import GatewayError

CONNECT_SECS = 5.0


class _Probe(asyncio.BufferedProtocol):
    """Takes nothing: the connection is closed as soon as it is there."""

    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(64)

    def buffer_updated(self, nbytes: int) -> None:
        pass


async def reach(dialer: Dialer, url: str, tls: Tls, timeout: float = CONNECT_SECS) -> None:
    """Connect to the origin of ``url``, and close. Raises GatewayError as a request would, and ValueError."""
    transport, _ = await dialer.dial(Origin.of(url, tls), _Probe, timeout)
    transport.abort()


def through(proxies: Proxies, url: str) -> str:
    """`` through the proxy HOST:PORT``, or ``""`` where the gateway connects directly. Raises ConfigError."""
    origin = Origin.of(url, Tls())
    proxy = proxies.choose(origin.scheme, origin.host, origin.port)
    return "" if proxy is None else f" through the proxy {authority(proxy.host, proxy.port)}"


def reason(error: GatewayError) -> str:
    """The gateway's own message, and what the system or the TLS library says."""
    words = _cause(error)
    return f"{error.message.rstrip('.')}{f' ({words})' if words else ''}"


def _cause(error: BaseException) -> str:
    found = ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            found = cause.verify_message
        elif isinstance(cause, ssl.SSLError):
            found = (cause.reason or "").replace("_", " ").lower()
        elif isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            # Both loops put the address into the text of a failed connect.
            known = cause.errno is not None and not isinstance(cause, socket.gaierror)
            found = (os.strerror(cause.errno or 0) if known else cause.strerror or str(cause)).lower()
        cause = cause.__cause__
    return found
