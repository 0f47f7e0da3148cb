"""The shutdown of what was started: in reverse order, each step within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

STEP_SECS: Final = 5.0

Close = Callable[[], Awaitable[None] | None]


class ShutdownStack:
    """Each part pushes how it is closed as soon as it has begun. ``close`` runs these steps, last pushed first.

    A step that takes too long is canceled, left behind and reported to ``warn``. A step that fails does not prevent
    those after it; its exception is raised at the end.
    """

    def __init__(self, warn: Callable[..., None]) -> None:
        self._warn = warn
        self._steps = AsyncExitStack()
        self._left: set[asyncio.Future[None]] = set()  # the loop alone would not keep them alive

    def push(self, step: str, close: Close, seconds: Callable[[], float] = lambda: STEP_SECS) -> None:
        """``step`` names the part in the log. ``seconds`` is called when the step begins."""
        self._steps.push_async_callback(self._run, step, close, seconds)

    def push_task(self, step: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in a task that is named ``step``, and is canceled at the stop."""
        task = asyncio.create_task(work, name=step)
        self.push(step, lambda: _cancel(task))

    async def close(self) -> None:
        """Run every step that was pushed since the last ``close``."""
        await self._steps.aclose()

    async def _run(self, step: str, close: Close, seconds: Callable[[], float]) -> None:
        limit = seconds()
        closing = close()
        if closing is None:
            return
        task = asyncio.ensure_future(closing)
        try:
            await asyncio.wait((task,), timeout=limit)
        finally:
            if not task.done():
                self._leave(task)
        if task in self._left:
            self._warn("A step of the shutdown took too long.", step=step, seconds=limit)
        else:
            task.result()

    def _leave(self, task: asyncio.Future[None]) -> None:
        self._left.add(task)
        task.add_done_callback(_retrieve)
        task.cancel()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


def _retrieve(task: asyncio.Future[None]) -> None:
    """Mark the exception of a step that was left as seen, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
