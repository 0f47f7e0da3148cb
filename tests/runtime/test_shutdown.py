from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.runtime.shutdown import ShutdownStack


class Steps:
    """A stack, the steps that it ran, and what it warned of."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.warned: list[dict[str, Any]] = []
        self.stack = ShutdownStack(self._warn)

    def _warn(self, message: str, **fields: object) -> None:
        self.warned.append({"message": message, **fields})

    def push(self, step: str, error: Exception | None = None) -> None:
        async def close() -> None:
            await asyncio.sleep(0)
            self.ran.append(step)
            if error is not None:
                raise error

        self.stack.push(step, close)


@pytest.fixture
def steps() -> Steps:
    return Steps()


async def test_steps_run_in_reverse_order_and_once(steps: Steps) -> None:
    for step in ("log", "pool"):
        steps.push(step)
    steps.stack.push("plain", lambda: steps.ran.append("plain"))
    await steps.stack.close()
    await steps.stack.close()
    assert steps.ran == ["plain", "pool", "log"]
    assert steps.warned == []


async def test_a_step_that_takes_too_long_is_canceled_named_and_left(steps: Steps) -> None:
    canceled = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    steps.push("log")
    steps.stack.push("Redis", hangs, lambda: 0.0)
    await steps.stack.close()
    assert steps.ran == ["log"]
    assert steps.warned == [{"message": "A step of the shutdown took too long.", "step": "Redis", "seconds": 0.0}]
    await canceled.wait()


async def test_a_step_that_ignores_its_cancellation_does_not_hold_the_others(steps: Steps) -> None:
    go = asyncio.Event()

    async def ignores() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                pass
        raise ZeroDivisionError  # nobody asks any more

    steps.push("log")
    steps.stack.push("stubborn", ignores, lambda: 0.0)
    await steps.stack.close()
    assert steps.ran == ["log"]
    go.set()
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_step_that_fails_does_not_prevent_the_others(steps: Steps) -> None:
    steps.push("log")
    steps.push("broken", ZeroDivisionError())
    steps.push("pool")
    with pytest.raises(ZeroDivisionError):
        await steps.stack.close()
    assert steps.ran == ["pool", "broken", "log"]


async def test_a_shutdown_that_is_canceled_cancels_its_step(steps: Steps) -> None:
    canceled = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    steps.stack.push("Redis", hangs)
    closing = asyncio.ensure_future(steps.stack.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await canceled.wait()
