"""One source that is followed until it is stopped, whatever it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from proxy.services.discovery.base import AddressSource, SourceState
from proxy.services.discovery.following import FollowedSource
from tests.services.discovery.scripted import ScriptedSource
from tests.support.patience import until


def followed(open_source: Callable[[], AddressSource], resumed: asyncio.Event) -> FollowedSource:
    """Each delay lasts until ``resumed`` is set, and clears it."""

    async def sleep(seconds: float) -> None:
        await resumed.wait()
        resumed.clear()

    return FollowedSource("web", "dns", "what", open_source, chance=Random(1), sleep=sleep)


async def test_its_state_is_the_source_s_own_but_while_it_waits() -> None:
    source, resumed = ScriptedSource(), asyncio.Event()
    found: list[object] = []
    each = followed(lambda: source, resumed)
    assert each.state == SourceState(up=False)
    each.start(found.append)
    await until(lambda: source.follows, "the source to be followed")
    source.find("http://192.0.2.1")
    assert each.state == source.state == SourceState(up=True, at=1.0)
    source.fail(OSError("gone"))
    await until(lambda: each.state.error, "the failure")
    assert each.state == SourceState(up=False, at=1.0, error="unexpected OSError: gone")
    resumed.set()
    await until(lambda: source.follows == 2, "the source to be followed again")
    assert each.state == source.state
    await asyncio.gather(each.stop(), return_exceptions=True)
    assert source.ended
    assert len(found) == 1


async def test_a_source_that_could_not_be_opened_is_opened_again() -> None:
    source, resumed, opened = ScriptedSource(), asyncio.Event(), 0

    def open_source() -> ScriptedSource:
        nonlocal opened
        opened += 1
        if opened == 1:
            raise OSError("no")
        return source

    each = followed(open_source, resumed)
    each.start(lambda addresses: None)
    await until(lambda: each.state.error, "the failure")
    assert each.state == SourceState(up=False, error="unexpected OSError: no")
    resumed.set()
    await until(lambda: source.follows, "the source to be followed")
    assert opened == 2
    await asyncio.gather(each.stop(), return_exceptions=True)


async def test_it_can_be_stopped_while_it_waits() -> None:
    source, resumed = ScriptedSource(), asyncio.Event()
    each = followed(lambda: source, resumed)
    each.start(lambda addresses: None)
    await until(lambda: source.follows, "the source to be followed")
    source.fail(None)
    await until(lambda: each.state.error, "the failure")
    [ended] = await asyncio.gather(each.stop(), return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
