"""The cache of answers, as the operator sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cache.flows import CALL, ask, cached, state
from tests.support import Answer, Upstream, completion, json_answer
from tests.support.gateway import ADMIN, Gateway

BEARER = ("Authorization", f"Bearer {ADMIN}")
PRICED: dict[str, Any] = {
    "models": [{"name": "m", "provider": "up", "model": "up-model", "inputPrice": 1.0, "outputPrice": 10.0}]
}


async def admin(gw: Gateway, path: str = "", body: Any = None) -> Answer:
    client = await gw.client()
    return await client.fetch("POST" if body is not None else "GET", f"/admin/cache{path}", json=body, headers=[BEARER])


async def test_the_cache_says_what_it_did_and_saved() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    async with Upstream() as up, Gateway(cached(up, **PRICED)) as gw:
        up.on(lambda request: json_answer(completion("Hello") | {"usage": usage}))
        client = await gw.client()
        for _ in range(3):
            await ask(client)
        await ask(client, CALL, ("x-router-cache", "off"))
        found = (await admin(gw)).json
        size = found.pop("bytes")
        assert 500 < size < 1500
        assert found == {
            "enabled": True,
            "store": "memory",
            "scope": "owner",
            "up": True,
            "answers": 1,
            "maxBytes": 256 * 1024 * 1024,
            "hit": 2,
            "stale": 0,
            "miss": 1,
            "bypass": 1,
            "waited": 0,
            "stored": 1,
            "evicted": 0,
            "inputs": 0,
            "savedUsd": 0.004,
            "savedInput": 2000,
            "savedOutput": 200,
        }
        lines = (await client.fetch("GET", "/metrics")).body.decode().splitlines()
        assert [line for line in lines if line.startswith("cache_") and "bytes" not in line] == [
            'cache_requests_total{result="hit"} 2',
            'cache_requests_total{result="stale"} 0',
            'cache_requests_total{result="miss"} 1',
            'cache_requests_total{result="bypass"} 1',
            'cache_saved_tokens_total{direction="input"} 2000',
            'cache_saved_tokens_total{direction="output"} 200',
            "cache_saved_usd_total 0.004",
            "cache_evicted_total 0",
            "cache_answers 1",
        ]


@pytest.mark.parametrize(
    ("selection", "number"),
    [
        ({"all": True}, 2),
        ({"models": ["m"]}, 2),
        ({"models": ["other"]}, 0),
        ({"tags": ["b"]}, 1),
        ({"tags": ["b", "c"]}, 2),
    ],
)
async def test_answers_are_invalidated(selection: Any, number: int) -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        await ask(client, CALL, ("x-router-cache-tags", "a,b"))
        await ask(client, CALL | {"seed": 1}, ("x-router-cache-tags", "c"))
        answer = await admin(gw, "/invalidate", selection)
        assert (answer.status, answer.json) == (200, {"invalidated": number})
        states = [state(await ask(client, call)) for call in (CALL, CALL | {"seed": 1})]
        assert states.count("miss") == number


@pytest.mark.parametrize("selection", [{}, {"all": True, "tags": ["a"]}, {"tag": "a"}, {"tags": [""]}])
async def test_wrong_selections_remove_nothing(selection: Any) -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        await ask(await gw.client())
        assert (await admin(gw, "/invalidate", selection)).status == 400
        assert (await admin(gw)).json["answers"] == 1


async def test_only_operators_may_look() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/admin/cache")).status == 401
        assert (await client.fetch("POST", "/admin/cache/invalidate", json={"all": True})).status == 401


async def test_while_the_cache_is_off_it_has_no_metrics() -> None:
    async with Upstream() as up, Gateway(cached(up, {"enabled": False})) as gw:
        assert (await admin(gw)).json["enabled"] is False
        assert b"\ncache_" not in (await (await gw.client()).fetch("GET", "/metrics")).body
