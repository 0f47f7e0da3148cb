"""The gateway as a whole: failed starts and stops."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.app import Application
from proxy.errors import ConfigError
from proxy.observe.log import Log
from tests.support import Upstream
from tests.support.gateway import Gateway, one_provider, to_config

STEPS = [
    "log",
    "observers",
    "demo provider",
    "database",
    "database for reading",
    "Redis",
    "credentials",
    "limiter",
    "thresholds",
    "connections to providers",
    "issued credentials",
    "providers' lists of models",
    "models of services",
    "shared breakers",
    "control plane",
    "database of services",
    "Consul",
    "observers of services",
    "discovery of services",
    "services and routes of the store",
    "health checks of services",
    "registration at Consul",
    "listener",
    "admin.listen",
    "running requests",
]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Registered and closed components in order; closed ones have a minus."""
    found: list[str] = []
    push, run = "proxy.app.ShutdownStack.push", "proxy.app.ShutdownStack._run"
    from proxy.runtime.shutdown import ShutdownStack

    original_push, original_run = ShutdownStack.push, ShutdownStack._run

    def pushed(self: ShutdownStack, step: str, *rest: Any) -> None:
        found.append(step)
        original_push(self, step, *rest)

    async def ran(self: ShutdownStack, step: str, *rest: Any) -> None:
        found.append(f"-{step}")
        await original_run(self, step, *rest)

    monkeypatch.setattr(push, pushed)
    monkeypatch.setattr(run, ran)
    return found


def application(**sections: Any) -> Application:
    config = to_config({"providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}} | sections)
    return Application(config, environ={}, log=Log(io.BytesIO(), "info", readable=False))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


EVERYTHING: dict[str, Any] = {
    "redis": {"url": "redis://127.0.0.1:1/0"},
    "rateLimiting": {"enabled": True, "store": "redis"},
    "circuitBreaker": {"shared": True},
    "admin": {"listen": "127.0.0.1:0"},
    "discovery": {"consul": {"url": "http://127.0.0.1:1", "register": {"enabled": True}}},
}


async def test_every_component_is_closed_in_reverse_order(steps: list[str]) -> None:
    pytest.importorskip("redis")
    app = application(**EVERYTHING)
    await app.start()
    begun = [*steps]
    steps.clear()
    await app.stop()
    assert begun == STEPS
    assert steps == [f"-{step}" for step in reversed(STEPS)]


async def test_a_failed_start_closes_exactly_what_had_started(steps: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        app = application(server={"port": taken.getsockname()[1]})
        tasks, files = asyncio.all_tasks(), open_files()
        with pytest.raises(OSError, match="in use"):
            await app.start()
        assert asyncio.all_tasks() == tasks
        assert open_files() == files
    begun = [step for step in steps if not step.startswith("-")]
    assert begun[-1] == "listener"  # so the requests that it drains never ran
    assert steps == begun + [f"-{step}" for step in reversed(begun)]


@pytest.mark.parametrize(
    ("break_", "last"),
    [
        (lambda app: setattr(app.running, "start", _refuses), "demo provider"),
        (lambda app: setattr(app, "_share_breakers", _refuses), "models of services"),
        (lambda app: setattr(app, "_listen", _refuses), "health checks of services"),
    ],
)
async def test_a_failure_at_any_step_closes_exactly_what_had_started(
    steps: list[str], break_: Callable[[Application], None], last: str
) -> None:
    app = application()
    break_(app)
    with pytest.raises(ConfigError):
        await app.start()
    begun = [step for step in steps if not step.startswith("-")]
    assert begun[-1] == last
    assert steps == begun + [f"-{step}" for step in reversed(begun)]


async def _refuses() -> None:
    raise ConfigError(["no"])


async def test_a_component_that_does_not_close_is_logged_and_the_others_close() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        gw.app._shutdown.push("stubborn", hangs, lambda: 0.0)
    lines = [json.loads(line) for line in gw.log_lines]
    assert [(line["message"], line["step"], line["seconds"]) for line in lines if "step" in line] == [
        ("A step of the shutdown took too long.", "stubborn", 0.0)
    ]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", gw.port)


async def test_a_gateway_that_never_started_stops() -> None:
    await application().stop()
