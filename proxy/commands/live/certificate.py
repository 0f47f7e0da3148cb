"""The certificate of the listener and the CA of client certificates: whether they can be used, and for how long.

The standard library reads the fields of a certificate only after a handshake. So a client in memory, which trusts this
one certificate, shakes hands with a server that has it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from proxy.commands.live.finding import Finding, failed, ok, warning
from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server.tls_listener import context

SOON_DAYS: Final = 14
_MOST_STEPS: Final = 10
_NAME: Final = "server.tls"
_CLIENT_CA: Final = "server.tls.clientCa"


async def client_ca(tls: ListenTls) -> Sequence[Finding]:
    """The bundle; one of its certificates may have expired while a new one is introduced."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trusted.load_verify_locations(tls.client_ca)
    except OSError as error:
        reason = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        return [failed(_CLIENT_CA, f"{tls.client_ca} cannot be used: {reason}; correct server.tls.clientCa")]
    ends = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in trusted.get_ca_certs()]
    valid = [end for end in ends if end > time.time()]
    if not valid:
        return [failed(_CLIENT_CA, f"{tls.client_ca} has no valid CA certificate, so no client can connect; renew it")]
    days = int((max(valid) - time.time()) // 86_400)
    text = f"{tls.client_ca}: {len(valid)} of {len(ends)} CA certificates are valid, for {_days(days)}"
    if days < SOON_DAYS or len(valid) < len(ends):
        return [warning(_CLIENT_CA, f"{text}; renew them, and send SIGHUP")]
    return [ok(_CLIENT_CA, text)]


async def certificate(tls: ListenTls) -> Sequence[Finding]:
    try:
        context(replace(tls, client_ca=""))
        found = _fields(tls)
    except ConfigError as error:
        return [failed(_NAME, "; ".join(each.removeprefix("server.tls: ") for each in error.mistakes))]
    except ssl.SSLCertVerificationError as error:
        return [failed(_NAME, f"{tls.cert_file}: {error.verify_message}; renew the certificate")]
    except (OSError, ssl.SSLError) as error:
        return [failed(_NAME, f"{tls.cert_file}: {error.strerror or error}; correct server.tls")]
    return [_judged(tls.cert_file, found, time.time())]


def _judged(file: str, found: dict[str, Any], now: float) -> Finding:
    names = ", ".join(str(name) for _, name in found.get("subjectAltName", ())) or "no host name"
    days = int((ssl.cert_time_to_seconds(found["notAfter"]) - now) // 86_400)
    text = f"{file} and its key match, for {names}, valid for {_days(days)}"
    if days < SOON_DAYS:
        return warning(_NAME, f"{text}; renew it, and send SIGHUP")
    return ok(_NAME, text)


def _days(days: int) -> str:
    return f"{days} more day{'' if days == 1 else 's'}"


def _fields(tls: ListenTls) -> dict[str, Any]:
    """The fields as of ``SSLSocket.getpeercert``. Raises ssl.SSLCertVerificationError if it is not valid now."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it need not be signed by itself
    client_side.load_verify_locations(tls.cert_file)
    upwards, downwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(upwards, downwards, server_side=True)
    client = client_side.wrap_bio(downwards, upwards, server_side=False)
    for _ in range(_MOST_STEPS):
        done = 0
        for each in (client, server):
            try:
                each.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            return client.getpeercert() or {}
    raise ssl.SSLError("the handshake does not end")
