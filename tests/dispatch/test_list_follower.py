"""Lists of models of addresses that come and go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from proxy.dispatch.list_follower import FETCHING_SECS, RETRY_SECS, ListFollower
from proxy.providers.provider import Site
from tests.support import within
from tests.support.fleets import Fleet

A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"


class Following:
    """A follower whose fetches are recorded, and end when the test says so."""

    def __init__(self, models: tuple[str, ...] = ()) -> None:
        self.fleet = Fleet(models, discovery={"modelsSecs": 30})
        self.now = 0.0
        self.fetched: list[Site] = []
        self.asked = asyncio.Event()
        fetcher = cast(Any, SimpleNamespace(now=lambda: self.now, fetch=self._fetch))
        self.follower = ListFollower(self.fleet.lists, fetcher, self.fleet.catalog)

    def set(self, *addresses: str) -> None:
        self.follower.adopt(self.fleet.set(*addresses))

    def end(self, names: list[str] | None) -> list[str]:
        """End the fetches that run; their addresses."""
        ended, self.fetched = self.fetched, []
        for site in ended:
            self.fleet.lists.end(site, self.now, names)
        return [site.base_url for site in ended]

    def _fetch(self, site: Site) -> None:
        self.fleet.lists.begin(site)
        self.fetched.append(site)
        self.asked.set()


async def test_an_address_is_asked_when_it_joins_and_then_at_each_interval() -> None:
    following = Following()
    assert following.follower.look() is None  # no address yet
    following.set(A)
    assert following.follower.look() == FETCHING_SECS
    assert following.end(["qwen"]) == [f"{A}/v1"]
    assert following.follower.look() == 30.0
    following.set(A, B)
    following.now = 10.0
    assert following.follower.look() == FETCHING_SECS
    assert following.end(["llama"]) == [f"{B}/v1"]
    assert following.follower.look() == 20.0
    following.now = 30.0
    following.follower.look()
    assert following.end(["qwen"]) == [f"{A}/v1"]


async def test_an_address_that_does_not_answer_is_asked_again_soon() -> None:
    following = Following()
    following.set(A)
    following.follower.look()
    assert following.follower.look() == FETCHING_SECS  # one fetch at a time
    assert following.end(None) == [f"{A}/v1"]
    assert following.follower.look() == RETRY_SECS


async def test_nothing_is_asked_where_the_models_are_configured() -> None:
    following = Following(("m",))
    following.set(A)
    assert following.follower.look() is None
    assert following.fetched == []


async def test_a_change_of_addresses_wakes_it() -> None:
    following = Following()
    running = asyncio.create_task(following.follower.run())
    await asyncio.sleep(0)
    following.set(A)
    await within(following.asked.wait(), "the list of the address that joined")
    running.cancel()
