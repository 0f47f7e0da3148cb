"""Work that is done once for many changes."""

from __future__ import annotations

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
