"""How long the event loop is held at a time, in CPU time of its thread."""

from __future__ import annotations

import asyncio
import gc
import time
from types import TracebackType


class LoopTurns:
    """``async with LoopTurns() as turns``: ``turns.longest`` is the longest turn within, in milliseconds of CPU.

    CPU time is that of the thread, so other processes do not count. The loop never sleeps meanwhile. The garbage
    collector is off, as what it does depends on what was done before.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._loop = asyncio.get_running_loop()
        self._at = 0.0
        self._ended = False

    async def __aenter__(self) -> LoopTurns:
        gc.collect()
        gc.disable()
        await asyncio.sleep(0)
        self._at = time.thread_time()
        self._loop.call_soon(self._turn)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(0)
        self._ended = True
        gc.enable()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, (now - self._at) * 1000)
        self._at = now
        if not self._ended:
            self._loop.call_soon(self._turn)
