"""A gateway process and its service manager: states, reloads, the watchdog, and SIGHUP during the start."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from tests.support import Upstream, Wait, until, within
from tests.support.gateway import GatewayProcess, Process, one_provider
from tests.support.service_manager import NotifySocket

MODELS = b"models: [{name: listed, provider: up}]"


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.yaml"
    path.write_text(json.dumps({"dataDir": str(folder)} | config))
    return path


async def test_start_reload_and_stop_are_reported(tmp_path: Path) -> None:
    async with Upstream() as up:
        path = written(tmp_path, one_provider(up, server={"drainSecs": 7, "shutdownDelaySecs": 0}))
        args = ["serve", "--config", str(path), "--port", "0"]
        with NotifySocket() as manager:
            async with Process(args, environ=manager.environ) as gw:
                ready = {"READY": "1", "STATUS": f"Listens on {gw.url}."}
                assert await manager.wait("READY") == ready
                gw.signal(signal.SIGHUP)
                assert "MONOTONIC_USEC" in await manager.wait("RELOADING")
                assert await manager.wait("READY") == ready
                await until(lambda: "was loaded again" in str(gw.lines), "the line of the reload")
                path.write_text("{")
                gw.signal(signal.SIGHUP)
                await manager.wait("RELOADING")
                assert await manager.wait("READY") == ready
                await until(lambda: "cannot be loaded again" in str(gw.lines), "the line of the failure")
                gw.signal(signal.SIGTERM)
                stopping = await manager.wait("STOPPING")
                assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 17_000_000  # drainSecs, and 10 s to cancel requests
                assert await gw.wait() == 0
            assert manager.now() == []
            assert all("WATCHDOG" not in each for each in manager.received)


async def test_a_reload_ends_for_the_service_manager_even_if_the_models_url_is_down(tmp_path: Path) -> None:
    async with Upstream() as up, Upstream() as lists:
        lists.queue([answer(200, MODELS)], [answer(500, b"")])
        path = written(tmp_path, one_provider(up) | {"models": [], "modelsFile": lists.url})
        with NotifySocket() as manager:
            environ = manager.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
            async with Process(["serve", "--config", str(path), "--port", "0"], environ=environ) as gw:
                await manager.wait("READY")
                gw.signal(signal.SIGHUP)
                await manager.wait("RELOADING")
                await manager.wait("READY")


async def test_the_watchdog_is_pinged_until_the_end_of_a_drain() -> None:
    async with Upstream() as up:
        with NotifySocket() as manager:
            environ = manager.environ | {"WATCHDOG_USEC": "20000"}
            async with GatewayProcess(one_provider(up, server={"shutdownDelaySecs": 60}), environ=environ) as gw:
                await manager.wait("READY")
                await manager.wait("WATCHDOG")
                gw.signal()
                await manager.wait("STOPPING")
                for _ in range(3):
                    await manager.wait("WATCHDOG")


async def test_a_service_manager_that_is_gone_stops_no_gateway(tmp_path: Path) -> None:
    async with Upstream() as up:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "gone")}
        async with GatewayProcess(one_provider(up), environ=environ) as gw:
            await until(lambda: "cannot be notified" in str(gw.lines), "the warning")
            gw.signal()
            assert await gw.wait() == 0


# -- SIGHUP during the start -----------------------------------------------------------------------------


async def test_sighup_while_the_list_of_models_is_fetched_does_not_end_the_process(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with Upstream() as up, Upstream() as lists:
        lists.on_head(lambda request: [Wait(go), answer(200, MODELS)])
        path = written(tmp_path, one_provider(up) | {"models": [], "modelsFile": lists.url})
        environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        gw = Process(["serve", "--config", str(path), "--port", "0"], environ=environ)
        starting = asyncio.create_task(gw.start())
        await lists.head()
        gw.signal(signal.SIGHUP)
        go.set()
        await starting
        assert "Models: listed." in str(gw.lines)
        await gw.kill()


async def test_sighup_while_redis_is_connected_opens_the_log_file_and_reloads_after_the_start(tmp_path: Path) -> None:
    connected, go = asyncio.Event(), asyncio.Event()

    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await go.wait()
        writer.close()

    log = tmp_path / "sluice.log"
    server = await asyncio.start_server(redis, "127.0.0.1", 0)
    async with Upstream() as up, server:
        config = one_provider(
            up,
            circuitBreaker={"shared": True},
            redis={"url": f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", "timeoutSecs": 60},
            observe={"logFile": str(log)},
        )
        path = written(tmp_path, config)
        with NotifySocket() as manager:
            args = ["serve", "--config", str(path), "--port", "0"]
            gw = Process(args, environ=manager.environ)
            starting = asyncio.create_task(gw.start())
            await within(connected.wait(), "a connection to Redis", lambda: gw.lines)
            log.rename(tmp_path / "old.log")
            gw.signal(signal.SIGHUP)
            await until(log.exists, "the new log file")
            assert not starting.done()
            go.set()
            await starting
            await until(lambda: '"why":"asked to"' in log.read_text(), "the reload")
            await manager.wait("READY")
            assert [list(each) for each in manager.received] == [["READY", "STATUS"]]
            await gw.kill()
