"""Who can reach the listener without a credential."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.exposure import is_open, refusal, requires_certificate
from proxy.config.schema import Auth, Config, ListenTls, ServerSettings


def server(host: str = "0.0.0.0", **tls: Any) -> ServerSettings:
    return ServerSettings(host=host, tls=ListenTls("c.pem", **tls) if tls else None)


@pytest.mark.parametrize(
    ("settings", "mode", "open_"),
    [
        (server(), "none", True),
        (server(), "keys", False),
        (server("127.0.0.1"), "none", False),
        (server(key_file="k.pem"), "none", True),
        (server(client_ca="ca.pem"), "none", False),
        (server(client_ca="ca.pem", client_auth="optional"), "none", True),
        (server(client_ca="ca.pem", client_auth="optional"), "certificates", False),
    ],
)
def test_a_required_certificate_is_a_credential(settings: ServerSettings, mode: Any, open_: bool) -> None:
    assert is_open(settings, Auth(mode=mode)) is open_
    assert bool(refusal(Config(server=settings, auth=Auth(mode=mode)), insecure=False)) is open_


def test_a_certificate_is_required_only_with_a_ca() -> None:
    assert not requires_certificate(server(key_file="k.pem"))
    assert not requires_certificate(server())
