"""Waiting for another process that calls a provider for the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from proxy.cache.base import AnswerStore, CachedAnswer

FIRST_PAUSE: Final = 0.02  # seconds between two looks at the store; each is longer than the one before
LONGEST_PAUSE: Final = 0.25
_GROWTH: Final = 1.5


async def wait_for_leader(
    store: AnswerStore, key: bytes, seconds: float, is_fresh: Callable[[CachedAnswer], bool]
) -> CachedAnswer | None:
    """The fresh answer that another process gets; ``None``: it got none, or needs longer."""
    async for led in _leads(store, key, seconds):
        found = store.find(key)
        answer, _ = found if isinstance(found, tuple) else await found
        if answer is not None and is_fresh(answer):
            return answer
        if not led:
            return None
    return None


async def wait_while_led(store: AnswerStore, key: bytes, seconds: float) -> None:
    """Return once no process leads, or after ``seconds``. The leader has stored its answers by then."""
    async for led in _leads(store, key, seconds):
        if not led:
            return


async def _leads(store: AnswerStore, key: bytes, seconds: float) -> AsyncIterator[bool]:
    """Whether a process leads, again and again. A look after that finds what it has stored before it ended its lead."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, FIRST_PAUSE
    while loop.time() < until:
        await asyncio.sleep(pause)
        pause = min(pause * _GROWTH, LONGEST_PAUSE)
        yield await store.led(key)
