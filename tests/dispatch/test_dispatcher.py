from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.client.dial import Origin
from proxy.config.provider_schema import Tls
from proxy.dispatch.dispatcher import Dispatcher, LoopClock
from proxy.routing.catalog import Catalog
from tests.support.catalogs import build
from tests.support.clock import FakeClock

PLAIN = Origin("http", "127.0.0.1", 1, Tls())


def dispatcher(
    clock: FakeClock | None = None,
    *,
    ping_after: float = 0.0,
    opened: dict[Origin, int] | None = None,
    left: list[Origin] | None = None,
) -> Any:
    pool = SimpleNamespace(open_by_origin=lambda: dict(opened or {}), leave=[].append if left is None else left.append)
    context = SimpleNamespace(loop=asyncio.get_running_loop(), ping_after=ping_after, ping_every=ping_after, pool=pool)
    return Dispatcher(cast(Any, context), clock)


def catalog(**addresses: list[str]) -> Catalog:
    providers = {name: {"baseUrls": urls} for name, urls in addresses.items()}
    return build([], cast(Any, providers))


# -- origins --------------------------------------------------------------------------------------


async def test_each_site_of_the_catalog_has_the_origin_of_its_address() -> None:
    own, known = dispatcher(), catalog(a=["http://127.0.0.1:1/v1", "https://host.example/v1"])
    own.adopt(known)
    assert [own.origins[site] for site in known.providers["a"].sites] == [
        PLAIN, Origin("https", "host.example", 443, Tls()),
    ]  # fmt: skip


async def test_a_site_of_an_earlier_catalog_is_still_reached_but_not_kept() -> None:
    left: list[Origin] = []
    own, old, new = dispatcher(left=left), catalog(a=["http://127.0.0.1:1"]), catalog(b=["http://127.0.0.1:2"])
    own.adopt(old)
    own.adopt(new)
    [gone] = old.providers["a"].sites
    assert own.origins[gone] == PLAIN
    assert list(own.origins) == list(new.providers["b"].sites)
    assert left == [PLAIN]  # its connections are closed


async def test_open_connections_are_counted_by_provider_and_shared_ones_once() -> None:
    both = {PLAIN: 3, Origin("http", "127.0.0.1", 2, Tls()): 2, Origin("http", "127.0.0.1", 9, Tls()): 5}
    own = dispatcher(opened=both)
    own.adopt(catalog(a=["http://127.0.0.1:1", "http://127.0.0.1:2"], b=["http://127.0.0.1:1"], c=["http://c"]))
    assert own.open_connections() == {"a": 5, "b": 0, "c": 0}


# -- waiting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("began", "seconds", "pings", "slept"),
    [
        (0.0, 5.0, True, [5.0]),  # over before the first ping is due
        (0.0, 25.0, True, [10.0, 10.0, 5.0]),
        (0.0, 20.0, True, [10.0, 10.0]),  # no ping just before the answer
        (-8.0, 5.0, True, [2.0, 3.0]),  # the request has waited for 8 s before
        (-60.0, 25.0, True, [10.0, 10.0, 5.0]),
        (0.0, 25.0, False, [25.0]),
    ],
)
async def test_a_client_that_waits_for_a_stream_gets_a_ping_at_each_interval(
    began: float, seconds: float, pings: bool, slept: list[float]
) -> None:
    clock = FakeClock()
    sent: list[float] = []
    start = clock.now()
    responder = SimpleNamespace(
        exchange=SimpleNamespace(began=start + began), ping=lambda: sent.append(round(clock.now() - start, 6))
    )
    await dispatcher(clock, ping_after=10.0).wait(seconds, responder, pings=pings)
    assert [round(each, 6) for each in clock.slept] == slept
    assert sent == [round(sum(slept[: number + 1]), 6) for number in range(len(slept) - 1)]


async def test_without_a_ping_interval_a_wait_is_one_sleep() -> None:
    clock = FakeClock()
    responder = SimpleNamespace(exchange=SimpleNamespace(began=clock.now()), ping=None)
    await dispatcher(clock).wait(25.0, responder, pings=True)
    assert clock.slept == [25.0]


async def test_the_clock_is_the_loops_unless_one_is_given() -> None:
    loop = asyncio.get_running_loop()
    assert dispatcher().now == LoopClock(loop).now == loop.time
    clock = FakeClock()
    assert dispatcher(clock).now() == clock.now()
