"""Work that is done once for many changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from proxy.runtime.renewal import Renewal
from tests.support import until


async def test_many_changes_are_one_work() -> None:
    done: list[int] = []
    renewal = Renewal(lambda: done.append(1), least_secs=0.05)
    for _ in range(3):
        renewal.ask()
    assert done == []
    await until(lambda: len(done) == 1, "the work")
    renewal.ask()
    renewal.ask()
    await until(lambda: len(done) == 2, "the work again")


async def test_it_is_done_at_once_only_if_it_was_asked_for() -> None:
    done: list[int] = []
    renewal = Renewal(lambda: done.append(1), least_secs=60)
    renewal.now()
    assert done == []
    renewal.ask()
    renewal.now()
    renewal.now()
    assert done == [1]
    renewal.ask()  # would be done in a minute
    renewal.now()
    assert done == [1, 1]


async def test_portions_are_prepared_first_each_in_a_turn_of_its_own() -> None:
    order: list[str] = []

    def prepare() -> Iterator[None]:
        for number in range(2):
            order.append(f"portion {number}")
            asyncio.get_running_loop().call_soon(order.append, "other")
            yield

    renewal = Renewal(lambda: order.append("work"), prepare=prepare)
    renewal.ask()
    await until(lambda: "work" in order, "the work")
    assert order == ["portion 0", "other", "portion 1", "other", "work"]


async def test_it_is_done_once_if_it_is_wanted_at_once_while_portions_are_prepared() -> None:
    done: list[int] = []

    def prepare() -> Iterator[None]:
        yield
        yield

    renewal = Renewal(lambda: done.append(1), prepare=prepare)
    renewal.ask()
    await asyncio.sleep(0)
    renewal.now()
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == [1]


async def test_it_can_be_asked_for_again_after_a_portion_failed() -> None:
    done: list[int] = []
    failing = [True]

    def prepare() -> Iterator[None]:
        if failing:
            raise ValueError(failing.pop())
        yield

    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    renewal = Renewal(lambda: done.append(1), prepare=prepare)
    renewal.ask()
    await asyncio.sleep(0)
    assert (len(reports), done) == (1, [])
    renewal.ask()
    await until(lambda: done == [1], "the work")
