"""Work in portions."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from proxy.runtime.portions import in_portions


async def test_other_work_runs_between_portions() -> None:
    order: list[str] = []

    def work() -> Generator[None, None, str]:
        order.append("first")
        yield
        order.append("second")
        return "done"

    asyncio.get_running_loop().call_soon(order.append, "other")
    assert await in_portions(work()) == "done"
    assert order == ["first", "other", "second"]


async def test_an_error_of_the_work_is_raised() -> None:
    def work() -> Generator[None, None, None]:
        yield
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await in_portions(work())
