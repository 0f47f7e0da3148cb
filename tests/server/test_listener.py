"""Where clients reach us: TCP and unix sockets, with TLS and without, and the end of it all."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from tests.support import Authority, RawClient, until
from tests.support.front import Front, ended
from tests.support.secure import SecureClient


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ListenTls:
    chain, key = authority.server_files(tmp_path)
    return ListenTls(cert_file=str(chain), key_file=str(key))


async def test_it_takes_a_free_port_and_tells_which() -> None:
    async with Front(host="localhost") as front:
        assert front.port
        client = await front.client()
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


async def test_a_port_that_is_taken_is_an_error_and_its_owner_stays() -> None:
    async with Front() as front:
        with pytest.raises(OSError):
            await Front(port=front.port).__aenter__()
        assert (await (await front.client()).fetch("GET", "/")).status == 200


async def test_it_takes_all_addresses_and_no_write_waits_for_a_packet_to_be_full() -> None:
    async with Front(host="") as front:
        for address in ("127.0.0.1", "127.0.0.2"):
            front.silent(address)
        await until(lambda: len(front.server.connections) == 2, "both of them to be in")
        for connection in front.server.connections:
            assert connection.transport is not None
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_host_that_is_not_this_machine_is_an_error_that_names_it() -> None:
    front = Front(host="192.0.2.1")
    with pytest.raises(OSError, match=r"192\.0\.2\.1.*cannot assign requested address"):
        await front.__aenter__()
    await front.listener.stop()


async def test_two_processes_may_share_a_port_where_they_say_so() -> None:
    async with Front(reuse_port=True) as one, Front(reuse_port=True, port=one.port) as two:
        assert one.port == two.port


# -- unix sockets ---------------------------------------------------------------------------------


async def test_a_unix_socket_goes_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Front(unix_socket=str(path)) as front, RawClient(str(path)) as client:
        assert (await client.fetch("GET", "/hello")).body == b"/hello"
        assert front.port == 0
    assert not path.exists()


async def test_a_unix_socket_has_the_configured_mode(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Front(unix_socket=str(path), unix_socket_mode="0666"), RawClient(str(path)) as client:
        assert path.stat().st_mode & 0o777 == 0o666
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


async def test_the_socket_of_a_process_that_died_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with Front(unix_socket=str(path)), RawClient(str(path)) as client:
        assert (await client.fetch("GET", "/")).status == 200


async def test_the_socket_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with Front(unix_socket=path):
        other = Front(unix_socket=path)
        with pytest.raises(OSError):
            await other.__aenter__()
        await other.listener.stop()
        async with RawClient(path) as client:
            assert (await client.fetch("GET", "/")).status == 200


async def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(OSError):
        await Front(unix_socket=str(path)).__aenter__()
    assert path.read_text() == "precious"


async def test_a_unix_socket_may_speak_tls(tls: ListenTls, authority: Authority, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with Front(unix_socket=path, tls=tls), SecureClient(path, authority.client_context()) as client:
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


# -- certificates ---------------------------------------------------------------------------------


async def test_new_certificates_hold_for_new_connections_and_old_connections_stay(
    tls: ListenTls, authority: Authority, tmp_path: Path
) -> None:
    async with Front(tls=tls) as front:
        old = await front.secure(authority.client_context())
        authority.server_files(tmp_path)
        before = await front.secure(authority.client_context())
        front.listener.reload_certificates()
        new = await front.secure(authority.client_context())
        assert old.tls.getpeercert() == before.tls.getpeercert() != new.tls.getpeercert()
        for client in (old, before, new):
            assert (await client.fetch("GET", "/")).status == 200


@pytest.mark.parametrize("broken", ["no certificate", "no key", "another's key", "no text", "gone"])
async def test_broken_files_leave_the_old_certificate_in_force(
    broken: str, tls: ListenTls, authority: Authority, tmp_path: Path
) -> None:
    async with Front(tls=tls) as front:
        old = await front.secure(authority.client_context())
        chain, key = authority.server_files(tmp_path)
        match broken:
            case "no certificate":
                chain.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            case "no key":
                key.write_text("")
            case "another's key":
                fresh = chain.read_bytes()
                authority.server_files(tmp_path)
                chain.write_bytes(fresh)
            case "no text":
                chain.write_bytes(b"\0\xff")
            case "gone":
                key.unlink()
        with pytest.raises(ConfigError, match=r"^server\.tls: the certificate cannot be used: "):
            front.listener.reload_certificates()
        new = await front.secure(authority.client_context())
        assert new.tls.getpeercert() == old.tls.getpeercert()


async def test_a_certificate_that_cannot_be_used_stops_the_start(tls: ListenTls) -> None:
    front = Front(tls=ListenTls(cert_file=tls.key_file))
    with pytest.raises(ConfigError, match=r"^server\.tls: "):
        await front.__aenter__()
    await front.listener.stop()


async def test_without_tls_there_is_nothing_to_read_again() -> None:
    async with Front() as front:
        front.listener.reload_certificates()


# -- the end --------------------------------------------------------------------------------------


async def test_a_stop_says_goodbye_to_idle_clients_and_leaves_nobody(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls) as front:
        idle, fresh = [await front.secure(authority.client_context()) for _ in range(2)]
        assert (await idle.fetch("GET", "/")).status == 200
        mute = front.silent()
        await until(lambda: front.limiter.connections == 3, "all of them to be in")
        await front.listener.stop()
        for client in (idle, fresh):
            assert await client.eof() == b""
            assert not client.truncated
        assert await ended(mute) == b""
        await until(lambda: not front.limiter.connections, "all of them to be gone")


async def test_after_a_stop_nobody_listens() -> None:
    async with Front() as front:
        await front.listener.stop()
        with pytest.raises(ConnectionRefusedError):
            await front.client()


async def test_open_connections_are_served_after_new_ones_are_refused() -> None:
    async with Front() as front:
        client = await front.client()
        assert (await client.fetch("GET", "/")).status == 200
        await front.listener.stop_accepting()
        await front.listener.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await front.client()
        assert (await client.fetch("GET", "/again")).body == b"/again"


async def test_a_socket_file_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with Front(unix_socket=str(path)) as front:
        await front.listener.stop_accepting()
        assert not path.exists()
        path.touch()
    assert path.exists()


async def test_what_runs_is_cut_off_by_a_stop_in_the_end(
    tls: ListenTls, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.listener.CLEANUP_SECS", 0.05)
    async with Front(tls=tls) as front:
        front.hold = asyncio.Event()
        client = await front.secure(authority.client_context())
        await client.request("GET", "/")
        await until(lambda: front.server.requests_count, "the request to be begun")
        await front.listener.stop()
        assert await client.eof() == b""
