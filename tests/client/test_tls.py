from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from proxy.client import tls
from proxy.config.provider_schema import Tls


def test_contexts_verify_by_default_and_refuse_old_tls() -> None:
    context = tls.context(Tls())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_verification_is_off_only_on_request() -> None:
    context = tls.context(Tls(verify=False))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
def test_a_missing_file_is_an_os_error(field: str, tmp_path: Path) -> None:
    with pytest.raises(OSError):  # ssl.SSLError and FileNotFoundError are
        tls.context(Tls(**{field: str(tmp_path / "none.pem")}))  # type: ignore[arg-type]


def test_a_connection_that_failed_during_the_handshake_cannot_be_used() -> None:
    tls.HandshakeProtocol().check()
    for happen in (
        lambda protocol: protocol.data_received(b"HTTP/1.1 408"),
        lambda protocol: protocol.eof_received(),
        lambda protocol: protocol.connection_lost(None),
    ):
        protocol = tls.HandshakeProtocol()
        happen(protocol)
        with pytest.raises(ConnectionError):
            protocol.check()


async def test_a_closing_transport_fails_at_once() -> None:
    class Closing(asyncio.Transport):
        def is_closing(self) -> bool:
            return True

    with pytest.raises(ConnectionResetError):
        await tls.handshake(Closing(), tls.context(Tls()), "localhost")
