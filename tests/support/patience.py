"""The one bound on every wait of the tests: generous, so that only something stuck ever meets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30.0  # seconds


async def within(what: Awaitable[T], waiting_for: str, seen: Callable[[], object] = lambda: "") -> T:
    """The result of ``what``; an AssertionError after PATIENCE that tells what had been ``seen`` so far."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await what
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:g} s for {waiting_for}; seen so far: {seen()!r}") from None


async def until(condition: Callable[[], object], waiting_for: str) -> None:
    """Return once ``condition`` holds; for facts of a live object that no event announces."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    await within(look(), waiting_for)
