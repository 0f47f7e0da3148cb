"""A hundred parallel calls never pass a balance, and the ledger agrees to the last nano-USD."""

from __future__ import annotations

from tests.budgets.hundred import run


async def test_on_one_gateway() -> None:
    assert (await run("memory")).faults() == []


async def test_on_two_replicas_with_redis() -> None:
    assert (await run("redis")).faults() == []


async def test_on_two_replicas_whose_redis_is_flushed_half_way() -> None:
    assert (await run("redis", flush=True)).faults() == []
