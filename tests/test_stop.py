"""The end of a process: drain, refusals, cancellation, exit status."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.app import Application
from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    RawClient,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import Gateway, GatewayProcess, Process, one_provider, to_config
from tests.support.patience import PATIENCE

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
EVENTS = chat_events("Hello", " world")
CANCELLED = {
    "statusCode": 503,
    "message": "Request cancelled: server is shutting down",
    "error": "Service Unavailable",
}


async def stopping(gw: Process, client: RawClient) -> None:
    """Wait until the process has logged the signal."""
    gw.signal()
    async with asyncio.timeout(PATIENCE):
        while (await client.fetch("GET", "/ready")).status != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# -- as a process ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_process_exits_at_once_with_status_0(number: signal.Signals) -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"drainSecs": 60})) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/ready")).json == {"status": "ready"}
        up.queue(json_answer(completion()))
        await client.fetch("POST", CHAT, json=CALL)  # leaves keep-alive connections on both sides
        gw.signal(number)
        assert await gw.wait() == 0
        await within(up.connections[0].gone.wait(), "the connection to the provider to be closed")
        assert await client.eof() == b""
        assert not any("Traceback" in line for line in gw.lines), gw.lines


async def test_a_drain_rejects_new_requests_and_finishes_running_ones() -> None:
    go = asyncio.Event()
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"drainSecs": 60})) as gw:
        running, slow, kept = await gw.client(), await gw.client(), await gw.client()
        head, *chunks = sse_answer(*EVENTS)
        up.on_head(
            lambda request: (
                [head, *chunks[:2], Wait(go), *chunks[2:]]
                if request.number == 0
                else [Wait(go), *json_answer(completion("late"))]
            )
        )
        await running.request("POST", CHAT, json=STREAM)
        assert (await running.read_head()).status == 200
        await slow.request("POST", CHAT, json=CALL)
        await up.head(1)
        await stopping(gw, kept)
        # Known and new connections alike; health still answers.
        fresh = await gw.client()
        for client in (kept, fresh):
            answer = await client.fetch("POST", CHAT, json=CALL)
            assert answer.status == 503
            assert answer.json["error"]["code"] == "shutting_down"
            assert int(answer.header("retry-after") or 0) >= 1
            assert answer.header("connection") == "close"
        fresh = await gw.client()
        assert (await fresh.fetch("GET", "/health")).status == 200
        assert (await fresh.fetch("GET", "/ready")).json == {"status": "stopping"}
        assert (await (await gw.client()).fetch("GET", "/v1/models")).status == 503
        go.set()
        assert await running.read_events() == EVENTS
        assert (await slow.read_answer()).json == completion("late") | {"_router": answered_by()}
        assert await gw.wait() == 0
        assert len(up.requests) == 2


async def test_with_a_shutdown_delay_requests_are_served_while_health_checks_fail() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"shutdownDelaySecs": 3})) as gw:
        up.on(lambda request: json_answer(completion()))
        kept, idle = await gw.client(), await gw.client()
        assert (await idle.fetch("GET", "/ready")).status == 200
        await stopping(gw, kept)
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.header("connection")) == (200, "close")

        async def connect() -> None:
            while True:
                async with RawClient(gw.port):
                    await asyncio.sleep(0.01)

        with pytest.raises(ConnectionRefusedError):
            await within(connect(), "new connections to be refused")
        answer = await idle.fetch("POST", CHAT, json=CALL)  # on a connection that was open by then
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert await gw.wait() == 0


async def test_requests_that_outlast_the_drain_are_interrupted_cleanly() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"drainSecs": 0.3})) as gw:
        streaming, plain, early, piped, uploading = [await gw.client() for _ in range(5)]
        audio = Headers(200, [("Content-Type", "audio/mpeg"), ("Content-Length", "1000")])
        up.on_head(lambda request: [Stall()] if request.target.endswith("transcriptions") else None)
        up.queue(
            [Headers(200, SSE_HEADERS), *map(Chunk, EVENTS[:2]), Stall()],
            [Stall()],
            [Headers(200, SSE_HEADERS), Chunk(EVENTS[0]), Stall()],
            [audio, b"half", Stall()],
        )
        await streaming.request("POST", CHAT, json=STREAM)
        await streaming.read_head()
        await plain.request("POST", CHAT, json=CALL)
        await up.request(1)
        await early.request("POST", CHAT, json=STREAM)
        await up.request(2)
        await piped.request("POST", "/v1/audio/speech", json={"model": "m", "input": "Hi"})
        await piped.read_head()
        form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data'
        head = [("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", "5000")]
        await uploading.request("POST", "/v1/audio/transcriptions", headers=head, body=form)
        await up.head(4)
        gw.signal()
        *events, last = await streaming.read_events()
        assert events == EVENTS[:2]
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert error["code"] == "shutting_down"
        assert DONE not in streaming.received
        for client in (plain, early, uploading):
            answer = await client.read_answer()
            assert (answer.status, answer.json) == (503, CANCELLED)
            assert answer.header("content-type") == "application/json"
        assert await piped.eof() == b"half"
        assert await gw.wait() == 0
        lines = [json.loads(line) for line in gw.lines if '"exchange"' in line]
        assert [line["outcome"] for line in lines if line["status"] == 503] == ["cancelled"] * 3
        assert not any("Traceback" in line for line in gw.lines), gw.lines


async def test_a_second_signal_ends_requests_and_exits() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"drainSecs": 60})) as gw:
        up.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await up.request(0)
        await stopping(gw, await gw.client())
        gw.signal(signal.SIGINT)
        answer = await client.read_answer()
        assert (answer.status, answer.json) == (503, CANCELLED)
        assert await gw.wait() == 130  # long before the drain would be over
        assert [json.loads(line)["outcome"] for line in gw.lines if '"exchange"' in line] == ["cancelled"]


async def test_a_second_signal_in_the_shutdown_delay_exits() -> None:
    server = {"drainSecs": 60, "shutdownDelaySecs": 60}
    async with Upstream() as up, GatewayProcess(one_provider(up, server=server)) as gw:
        await stopping(gw, await gw.client())
        gw.signal(signal.SIGTERM)
        assert await gw.wait() == 130


async def test_an_unfinished_request_does_not_delay_the_exit() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"drainSecs": 0.2})) as gw:
        client, silent, half = await gw.client(), await gw.client(), await gw.client()
        await client.send(client.encode("POST", CHAT, [("Content-Length", "1000")], b"{"))
        await half.send(b"POST /v1/chat/comp")
        await until(lambda: silent, "the clients to be there")
        assert (await (await gw.client()).fetch("GET", "/health")).status == 200
        gw.signal()
        answer = await client.read_answer()
        assert (answer.status, answer.json) == (503, CANCELLED)
        assert await gw.wait() == 0
        assert await silent.eof() == b""


async def test_a_unix_socket_serves_and_its_file_is_removed_at_exit(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with Upstream() as up, UnixGateway(one_provider(up), path) as gw:
        up.queue(json_answer(completion("Hello")))
        async with RawClient(str(path)) as client:
            answer = await client.fetch("POST", CHAT, json=CALL)
            assert answer.json == completion("Hello") | {"_router": answered_by()}
            up.queue(sse_answer(*EVENTS))
            assert (await client.fetch("POST", CHAT, json=STREAM)).body == b"".join(EVENTS)
        gw.signal()
        assert await gw.wait() == 0
        assert not path.exists()


async def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with Upstream() as up:
        async with UnixGateway(one_provider(up), path) as gw:
            gw.signal(signal.SIGKILL)
            await gw.wait()
        assert path.exists()
        async with UnixGateway(one_provider(up), path), RawClient(str(path)) as client:
            assert (await client.fetch("GET", "/health")).status == 200


class UnixGateway(GatewayProcess):
    """Listens on a socket file, so that its start-up line names no port."""

    def __init__(self, source: Mapping[str, Any], path: Path) -> None:
        super().__init__(dict(source))
        self._path = path

    async def start(self) -> None:
        import asyncio.subprocess as pipes
        import os
        import sys
        import tempfile

        from tests.support import gateway

        with tempfile.TemporaryDirectory() as folder:
            config = gateway._write(gateway._mapping(self._source), Path(folder))
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "proxy", "serve", "--config", str(config), "--unix-socket", str(self._path)),
                cwd=gateway.ROOT,
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
                stdin=pipes.DEVNULL,
                stdout=pipes.PIPE,
                stderr=pipes.STDOUT,
            )
            self._started = asyncio.Event()
            self._reading = asyncio.ensure_future(self._read())
            await until(lambda: any(str(self._path) in line for line in self.lines), "the start-up line")


async def test_two_processes_share_a_port() -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        async with Upstream() as up:
            config = one_provider(up, server={"reusePort": True, "drainSecs": 1})
            args = ["--port", str(port)]
            up.on(lambda request: json_answer(completion("Hello")))
            async with GatewayProcess(config, args) as first:
                assert first.port == port
                async with GatewayProcess(config, args) as second:
                    assert second.port == port
                    probe.close()
                    seen: set[bool] = set()
                    for _ in range(200):  # the kernel spreads connections by a hash of their ports
                        async with RawClient(port) as client:
                            answer = await client.fetch("POST", CHAT, json=CALL)
                        assert answer.status == 200
                        served = [sum('"exchange"' in line for line in gw.lines) > 0 for gw in (first, second)]
                        seen.add(all(served))
                        if all(served):
                            break
                    assert True in seen
                    first.signal()
                    assert await first.wait() == 0
                    for _ in range(5):
                        async with RawClient(port) as client:
                            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


async def test_a_port_in_use_is_one_line_and_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with Upstream() as up, GatewayProcess(one_provider(up), ["--port", str(port)]) as gw:
            assert await gw.wait() == 1
            (line,) = gw.lines
            assert line.startswith(f"server: cannot listen on http://127.0.0.1:{port}: ")
            assert line.endswith("address already in use; use --port or LISTEN_PORT")


async def test_a_port_in_use_of_the_control_plane_names_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        config = {"providers": {"up": {"baseUrl": "http://127.0.0.1:9"}}, "admin": {"listen": where}}
        async with GatewayProcess(config, ["--port", "0"]) as gw:
            assert await gw.wait() == 1
            (line,) = gw.lines
            assert line.startswith(f"admin.listen: cannot listen on http://{where}: ")
            assert line.endswith("address already in use")


# -- in this process ---------------------------------------------------------------------------------------


async def test_a_slow_reader_is_awaited_and_then_aborted() -> None:
    async with Upstream() as up:
        gw = Gateway(one_provider(up, server={"drainSecs": 0.2}))
        async with gw:
            up.queue(json_answer(completion("x" * 20_000_000)))
            client = await gw.client(receive_buffer=64 * 1024)
            await client.request("POST", CHAT, json=CALL)
            await client.read_head()
            await within(gw.app.stop(), "the end")
            assert (await gw.settled())["outcome"] == "cancelled"
            assert len(await client.eof()) < 20_000_000


async def test_a_draining_response_counts_as_running() -> None:
    go = asyncio.Event()
    async with Upstream() as up:
        config = one_provider(up, provider={"onDisconnect": "drain"}, server={"drainSecs": 5})
        async with Gateway(config) as gw:
            head, *chunks = sse_answer(*chat_events("Hello", usage={"prompt_tokens": 3, "completion_tokens": 4}))
            up.queue([head, *chunks[:2], Wait(go), *chunks[2:]])
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await client.read_head()
            client.close()
            await until(lambda: gw.app.gateway and _draining(gw.app), "the client's departure to be seen")
            ending = asyncio.ensure_future(gw.app.stop())
            await asyncio.sleep(0.05)
            assert not ending.done()
            go.set()
            await within(ending, "the end")
            line = await gw.settled()
            assert line["outcome"] == "client_gone"
            assert line["tokens"]["output"] == 4


def _draining(app: Application) -> bool:
    assert app.serving is not None
    return any(getattr(request.flow, "draining", False) for request in app.serving._running.values())


async def test_after_the_stop_nothing_listens_and_no_connection_is_open() -> None:
    async with Upstream() as up:
        app = Application(to_config(one_provider(up)), environ={})
        await app.start()
        up.queue([Headers(200, SSE_HEADERS), Chunk(EVENTS[1]), Chunk(DONE), LastChunk()])
        async with RawClient(app.port) as client:
            await client.fetch("POST", CHAT, json=STREAM)
            await within(app.stop(), "the end")
            assert await client.eof() == b""
        await within(up.connections[0].gone.wait(), "the provider to be left")
        with pytest.raises(ConnectionRefusedError):
            await RawClient(app.port).connect()
