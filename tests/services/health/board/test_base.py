"""What every board promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.services.health.board.base import PORTION, HealthBoard, SharedResult
from proxy.services.health.board.opening import open_board
from tests.fleet.lease.stores import WITH_CONSUL, shared_by

A, B = "http://a.example", "http://b.example"
Opener = Callable[[], HealthBoard]


@pytest.fixture(params=WITH_CONSUL)
async def opener(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    async with shared_by(request.param, tmp_path) as connect:

        def opened() -> HealthBoard:
            found = open_board(*connect())
            assert found is not None
            return found

        yield opened


def result(url: str, healthy: bool = True, why: str = "", service: str = "s") -> SharedResult:
    return SharedResult(service, url, healthy, 1_790_000_000.125, why)


async def latest(board: HealthBoard) -> dict[tuple[str, str], SharedResult]:
    """All that is new, by service and address; without ages, which depend on the machine."""
    found: dict[tuple[str, str], SharedResult] = {}
    while True:
        results = await board.read()
        for each in results:
            assert 0 <= each.age < 3600
            found[each.service, each.url] = SharedResult(each.service, each.url, each.healthy, each.since, each.why)
        if len(results) < PORTION:
            return found


async def test_results_are_read_elsewhere_as_they_were_published(opener: Opener) -> None:
    here, there = opener(), opener()
    assert await there.read() == []
    results = [result(A), result(B, False, "status 503"), result(A, False, 'a\tb "c" ü', "other")]
    await here.publish(results)
    assert await latest(there) == {(each.service, each.url): each for each in results}


async def test_the_latest_result_of_an_address_counts(opener: Opener) -> None:
    here, there = opener(), opener()
    await here.publish([result(A), result(B)])
    assert len(await latest(there)) == 2
    await here.publish([result(A, False, "x")])
    assert (await latest(there))["s", A] == result(A, False, "x")
    late = opener()  # sees all of them
    assert await latest(late) == {("s", A): result(A, False, "x"), ("s", B): result(B)}


async def test_nothing_may_be_published(opener: Opener) -> None:
    here = opener()
    await here.publish([])
    assert await here.read() == []


async def test_many_results_come_in_portions(opener: Opener) -> None:
    here, there = opener(), opener()
    urls = [f"http://a{number}.example" for number in range(PORTION + 100)]
    await here.publish([result(url) for url in urls[:PORTION]])
    await here.publish([result(url) for url in urls[PORTION:]])
    first = await there.read()
    assert len(first) == PORTION
    second = await there.read()
    assert {each.url for each in (*first, *second)} == set(urls)
    await here.publish([result(urls[0], False, "x")])
    assert (await latest(there))["s", urls[0]] == result(urls[0], False, "x")


async def test_another_holder_goes_on(opener: Opener) -> None:
    one, two, there = opener(), opener(), opener()
    await one.publish([result(A)])
    assert len(await latest(there)) == 1
    await two.publish([result(A, False, "x")])
    assert (await latest(there))["s", A] == result(A, False, "x")
