"""Waiting for another process that asks a provider for the same answer."""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.cache.base import AnswerStore, CachedAnswer

FIRST_PAUSE: Final = 0.02  # seconds between two looks at the store; each is longer than the one before
LONGEST_PAUSE: Final = 0.25
_GROWTH: Final = 1.5


async def wait_for_leader(store: AnswerStore, key: bytes, seconds: float) -> CachedAnswer | None:
    """The answer that another process gets; ``None``: it got none, or needs longer."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, FIRST_PAUSE
    while loop.time() < until:
        await asyncio.sleep(pause)
        pause = min(pause * _GROWTH, LONGEST_PAUSE)
        led = await store.led(key)  # before the look: the leader stores first, then it ends its lead
        found = store.find(key)
        answer, _ = found if isinstance(found, tuple) else await found
        if answer is not None:
            return answer
        if not led:
            return None
    return None
