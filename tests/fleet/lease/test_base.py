"""What every store of leases promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fleet.lease.stores import KINDS, SHARED, Opener, leases_of
from tests.support.patience import within

LONG = 3600.0
SHORT = 0.05


@pytest.fixture(params=KINDS)
async def any_kind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    async with leases_of(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture(params=SHARED)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    async with leases_of(request.param, tmp_path) as opener:
        yield opener


async def test_a_lease_is_granted_and_renewed(any_kind: Opener) -> None:
    store = any_kind()
    for _ in range(3):
        assert await store.take("checks", "one", LONG)
    await store.release("checks", "one")
    assert await store.take("checks", "one", LONG)


async def test_a_release_without_a_lease_does_nothing(any_kind: Opener) -> None:
    store = any_kind()
    await store.release("checks", "one")
    assert await store.take("checks", "one", LONG)


async def test_one_holder_has_it_until_it_is_released(shared: Opener) -> None:
    one, two = shared(), shared()
    assert await one.take("checks", "one", LONG)
    assert not await two.take("checks", "two", LONG)
    await two.release("checks", "two")  # is not its own
    assert not await two.take("checks", "two", LONG)
    await one.release("checks", "one")
    assert await two.take("checks", "two", LONG)
    assert not await one.take("checks", "one", LONG)


async def test_leases_of_other_names_are_others(shared: Opener) -> None:
    one, two = shared(), shared()
    assert await one.take("checks", "one", LONG)
    assert await two.take("other", "two", LONG)


async def test_a_lease_that_is_not_renewed_ends(shared: Opener) -> None:
    one, two = shared(), shared()
    assert await one.take("checks", "one", SHORT)

    async def taken() -> None:
        while not await two.take("checks", "two", LONG):  # noqa: ASYNC110
            await asyncio.sleep(SHORT)

    await within(taken(), "the end of a lease")
    assert not await one.take("checks", "one", LONG)


async def test_a_renewal_makes_it_longer(shared: Opener) -> None:
    one, two = shared(), shared()
    assert await one.take("checks", "one", 5.0)
    assert await one.take("checks", "one", LONG)
    assert not await two.take("checks", "two", LONG)


async def test_of_many_at_once_one_gets_it(shared: Opener) -> None:
    stores = [shared() for _ in range(5)]
    taken = await asyncio.gather(*(store.take("checks", f"p{n}", LONG) for n, store in enumerate(stores)))
    assert sum(taken) == 1
