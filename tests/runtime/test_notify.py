from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.runtime.notify import ServiceManager, opened
from tests.support import until
from tests.support.service_manager import NotifySocket

Warnings = list[tuple[str, dict[str, object]]]


def made(environ: dict[str, str], warnings: Warnings | None = None) -> ServiceManager:
    return opened(environ, lambda message, **fields: ([] if warnings is None else warnings).append((message, fields)))


@pytest.fixture
def there() -> Iterator[NotifySocket]:
    with NotifySocket() as there:
        yield there


@pytest.mark.parametrize("abstract", [True, False])
def test_states_are_sent_to_a_path_or_an_abstract_address(abstract: bool, tmp_path: Path) -> None:
    with NotifySocket(None if abstract else tmp_path) as there:
        manager = made(there.environ)
        before = time.monotonic_ns() // 1000
        manager.ready("Listens on here.")
        manager.reloading()
        manager.reloaded()
        manager.stopping("Stopping.", 12.5)
        ready, reloading, reloaded, stopping = there.now()
    assert ready == reloaded == {"READY": "1", "STATUS": "Listens on here."}
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert reloading == {"RELOADING": "1", "STATUS": "Loading the configuration."}
    assert stopping == {"STOPPING": "1", "STATUS": "Stopping.", "EXTEND_TIMEOUT_USEC": "12500000"}


def test_a_reload_during_the_start_is_not_reported(there: NotifySocket) -> None:
    manager = made(there.environ)
    manager.reloading()
    manager.reloaded()
    assert there.now() == []


def test_each_of_two_overlapping_reloads_is_reported_with_its_own_time(there: NotifySocket) -> None:
    manager = made(there.environ)
    manager.ready("")
    manager.reloading()
    manager.reloading()
    manager.reloaded()
    manager.reloaded()  # of a reload that nobody was told of
    _, first, second, *ends = there.now()
    assert int(first["MONOTONIC_USEC"]) <= int(second["MONOTONIC_USEC"])
    assert [end["READY"] for end in ends] == ["1"]


def test_a_reload_that_ends_after_the_stop_began_does_not_report_ready(there: NotifySocket) -> None:
    manager = made(there.environ)
    manager.ready("")
    manager.reloading()
    manager.stopping("", 1)
    manager.reloaded()
    manager.reloading()
    manager.ready("")
    assert list(there.now()[-1]) == ["STOPPING", "STATUS", "EXTEND_TIMEOUT_USEC"]


async def test_the_watchdog_is_pinged_in_half_of_its_time(there: NotifySocket) -> None:
    manager = made(there.environ | {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
    began = time.monotonic()
    manager.watch(asyncio.get_running_loop())
    for _ in range(4):
        assert await there.wait("WATCHDOG") == {"WATCHDOG": "1"}
    assert time.monotonic() - began > 0.025  # three intervals of 10 ms; a timer may be a little early


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}],
)
async def test_without_a_watchdog_of_this_process_there_are_no_pings(
    variables: dict[str, str], there: NotifySocket
) -> None:
    manager = made(there.environ | variables)
    manager.watch(asyncio.get_running_loop())
    assert there.now() == []


def test_without_a_service_manager_nothing_happens() -> None:
    warnings: Warnings = []
    manager = made({}, warnings)
    manager.ready("")
    manager.stopping("", 1)
    assert warnings == []


def test_another_kind_of_address_is_reported_and_not_used() -> None:
    warnings: Warnings = []
    made({"NOTIFY_SOCKET": "vsock:2:9999"}, warnings).ready("")
    ((message, fields),) = warnings
    assert message.startswith("NOTIFY_SOCKET is neither a path nor an abstract address")
    assert fields == {"address": "vsock:2:9999"}


def test_a_service_manager_that_is_gone_is_reported_once_until_it_is_back(tmp_path: Path) -> None:
    warnings: Warnings = []
    manager = made({"NOTIFY_SOCKET": str(tmp_path / "notify")}, warnings)
    manager.ready("")
    manager.ready("")
    with NotifySocket(tmp_path) as there:
        manager.ready("back")
        assert there.now() == [{"READY": "1", "STATUS": "back"}]
    manager.ready("")
    assert [fields["why"] for _, fields in warnings] == ["No such file or directory", "Connection refused"]


async def test_a_ping_never_waits_for_a_service_manager_that_reads_nothing(there: NotifySocket) -> None:
    warnings: Warnings = []
    manager = made(there.environ | {"WATCHDOG_USEC": "2"}, warnings)
    manager.watch(asyncio.get_running_loop())
    await until(lambda: warnings, "a full queue")
    assert [fields["why"] for _, fields in warnings] == ["Resource temporarily unavailable"]
