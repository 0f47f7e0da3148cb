"""What the connections over TLS share: what is agreed in a handshake, and how many there may be at once."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server.tls_listener import context
from tests.support import Authority, until
from tests.support.front import Front, ended


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ListenTls:
    chain, key = authority.server_files(tmp_path)
    return ListenTls(cert_file=str(chain), key_file=str(key))


# -- what is agreed -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_it_speaks_tls_1_2_and_1_3(version: ssl.TLSVersion, tls: ListenTls, authority: Authority) -> None:
    wanted = authority.client_context()
    wanted.minimum_version = wanted.maximum_version = version
    async with Front(tls=tls) as front:
        client = await front.secure(wanted)
        assert client.tls.version() == version.name.replace("_", ".")
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


def test_nothing_older_is_spoken(tls: ListenTls) -> None:
    assert context(tls).minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), ([], None)]
)
async def test_http_1_1_is_all_that_is_agreed_upon(
    offered: list[str], chosen: str | None, tls: ListenTls, authority: Authority
) -> None:
    wanted = authority.client_context()
    if offered:
        wanted.set_alpn_protocols(offered)
    async with Front(tls=tls) as front:
        client = await front.secure(wanted)
        assert client.tls.selected_alpn_protocol() == chosen
        assert (await client.fetch("GET", "/")).status == 200


def test_one_file_may_hold_certificate_and_key(tls: ListenTls) -> None:
    both = Path(tls.cert_file)
    both.write_bytes(both.read_bytes() + Path(tls.key_file).read_bytes())
    context(ListenTls(cert_file=str(both)))


def test_an_encrypted_key_is_a_mistake_and_no_question_at_the_terminal(tls: ListenTls) -> None:
    key = load_pem_private_key(Path(tls.key_file).read_bytes(), None)
    Path(tls.key_file).write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(ConfigError, match=r"server\.tls"):
        context(tls)


def test_a_file_that_went_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.tls: .*No such file"):
        context(ListenTls(cert_file=str(tmp_path / "none")))


# -- handshakes at once ---------------------------------------------------------------------------


async def test_beyond_the_bound_on_handshakes_the_next_are_closed(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, max_handshakes=3) as front:
        served = await front.secure(authority.client_context())
        mute = [front.silent() for _ in range(3)]
        await until(lambda: len(front.termination.handshakes) == 3, "three handshakes to be begun")
        assert await ended(front.silent()) == b""
        assert front.rejected == ["too_many_handshakes"]
        assert (await served.fetch("GET", "/hello")).body == b"/hello"
        mute[0].close()
        await until(lambda: len(front.termination.handshakes) == 2, "one of them to be gone")
        assert (await (await front.secure(authority.client_context())).fetch("GET", "/")).status == 200


async def test_a_handshake_that_is_done_counts_no_more(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, max_handshakes=1) as front:
        for _ in range(3):
            await front.secure(authority.client_context())
            await until(lambda: not front.termination.handshakes, "the gateway to have heard the last of it")
        assert front.limiter.connections == 3


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_handshake_that_does_not_end_is_cut_off(said: bytes, tls: ListenTls) -> None:
    async with Front(tls=tls) as front:
        front.termination.handshake_secs = 0.05
        mute = front.silent()
        if said:
            mute.send(said)
        assert await ended(mute) == b""
        assert front.rejected == ["tls_handshake_timeout"]


async def test_over_tls_too_many_connections_are_closed_without_a_word(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, max_connections=2, max_connections_per_address=1) as front:
        client = await front.secure(authority.client_context())
        assert await ended(front.silent()) == b""
        front.silent("127.0.0.2")
        await until(lambda: front.limiter.connections == 2, "the second to be in")
        assert await ended(front.silent("127.0.0.3")) == b""
        assert front.rejected == ["too_many_connections_of_address", "too_many_connections"]
        assert (await client.fetch("GET", "/")).status == 200


async def test_a_load_balancer_that_only_connects_is_no_failure(tls: ListenTls) -> None:
    async with Front(tls=tls) as front:
        front.silent().close()
        await until(lambda: not front.limiter.connections, "it to be gone")
        assert front.rejected == []


# -- what is no TLS -------------------------------------------------------------------------------


async def test_plain_http_is_told_that_this_port_speaks_tls(tls: ListenTls, caplog: pytest.LogCaptureFixture) -> None:
    async with Front(tls=tls) as front:
        client = await front.client()
        await client.request("POST", "/v1/chat/completions", body=b"{}")
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (400, "plain_on_tls_port")
        assert answer.header("connection") == "close"
        assert answer.header("strict-transport-security") is None
        assert await client.eof() == b""
        assert front.rejected == ["plain_on_tls_port"]
        await until(lambda: not front.limiter.connections, "its place to be free")
    assert caplog.records == []


@pytest.mark.parametrize("bytes_", [b"\0" * 100, b"get / http/1.1\r\n\r\n", b"\x80\x2e\x01\x00\x02", b"\xff"])
async def test_other_bytes_are_closed_and_counted(
    bytes_: bytes, tls: ListenTls, caplog: pytest.LogCaptureFixture
) -> None:
    async with Front(tls=tls) as front:
        client = await front.client()
        await client.send(bytes_)
        assert await client.eof() == b""
        assert front.rejected == ["tls_handshake_failed"]
    assert caplog.records == []


@pytest.mark.parametrize("version", [b"\x03\x00", b"\x03\x01", b"\x03\x02"])
async def test_what_only_looks_like_tls_is_answered_with_an_alert(
    version: bytes, tls: ListenTls, caplog: pytest.LogCaptureFixture
) -> None:
    async with Front(tls=tls) as front:
        client = await front.client()
        await client.send(b"\x16" + version + b"\x00\x10" + b"\x07" * 16)
        assert (await client.eof())[:1] == b"\x15"
        assert front.rejected == ["tls_handshake_failed"]
    assert caplog.records == []


async def test_a_client_that_does_not_trust_the_certificate_is_counted(tls: ListenTls) -> None:
    async with Front(tls=tls) as front:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await front.secure(ssl.create_default_context())
        await until(lambda: not front.limiter.connections, "it to be gone")
