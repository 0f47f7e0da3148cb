"""``sluice health`` against real gateways on every kind of listener, and against what is none."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.__main__ import main
from proxy.commands.health import Target, probe, target_at, target_of
from proxy.config.schema import ServerSettings
from proxy.errors import ConfigError
from tests.support.gateway import ADMIN, Gateway, Process, one_provider
from tests.support.tls import Authority
from tests.support.upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
def silent() -> Iterator[Target]:
    """A listener that accepts connections in the kernel, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield Target("127.0.0.1", listener.getsockname()[1])


async def health(*args: str, folder: Path = ROOT, **environ: str) -> tuple[int, str]:
    """Exit status and standard error of ``sluice health``, as a process in ``folder``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "health", *args),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert output == b""
    assert process.returncode is not None
    return process.returncode, errors.decode()


@pytest.mark.parametrize(
    ("server", "target"),
    [
        (ServerSettings(), Target("127.0.0.1", 8080)),
        (ServerSettings(host="0.0.0.0", port=9), Target("127.0.0.1", 9)),
        (ServerSettings(host="::", port=9), Target("::1", 9)),
        (ServerSettings(host="10.0.0.1", port=9), Target("10.0.0.1", 9)),
        (ServerSettings(unix_socket="/run/s"), Target(path="/run/s")),
    ],
)
def test_the_target_is_where_this_machine_reaches_the_listener(server: ServerSettings, target: Target) -> None:
    assert target_at(server) == target


def test_a_port_that_is_chosen_at_the_start_needs_the_url() -> None:
    with pytest.raises(ConfigError, match="--url"):
        target_at(ServerSettings(port=0))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a", Target("a", 80, verify=True)),
        ("https://a/", Target("a", 443, tls=True, verify=True)),
        ("http://[::1]:9/base/", Target("::1", 9, prefix="/base", verify=True)),
        ("unix:/run/s", Target(path="/run/s")),
        ("unix:///run/s", Target(path="/run/s")),
    ],
)
def test_a_url_names_the_target(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize("url", ["a:9", "ftp://a", "http://", "http://a:x", "http://a\r\n"])
def test_an_unusable_url_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--url", url]) == 1
    assert capsys.readouterr().err.startswith("--url: ")


async def test_variables_name_the_gateway(tmp_path: Path) -> None:
    async with Process(["serve", "--port", "0"], environ={"OPENAI_API_KEY": "sk-1"}, folder=tmp_path) as gw:
        environ = {"LISTEN_PORT": str(gw.port), "OPENAI_API_KEY": "sk-1"}
        assert await health(folder=tmp_path, **environ) == (0, "")
        assert await health("--ready", folder=tmp_path, **environ) == (0, "")
        # As in a container: the gateway listens on every address, the check uses loopback.
        assert await health(folder=tmp_path, LISTEN_HOST="0.0.0.0", SLUICE_INSECURE="1", **environ) == (0, "")
    status, text = await health(folder=tmp_path, **environ)
    assert (status, text) == (1, f"http://127.0.0.1:{gw.port} cannot be reached: Connection refused.\n")


async def test_a_gateway_without_a_provider_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with Gateway({"providers": {}}) as gw:
        assert await health("--port", str(gw.port), folder=tmp_path) == (0, "")
        status, text = await health("--port", str(gw.port), "--ready", folder=tmp_path)
    assert status == 1
    assert text.startswith(f"http://127.0.0.1:{gw.port}/ready answered 503: ")
    assert "not_ready" in text


async def test_a_unix_socket_is_asked(tmp_path: Path, up: Upstream) -> None:
    path = str(tmp_path / "sluice.sock")
    async with Gateway(one_provider(up, server={"unixSocket": path})):
        assert await health("--unix-socket", path, "--ready", folder=tmp_path) == (0, "")
        assert await health("--url", f"unix:{path}", folder=tmp_path) == (0, "")
    status, text = await health("--unix-socket", path, folder=tmp_path)
    assert status == 1
    assert text.startswith(f"unix:{path} cannot be reached: ")


async def test_our_own_certificate_need_not_name_loopback(tmp_path: Path, up: Upstream, authority: Authority) -> None:
    chain, key = authority.server_files(tmp_path)
    tls = {"certFile": str(chain), "keyFile": str(key)}
    async with Gateway(one_provider(up, server={"tls": tls})) as gw:
        (tmp_path / "c.yaml").write_text(f"server: {{port: {gw.port}, tls: {{certFile: {chain}, keyFile: {key}}}}}\n")
        assert await health("--config", "c.yaml", folder=tmp_path) == (0, "")
        status, text = await health("--url", f"https://127.0.0.1:{gw.port}")
        assert status == 1
        assert "certificate verify failed" in text
        status, text = await health("--url", f"http://127.0.0.1:{gw.port}")
        assert status == 1


async def test_mistakes_elsewhere_in_the_file_do_not_matter_to_a_running_gateway(tmp_path: Path, up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        (tmp_path / "c.yaml").write_text(f"server: {{port: {gw.port}}}\nroutng: {{}}\nmodels: [{{name: a}}]\n")
        assert await health("--config", "c.yaml", folder=tmp_path) == (0, "")
        (tmp_path / "c.yaml").write_text("server: {port: many}\n")
        status, text = await health("--config", "c.yaml", folder=tmp_path)
        assert status == 1
        assert text.startswith("c.yaml: server.port: ")


async def test_a_gateway_that_stops_is_not_ready(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        gw.app.serving.stopping = True
        target = Target("127.0.0.1", gw.port)
        assert await asyncio.to_thread(probe, target, "/health/live") == ""
        assert '503: {"status":"stopping"' in await asyncio.to_thread(probe, target, "/ready")
        gw.app.serving.stopping = False


def test_a_listener_that_does_not_answer_is_not_waited_for(silent: Target) -> None:
    assert probe(silent, "/ready", 0.05) == f"{silent} did not answer /ready within 0.05 s."


async def test_another_protocol_is_named() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
        text = await asyncio.to_thread(probe, target, "/health/live")
    assert text == f"{target}/health/live does not speak HTTP: it is not Sluice, or it is behind TLS."


def test_a_check_imports_neither_the_gateway_nor_an_event_loop(silent: Target) -> None:
    """A container runtime runs it every few seconds: imports are most of its cost."""
    code = (
        "import sys; from proxy.entry import main\n"
        f"sys.argv[1:] = ['health', '--port', '{silent.port}', '--host', 'localhost.invalid']\n"
        "assert main() == 1\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'asyncio', 'aiohttp', 'uvloop', 'ssl'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stdout == "\n", done.stderr


@pytest.mark.parametrize("proxies", [["127.0.0.1"], ["127.0.0.9"]])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_listener_with_the_proxy_protocol_gets_its_header(
    proxies: list[str], secure: bool, up: Upstream, authority: Authority, tmp_path: Path
) -> None:
    """From a trusted address only: from any other, a header would be no HTTP."""
    chain, key = authority.server_files(tmp_path)
    tls = {"tls": {"certFile": str(chain), "keyFile": str(key)}} if secure else {}
    server = {"proxyProtocol": True, "trustedProxies": proxies} | tls
    async with Gateway(one_provider(up, server=server)) as gw:
        target = target_at(replace(gw.config.server, port=gw.port))
        assert await asyncio.to_thread(probe, target, "/ready") == ""
        assert not [line for line in gw.log_lines if "PROXY protocol" in line]


async def test_a_unix_socket_with_the_proxy_protocol_gets_its_header(up: Upstream, tmp_path: Path) -> None:
    server = {"proxyProtocol": True, "trustedProxies": ["unix"], "unixSocket": str(tmp_path / "s")}
    async with Gateway(one_provider(up, server=server)) as gw:
        assert await asyncio.to_thread(probe, target_at(gw.config.server), "/ready") == ""


# -- client certificates ------------------------------------------------------------------------------


def write_config(path: Path, server: dict[str, Any], **sections: Any) -> None:
    path.write_text(json.dumps({"server": server} | sections))


async def test_a_listener_that_requires_a_certificate_is_asked_with_one(
    up: Upstream, authority: Authority, tmp_path: Path
) -> None:
    chain, key = authority.server_files(tmp_path)
    tls = {"certFile": str(chain), "keyFile": str(key), "clientCa": str(authority.ca_file(tmp_path))}
    mine = [str(each) for each in authority.issued(tmp_path, common_names=["probe"])]
    async with Gateway(one_provider(up, server={"tls": tls})) as gw:
        config, where = tmp_path / "c.yaml", f"https://127.0.0.1:{gw.port}"
        write_config(config, {"port": gw.port, "tls": tls})
        args = ["--config", str(config)]
        assert await health(*args, "--cert", mine[0], "--key", mine[1]) == (0, "")
        status, text = await health(*args)
        assert (status, text.split(":")[0]) == (1, "server.tls.clientCa")
        assert "--cert and --key, or set admin.listen" in text
        write_config(config, {"port": gw.port, "tls": tls | {"clientAuth": "optional"}})  # not what it runs with
        expected = f"{where} requires a client certificate: name it with --cert and --key.\n"
        assert await health(*args) == (1, expected)
        status, text = await health(*args, "--cert", str(chain), "--key", mine[1])
        assert (status, text.startswith(f"--cert: {chain} cannot be used: ")) == (1, True)
        assert await health(*args, "--key", mine[1]) == (1, "--key: needs --cert, the file of the certificate\n")


@pytest.mark.parametrize("proxies", [{}, {"proxyProtocol": True, "trustedProxies": ["127.0.0.1"]}])
async def test_without_a_certificate_admin_listen_is_asked(
    proxies: dict[str, Any], up: Upstream, authority: Authority, tmp_path: Path
) -> None:
    chain, key = authority.server_files(tmp_path)
    tls = {"certFile": str(chain), "keyFile": str(key), "clientCa": str(authority.ca_file(tmp_path))}
    server, admin = {"tls": tls} | proxies, {"listen": "127.0.0.1:0"}
    async with Gateway(one_provider(up, server=server, admin=admin)) as gw:
        address = gw.app.listeners.admin_address.removeprefix("https://").rstrip("/")
        write_config(tmp_path / "c.yaml", server | {"port": gw.port}, admin={"listen": address, "token": ADMIN})
        assert await health("--config", str(tmp_path / "c.yaml"), "--ready") == (0, "")
