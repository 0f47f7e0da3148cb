from __future__ import annotations

import asyncio

import pytest

from proxy.runtime import cancelling
from proxy.runtime.cancelling import cancel_until_done
from tests.support.patience import until


async def test_a_task_that_loses_a_cancellation_is_canceled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AGAIN_SECS", 0.001)
    lost = 0

    async def careless() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.create_task(careless())
    await asyncio.sleep(0)
    cancel_until_done(task)
    await until(task.done, "the end")
    assert task.cancelled()
    assert lost == 3


async def test_a_task_that_has_ended_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0, "done"))
    await task
    cancel_until_done(task)
    assert task.result() == "done"
