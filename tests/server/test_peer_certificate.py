"""Client certificates at the listener: the name in one, and those that are refused."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server.peer_certificate import LONGEST_NAME, PeerCertificateError, name_of
from proxy.server.tls_listener import context
from tests.support import Authority, until
from tests.support.front import Front
from tests.support.secure import SecureClient

END = "Jan  1 00:00:00 2040 GMT"
VALID = ssl.cert_time_to_seconds(END) - 1


def certificate(*names: tuple[str, str], subject: tuple[str, ...] = ()) -> dict[str, Any]:
    """As ``getpeercert`` returns it; ``subject``: its common names."""
    rdns = ((("organizationName", "Tests"),), *((("commonName", each),) for each in subject))
    return {"notAfter": END, "subject": rdns} | ({"subjectAltName": names} if names else {})


# -- the name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (certificate(("URI", "spiffe://a/b")), "spiffe://a/b"),
        (certificate(("DNS", "a.example"), ("URI", "spiffe://a/B"), ("URI", "spiffe://c")), "spiffe://a/B"),
        (certificate(("IP Address", "192.0.2.1"), ("DNS", "A.Example"), ("DNS", "b.example")), "a.example"),
        (certificate(("DNS", "a.example"), subject=("b",)), "a.example"),
        (certificate(("email", "a@example.org"), subject=("Billing",)), "Billing"),
        (certificate(subject=("outer", "Billing Service")), "Billing Service"),
        (certificate(subject=("x" * LONGEST_NAME,)), "x" * LONGEST_NAME),
    ],
)
def test_the_name_is_the_first_uri_else_dns_name_else_common_name(found: dict[str, Any], name: str) -> None:
    assert name_of(found, VALID) == name


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (certificate(), "has no name"),
        (certificate(("IP Address", "192.0.2.1")), "has no name"),
        (certificate(subject=("",)), "has no name"),
        (certificate(subject=("x" * (LONGEST_NAME + 1),)), "up to 200"),
        (certificate(("URI", "a\r\nb"), subject=("good",)), "printable"),
        (certificate(("DNS", "a\0.example")), "printable"),
        (certificate(subject=(" admin",)), "printable"),
    ],
)
def test_a_certificate_without_a_usable_name_is_refused(found: dict[str, Any], reason: str) -> None:
    with pytest.raises(PeerCertificateError, match=reason):
        name_of(found, VALID)


def test_a_certificate_that_has_expired_since_its_session_began_is_refused() -> None:
    with pytest.raises(PeerCertificateError, match="expired"):
        name_of(certificate(subject=("a",)), VALID + 1)


# -- the listener -------------------------------------------------------------------------------------


@pytest.fixture
def clients() -> Authority:
    """The CA of the clients, which is not that of the gateway."""
    return Authority()


@pytest.fixture
def tls(authority: Authority, clients: Authority, tmp_path: Path) -> ListenTls:
    chain, key = authority.server_files(tmp_path)
    return ListenTls(cert_file=str(chain), key_file=str(key), client_ca=str(clients.ca_file(tmp_path)))


def names(front: Front) -> list[str]:
    return [connection.certificate_name for connection in front.server.connections]  # type: ignore[attr-defined]


def bundle_of(folder: Path, *authorities: Authority) -> bytes:
    return b"".join(each.ca_file(folder).read_bytes() for each in authorities)


def write(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


async def refused(front: Front, context: ssl.SSLContext) -> None:
    """With TLS 1.3 the client has done its part of the handshake before it is refused."""
    try:
        client = await front.secure(context)
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not await client._receive("the end of the connection")
    except (ssl.SSLError, ConnectionError):
        pass  # the alert, or the reset that follows it


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("auth", ["require", "optional"])
async def test_a_certificate_names_every_request_of_its_connection(
    auth: Any, version: ssl.TLSVersion, tls: ListenTls, authority: Authority, clients: Authority
) -> None:
    mine = authority.context_with(clients, uris=["spiffe://test/search"])
    mine.minimum_version = mine.maximum_version = version
    async with Front(tls=replace(tls, client_auth=auth)) as front:
        client = await front.secure(mine)
        for _ in range(3):
            assert (await client.fetch("GET", "/hello")).body == b"/hello"
        assert names(front) == ["spiffe://test/search"]
        assert (front.rejected, front.lines) == ([], [])


async def test_an_optional_certificate_may_be_missing(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=replace(tls, client_auth="optional")) as front:
        assert (await (await front.secure(authority.client_context())).fetch("GET", "/")).status == 200
        assert names(front) == [""]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_certificate_is_refused_with_one_line_a_minute(
    version: ssl.TLSVersion, tls: ListenTls, authority: Authority
) -> None:
    mine = authority.client_context()
    mine.minimum_version = mine.maximum_version = version
    async with Front(tls=tls) as front:
        for _ in range(3):
            await refused(front, mine)
        await until(lambda: len(front.rejected) == 3, "three refusals")
        assert set(front.rejected) == {"client_certificate_missing"}
        [(message, fields)] = front.lines
        assert "it sent no certificate, and server.tls.clientAuth requires one" in message
        assert fields == {"code": "client_certificate_missing", "client": "127.0.0.1"}


@pytest.mark.parametrize("auth", ["require", "optional"])
@pytest.mark.parametrize(
    ("issued", "reason"),
    [
        ({"names": ["a.example"], "days": -1}, "certificate has expired"),
        ({"names": ["a.example"], "server": True}, "certificate purpose"),
        ({}, "it has no name"),
        ({"common_names": ["x" * 64] * 4 + ["a\x01b"]}, "not printable"),
    ],
)
async def test_an_invalid_certificate_is_refused_even_where_it_is_optional(
    auth: Any, issued: dict[str, Any], reason: str, tls: ListenTls, authority: Authority, clients: Authority
) -> None:
    async with Front(tls=replace(tls, client_auth=auth)) as front:
        await refused(front, authority.context_with(clients, **issued))
        await until(lambda: front.lines, "the refusal")
        assert front.rejected == ["client_certificate_invalid"]
        assert reason in front.lines[0][0]
        assert front.lines[0][0].isprintable()


async def test_a_certificate_of_another_ca_is_refused(tls: ListenTls, authority: Authority) -> None:
    """Not even that of the gateway's own certificate is trusted, nor the system's."""
    async with Front(tls=tls) as front:
        for other in (Authority(), authority):
            await refused(front, authority.context_with(other, names=["a.example"]))
        await until(lambda: len(front.rejected) == 2, "two refusals")
        assert set(front.rejected) == {"client_certificate_invalid"}
        assert "unable to get local issuer certificate" in front.lines[0][0]


async def test_the_bundle_may_have_several_cas_and_an_intermediate_one(
    tls: ListenTls, authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    root = Authority()
    below, sibling = Authority(root), Authority(root)
    write(tls.client_ca, bundle_of(tmp_path, clients, below))
    async with Front(tls=tls) as front:
        for one in (clients, below):
            client = await front.secure(authority.context_with(one, common_names=["a"]))
            assert (await client.fetch("GET", "/")).status == 200
        for one in (root, sibling):
            await refused(front, authority.context_with(one, common_names=["a"]))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_keeps_its_name_until_the_ca_is_read_again(
    version: ssl.TLSVersion, tls: ListenTls, authority: Authority, clients: Authority
) -> None:
    mine = authority.context_with(clients, names=["a.example"])
    mine.minimum_version = mine.maximum_version = version
    async with Front(tls=tls) as front:
        first = await front.secure(mine)
        await first.fetch("GET", "/")
        session = first.tls.session
        first.close()
        await until(lambda: not front.limiter.connections, "the first to be gone")
        again = SecureClient(front.port, mine)
        again.tls.session = session
        async with again:
            await again.fetch("GET", "/")
            assert again.tls.session_reused
            assert names(front) == ["a.example"]
        front.listener.reload_certificates()
        later = SecureClient(front.port, mine)
        later.tls.session = session
        async with later:
            await later.fetch("GET", "/")
            assert not later.tls.session_reused


async def test_the_ca_is_read_again_and_open_connections_stay(
    tls: ListenTls, authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    other = Authority()
    old, new = (authority.context_with(each, common_names=["a"]) for each in (clients, other))
    async with Front(tls=tls) as front:
        open_ = await front.secure(old)
        assert (await open_.fetch("GET", "/")).status == 200
        await refused(front, new)
        write(tls.client_ca, b"nothing")
        with pytest.raises(ConfigError, match=r"server\.tls\.clientCa: .* cannot be used: it has no certificate"):
            front.listener.reload_certificates()
        assert (await (await front.secure(old)).fetch("GET", "/")).status == 200
        write(tls.client_ca, bundle_of(tmp_path, other))
        front.listener.reload_certificates()
        assert (await (await front.secure(new)).fetch("GET", "/")).status == 200
        await refused(front, old)
        assert (await open_.fetch("GET", "/")).status == 200


def test_a_ca_that_cannot_be_used_is_named(tls: ListenTls, tmp_path: Path) -> None:
    for content in (None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path = tmp_path / "bad.pem"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match=r"server\.tls\.clientCa: .*bad\.pem cannot be used: "):
            context(replace(tls, client_ca=str(path)))


async def test_a_certificate_comes_with_the_proxy_protocol(
    tls: ListenTls, authority: Authority, clients: Authority
) -> None:
    mine = authority.context_with(clients, common_names=["a"])
    async with Front(tls=tls, proxy_protocol=True, trusted_proxies=["127.0.0.1"]) as front:
        client = HeaderFirst(front.port, mine)
        async with client:
            assert (await client.fetch("GET", "/")).status == 200
            [connection] = front.server.connections
            assert (connection.remote, connection.certificate_name) == ("203.0.113.7", "a")  # type: ignore[attr-defined]
        await until(lambda: not front.limiter.connections, "it to be gone")


class HeaderFirst(SecureClient):
    """Sends a PROXY protocol header before its handshake."""

    async def _shake(self) -> None:
        header = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n"
        await asyncio.get_running_loop().sock_sendall(self._socket, header)
        await super()._shake()


def test_the_clock_of_certificates_is_that_of_the_system() -> None:
    assert name_of(certificate(subject=("a",)), time.time()) == "a"
