"""The bound on every wait of the tests, so generous that only a hang exceeds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30.0  # seconds


async def within(what: Awaitable[T], waiting_for: str, seen: Callable[[], object] = lambda: "") -> T:
    """Await the result; an AssertionError after PATIENCE names ``what`` and what was ``seen`` so far."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await what
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:g} s for {waiting_for}; seen so far: {seen()!r}") from None


async def until(condition: Callable[[], object], waiting_for: str) -> None:
    """Return once ``condition`` holds; for state of an object without an event."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    await within(look(), waiting_for)
