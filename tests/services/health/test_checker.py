"""Which address is checked when, with a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from proxy.services.health.checker import CHECKS, GAP_SECS, MOST_RUNNING, SERVICES
from tests.services.health.rig import CHECK, INTERVAL, Checks, service

A, B = "http://a.example", "http://b.example"


async def test_the_first_check_decides_at_once() -> None:
    checks = Checks()
    checks.probe.failing[B] = "status 500"
    checks.put("s", service(A, B))
    assert checks.health("s") == [None, None]
    assert all(each.usable(checks.clock.now()) for each in checks.book.group("s").addresses)
    await checks.run(0.1)
    assert checks.health("s") == [True, False]
    assert checks.counts.passed == {("s", True): 1, ("s", False): 1}
    assert checks.lines == ["An address fails its health checks. service=s address=http://b.example why=status 500"]


async def test_thresholds_count_checks_in_a_row() -> None:
    checks = Checks()
    checks.put("s", service(A))
    await checks.turn()
    address = checks.checker.of("s")[A]
    seen: list[bool | None] = []
    for why in ("x", "x", "", "x", "x", "x", "", "x", "", ""):
        checks.probe.failing[A] = why
        before = len(checks.probe.checks)
        while len(checks.probe.checks) == before:
            await checks.run(1.0)
        seen.append(address.live.healthy)
    assert seen == [True, True, True, True, True, False, False, False, False, True]
    assert [(each.healthy, each.why) for each in address.history.latest()] == [(True, ""), (False, "x"), (True, "")]


async def test_each_address_is_checked_once_an_interval_with_a_jitter() -> None:
    checks = Checks()
    checks.put("s", service(A, B))
    await checks.run(INTERVAL)
    checks.probe.checks.clear()
    await checks.run(100 * INTERVAL)
    assert all(95 <= count <= 105 for count in Counter(checks.probe.checks).values())
    assert len({checks.checker.of("s")[url].due for url in (A, B)}) == 2


async def test_a_thousand_addresses_do_not_come_in_a_burst() -> None:
    checks = Checks()
    urls = [f"http://a{number}.example" for number in range(1000)]
    checks.put("s", service(*urls))
    await checks.turn()
    assert len(checks.probe.checks) == CHECKS
    await checks.run(INTERVAL)  # at 400 checks a second the first of each take 2.5 s
    assert set(checks.health("s")) == {True}
    checks.probe.checks.clear()
    tenths = []
    for _ in range(10):
        await checks.run(INTERVAL / 10)
        tenths.append(len(checks.probe.checks))
        checks.probe.checks.clear()
    assert max(tenths) < 2 * sum(tenths) / 10


async def test_a_thousand_services_are_looked_at_in_portions() -> None:
    checks = Checks()
    for number in range(1000):
        checks.put(f"s{number}", service(A))
    assert await checks.turn() == GAP_SECS
    assert sum(bool(checks.checker.of(f"s{number}")) for number in range(1000)) == SERVICES
    await checks.run(10.0)
    assert all(checks.health(f"s{number}") == [True] for number in range(1000))


async def test_services_appear_change_and_vanish() -> None:
    checks = Checks()
    checks.put("s", service(A))
    await checks.run(0.1)
    checks.put("s", service(B))
    await checks.run(3 * INTERVAL)
    assert Counter(checks.probe.checks)[A] == 1
    assert list(checks.checker.of("s")) == [B]
    checks.forget("s")
    checks.probe.checks.clear()
    await checks.run(3 * INTERVAL)
    assert checks.probe.checks == []
    assert checks.checker.of("s") == {}
    assert checks.lines == []


async def test_an_address_that_left_and_came_back_is_unknown() -> None:
    checks = Checks()
    checks.probe.failing[A] = "status 500"
    checks.put("s", service(A))
    await checks.run(0.1)
    assert checks.health("s") == [False]
    checks.put("s", service(A), [B])
    checks.put("s", service(A), [A])
    assert checks.health("s") == [None]
    checks.probe.failing.clear()
    await checks.run(0.1)
    assert checks.health("s") == [True]


async def test_other_settings_count_at_once() -> None:
    checks = Checks()
    checks.put("s", service(A, check=replace(CHECK, interval_secs=86_400.0)))
    await checks.run(0.1)
    checks.probe.checks.clear()
    checks.put("s", service(A, check=replace(CHECK, path="/other")))
    await checks.run(0.1)
    assert checks.probe.checks == [A]
    assert checks.checker.of("s")[A].check.path == "/other"
    assert checks.health("s") == [True]  # what is known stays


async def test_a_result_by_former_settings_does_not_count() -> None:
    checks = Checks()
    checks.probe.free.clear()
    checks.probe.failing[A] = "status 404"
    checks.put("s", service(A))
    await checks.turn()
    await asyncio.sleep(0)  # it has begun
    checks.put("s", service(A, check=replace(CHECK, path="/other")))
    await checks.turn()
    checks.probe.failing.clear()
    await asyncio.sleep(0)
    assert checks.probe.checks == [A]  # never two at once
    checks.probe.free.set()
    await checks.run(0.1)
    assert checks.probe.checks == [A, A]
    assert checks.health("s") == [True]
    assert checks.counts.passed == {("s", True): 1}


async def test_without_a_path_nothing_is_checked_and_nothing_is_known() -> None:
    checks = Checks()
    checks.probe.failing[A] = "status 500"
    checks.put("plain", service(B, check=replace(CHECK, path="")))
    checks.put("s", service(A))
    await checks.run(0.1)
    assert (checks.health("plain"), checks.health("s")) == ([None], [False])
    checks.put("s", service(A, check=replace(CHECK, path="")))
    await checks.run(3 * INTERVAL)
    assert checks.probe.checks == [A]
    assert checks.health("s") == [None]


async def test_a_drained_address_is_checked_still() -> None:
    checks = Checks()
    settings = checks.settings["s"] = service(A)
    checks.book.put("s", settings, settings.addresses, checks.clock.now(), drained={A})
    await checks.run(0.1)
    assert checks.health("s") == [True]


async def test_a_result_of_an_address_that_is_gone_is_dropped() -> None:
    checks = Checks()
    checks.probe.free.clear()
    checks.probe.failing[A] = "status 500"
    checks.put("s", service(A))
    await checks.turn()
    await asyncio.sleep(0)  # it has begun
    checks.put("s", service(B))
    checks.probe.free.set()
    await checks.run(0.1)
    assert (checks.replicas.told, checks.lines) == ([B], [])


async def test_checks_that_hang_delay_only_those_beyond_the_most() -> None:
    checks = Checks()
    checks.probe.free.clear()
    checks.put("s", service(*(f"http://a{number}.example" for number in range(MOST_RUNNING + 10))))
    for _ in range(MOST_RUNNING):
        checks.checker.turn()
        await asyncio.sleep(0)
    assert len(checks.probe.checks) == MOST_RUNNING
    assert checks.checker.turn() is None
    woken = checks.woken
    checks.probe.free.set()
    await checks.turn()
    assert checks.woken > woken
    await checks.run(1.0)
    assert set(checks.health("s")) == {True}


async def test_any_exception_of_a_check_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks()

    async def fail(address: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(checks.probe, "check", fail)
    checks.put("s", service(A))
    await checks.run(0.1)
    assert checks.checker.of("s")[A].view().why == "ZeroDivisionError"
    assert checks.health("s") == [False]


async def test_what_another_replica_checks_is_left_to_it() -> None:
    checks = Checks()
    checks.replicas.elsewhere = {A}
    checks.put("s", service(A, B))
    await checks.run(3 * INTERVAL)
    assert set(checks.probe.checks) == {B}
    assert checks.replicas.new == [B, A]
    checks.replicas.elsewhere.clear()  # as when it died
    await checks.run(1.2 * INTERVAL)
    assert A in checks.probe.checks


async def test_the_end_stops_what_runs() -> None:
    checks = Checks()
    checks.probe.free.clear()
    checks.put("s", service(A))
    checks.checker.turn()
    await checks.checker.close()
    assert (checks.checker.running, checks.probe.closed) == (0, True)
    assert checks.health("s") == [None]
