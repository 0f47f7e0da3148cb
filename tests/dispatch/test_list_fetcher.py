"""Lists of models fetched from real servers."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from proxy.client.get_models import MOST_BYTES, ModelsRequest
from proxy.dispatch import list_fetcher
from proxy.dispatch.list_fetcher import ListFetcher
from proxy.providers.provider import Provider, Site
from proxy.routing.lists import ModelLists
from tests.control.health.rig import no_tls
from tests.support import Chunk, Headers, LastChunk, Reset, Signal, Stall, Upstream, Wait, json_answer, within
from tests.support.catalogs import build

CHUNKED = [("Transfer-Encoding", "chunked")]


def listed(*names: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def provider(**settings: Any) -> Provider:
    return build([], {"p": settings}).providers["p"]


def site(**settings: Any) -> Site:
    """The only address of a provider."""
    [only] = provider(**settings).sites
    return only


class Fetching:
    """A fetcher with its lists; ``logged`` are its log lines."""

    def __init__(self, wait_secs: float = 10.0) -> None:
        self.lists = ModelLists()
        self.logged: list[dict[str, object]] = []
        self.fetcher = ListFetcher(
            self.lists,
            ModelsRequest(no_tls, {}),
            asyncio.get_running_loop().time,
            lambda message, /, **fields: self.logged.append(fields),
            wait_secs,
        )

    async def names(self, of: Site) -> list[str]:
        await within(self.fetcher.fetch(of), "the list")
        return list(self.lists.names_at(of))


@pytest.mark.parametrize("body", [listed("b", "a"), listed("b", "a")["data"], listed("b", "a", "b", " ", "x\ny", "")])
async def test_a_list_is_requested_with_key_and_headers(body: Any) -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(body))
        found = await Fetching().names(site(baseUrl=up.url, apiKey="secret", headers={"X-Team": "t"}))
        assert found == ["b", "a"]
        [request] = up.requests
        assert (request.method, request.target) == ("GET", "/v1/models")
        assert (request.header("authorization"), request.header("x-team")) == ("Bearer secret", "t")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (json_answer(listed("x"), 404), "answers with status 404"),
        (json_answer(listed("x"), 401), "answers with status 401"),
        (json_answer(listed("x"), 302, [("Location", "http://127.0.0.1:1/")]), "answers with status 302"),
        (json_answer({"models": []}), "answers with no list of models"),
        (json_answer({"data": "x"}), "answers with no list of models"),
        ([Headers(200, CHUNKED), Chunk(b"<html>"), LastChunk()], "answers with no list of models"),
        ([Headers(200, CHUNKED), Chunk(b"[" * (MOST_BYTES + 1)), LastChunk()], "is larger than 4 MB"),
        ([Reset()], "cannot be reached: "),
    ],
)
async def test_a_provider_without_a_list_keeps_the_one_it_gave_and_is_logged_once(script: Any, why: str) -> None:
    async with Upstream() as up:
        up.on(lambda request: script)
        fetching, one = Fetching(), site(baseUrl=up.url)
        fetching.lists.end(one, fetching.fetcher.now(), ["before"])
        for _ in range(2):
            assert await fetching.names(one) == ["before"]
        [line] = fetching.logged
        assert line["provider"] == "p"
        assert str(line["why"]).startswith(why)
        assert "127.0.0.1" not in str(line)


async def test_a_failure_is_logged_once_until_a_fetch_succeeds_again() -> None:
    async with Upstream() as up:
        fetching, one = Fetching(), site(baseUrl=up.url)
        broken, good = json_answer(listed(), 500), json_answer(listed("x"))
        counts = []
        for answer in (broken, broken, good, broken, broken):
            up.on(lambda request, answer=answer: answer)
            await within(fetching.fetcher.fetch(one), "the list")
            counts.append(len(fetching.logged))
        assert counts == [1, 1, 1, 2, 2]


async def test_each_address_has_a_list_of_its_own() -> None:
    async with Upstream() as one, Upstream() as two, Upstream() as three:
        one.on(lambda request: [Reset()])
        two.on(lambda request: json_answer(listed("x", "y")))
        three.on(lambda request: json_answer(listed("z", "y")))
        fetching, several = Fetching(), provider(baseUrls=[one.url, two.url, three.url])
        await within(fetching.fetcher.wait(several.sites), "the lists")
        assert [list(fetching.lists.names_at(each)) for each in several.sites] == [[], ["x", "y"], ["z", "y"]]
        assert list(fetching.lists.names(several)) == ["x", "y", "z"]


async def test_one_fetch_is_in_flight_however_many_wait() -> None:
    async with Upstream() as up:
        free = asyncio.Event()
        up.on(lambda request: [Wait(free), *json_answer(listed("x"))])
        fetching, one = Fetching(), site(baseUrl=up.url)
        waiting = [asyncio.ensure_future(fetching.fetcher.wait([one])) for _ in range(3)]
        await up.request(0)
        free.set()
        await within(asyncio.gather(*waiting), "the list")
        assert (list(fetching.lists.names_at(one)), len(up.requests)) == (["x"], 1)


async def test_a_request_does_not_wait_longer_for_a_list_which_still_arrives() -> None:
    async with Upstream() as up:
        free = asyncio.Event()
        up.on(lambda request: [Wait(free), *json_answer(listed("x"))])
        fetching, one = Fetching(wait_secs=0.01), site(baseUrl=up.url)
        await within(fetching.fetcher.wait([one]), "the end of the wait")
        assert list(fetching.lists.names_at(one)) == []
        free.set()
        assert await fetching.names(one) == ["x"]
        assert len(up.requests) == 1


async def test_a_fetch_that_runs_ends_with_the_gateway() -> None:
    async with Upstream() as up:
        asked = asyncio.Event()
        up.on(lambda request: [Signal(asked), Stall()])
        fetching, one = Fetching(), site(baseUrl=up.url)
        task = fetching.fetcher.fetch(one)
        await within(asked.wait(), "the request")
        fetching.fetcher.close()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nothing_is_requested_while_every_key_is_in_cooldown() -> None:
    one = site(baseUrl="http://127.0.0.1:1/v1", apiKey="secret")
    keys = one.provider.keys
    key = keys.take(0.0)
    assert key is not None
    keys.cool_down(key, float("inf"))
    fetching = Fetching()
    assert await fetching.names(one) == []
    assert fetching.logged == [{"provider": "p", "why": "every key is in cooldown"}]


async def test_the_time_for_all_pages_of_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_fetcher, "TIMEOUT", 0.2)
    async with Upstream() as up:
        up.queue(json_answer({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}), [Stall()])
        fetching = Fetching()
        assert await fetching.names(site(baseUrl=up.url, kind="anthropic")) == []
        assert fetching.logged == [{"provider": "p", "why": "does not answer within 0.2 s"}]
        assert len(up.requests) == 2


def test_a_request_waits_for_a_list_for_two_seconds_at_most() -> None:
    assert inspect.signature(ListFetcher).parameters["wait_secs"].default == 2.0
