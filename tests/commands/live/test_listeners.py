"""Addresses that are free, used by a running gateway, used by something else, or not usable at all."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import closing
from pathlib import Path

from proxy.commands.live.listeners import _refused
from tests.commands.live.rig import finding, findings
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.ports import free_port
from tests.support.tls import Authority
from tests.support.upstream import Upstream


async def test_a_free_address_is_ok_and_stays_free(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        found = await finding("server", f"server: {{port: {port}}}", tmp_path)
        assert (found.level, found.text) == ("ok", f"http://127.0.0.1:{port} is free")


async def test_a_running_gateway_at_the_address_is_ok(tmp_path: Path) -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up)) as gw:
        found = await finding("server", f"server: {{port: {gw.port}}}", tmp_path)
        assert (found.level, found.text) == ("ok", f"http://127.0.0.1:{gw.port} is used by a running gateway")


async def test_a_listener_that_requires_certificates_is_not_judged(authority: Authority, tmp_path: Path) -> None:
    chain, key = authority.server_files(tmp_path)
    tls = f"tls: {{certFile: {chain}, keyFile: {key}, clientCa: {authority.ca_file(tmp_path)}}}"
    with closing(socket.create_server(("127.0.0.1", 0))) as used:
        found = await findings(f"server: {{port: {used.getsockname()[1]}, {tls}}}", tmp_path)
    assert found["server"].level == "warning"
    assert "is used; whether by a gateway is not known" in found["server"].text
    assert found["server.tls.clientCa"].level == "ok"


async def test_another_program_at_the_address_fails(tmp_path: Path) -> None:
    async def closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(closes, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        text = f"server: {{port: 0}}\nadmin: {{listen: '127.0.0.1:{port}'}}"
        found = await findings(text, tmp_path)
    assert found["server"].level == "ok"
    assert found["admin.listen"].level == "FAILED"
    assert f"http://127.0.0.1:{port} is used by another program; stop that" in found["admin.listen"].text


async def test_an_address_of_another_machine_fails(tmp_path: Path) -> None:
    # RFC 5737: no machine has it.
    found = await finding("server", "server: {host: 192.0.2.1, port: 0, insecure: true}", tmp_path)
    assert found.level == "FAILED"
    assert "is no address of this machine; correct server.host" in found.text


def test_a_port_that_needs_a_privilege_is_explained() -> None:
    text = _refused("http://127.0.0.1:80", PermissionError(errno.EACCES, "denied"))
    assert "choose a port above 1023" in text


async def test_a_unix_socket_is_free_or_left_over_or_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "s"
    text = f"server: {{unixSocket: {path}}}"
    assert (await finding("server", text, tmp_path)).text == f"unix:{path} is free"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    assert (await finding("server", text, tmp_path)).level == "ok"
    assert path.exists()
    path.unlink()
    path.write_text("")
    assert "is no socket" in (await finding("server", text, tmp_path)).text
    missing = f"server: {{unixSocket: {tmp_path}/none/s}}"
    assert "its folder does not exist" in (await finding("server", missing, tmp_path)).text
