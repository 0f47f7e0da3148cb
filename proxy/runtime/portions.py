"""Work that is done in portions, with other work of the loop in between."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


async def in_portions(work: Generator[None, None, T]) -> T:
    """What ``work`` returns. It yields after each portion, and then waits for its next turn of the loop."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)
