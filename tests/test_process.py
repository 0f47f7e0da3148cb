"""The process around the gateway. Signals of a real process are in test_stop.py and test_reload.py."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import process
from proxy.config.known_providers import NONE_USABLE
from proxy.config.loader import Loaded
from proxy.errors import ConfigError
from proxy.process import start_line
from tests.support import Upstream, until
from tests.support.gateway import Gateway, one_provider, to_config


async def test_the_start_line_names_address_credentials_providers_models_and_the_admin_link() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        line = start_line(gw.app)
    assert line.startswith("Sluice ")
    assert f"listens on http://127.0.0.1:{gw.port} (no key asked). Providers: up. Models: m." in line
    assert line.endswith(f" Admin: http://127.0.0.1:{gw.port}/")  # the token is configured, so it is not in the line


async def test_the_start_line_has_five_models_and_counts_the_others() -> None:
    models = [{"name": f"m{number}", "provider": "up"} for number in range(7)]
    async with Upstream() as up, Gateway(one_provider(up) | {"models": models}) as gw:
        assert "Models: m0, m1, m2, m3, m4 and 2 more." in start_line(gw.app)


async def test_the_start_line_says_that_no_provider_is_usable() -> None:
    async with Gateway({"providers": {}, "demo": "never"}) as gw:
        assert f"NOT READY: {NONE_USABLE}" in start_line(gw.app)


def test_an_open_address_without_authentication_is_rejected_before_the_start() -> None:
    config = to_config({"providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}, "server": {"host": "0.0.0.0"}})
    source: Any = None  # it is never read
    with pytest.raises(ConfigError, match="LISTEN_INSECURE"):
        process.run(Loaded(config, []), source, print)


async def test_the_first_signal_stops_the_second_records_and_exits_and_a_third_exits_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[object] = []
    ended = asyncio.Event()

    async def abort() -> None:
        happened.append("aborting")
        await ended.wait()
        happened.append("aborted")

    monkeypatch.setattr(os, "_exit", happened.append)
    application: Any = SimpleNamespace(abort=abort, log=SimpleNamespace(flush=lambda: happened.append("flushed")))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = process.StopSignals(stop, application)
    try:
        signals._on_signal()
        assert (stop.is_set(), happened) == (True, [])
        signals._on_signal()
        await until(lambda: happened == ["aborting"], "the second signal to be handled")
        signals._on_signal()
        assert happened == ["aborting", 130]
        ended.set()
        await until(lambda: happened[-1] == 130 and len(happened) > 2, "the end")
        assert happened == ["aborting", 130, "aborted", "flushed", 130]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@pytest.mark.parametrize(("on_terminal", "stops"), [(True, True), (False, False)])
def test_a_closed_terminal_stops_the_process_and_any_other_sighup_reloads(on_terminal: bool, stops: bool) -> None:
    happened: list[str] = []
    follow = SimpleNamespace(wake=lambda: happened.append("woken"))
    manager: Any = SimpleNamespace(reloading=lambda: happened.append("reported"))
    log = SimpleNamespace(reopen=lambda: happened.append("opened"))
    application: Any = SimpleNamespace(running=SimpleNamespace(follow=follow), log=log)
    stop = asyncio.Event()
    process._on_hangup(stop, application, manager, on_terminal)  # standard error is no terminal here
    assert (stop.is_set(), happened) == (stops, [] if stops else ["opened", "reported", "woken"])


def test_the_garbage_collector_ignores_startup_objects() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        process._tune_collector()
        assert gc.get_threshold() == (5_000, 200, 100)
        assert gc.get_freeze_count() > frozen
    finally:
        gc.set_threshold(*before)
