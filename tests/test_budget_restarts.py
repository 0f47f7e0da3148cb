"""Budgets and balances over restarts, replicas and failures: the ledger knows what was spent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from proxy.database.accounts import AccountTable
from tests.budgets.audit import Books, books, engine_of
from tests.database.databases import KINDS, Forwarder
from tests.support import Chunk, Headers, Stall, until, within
from tests.support.answers import SSE_HEADERS, chat_events, completion, json_answer
from tests.support.gateway import ADMIN, Gateway, GatewayProcess, one_provider
from tests.support.services import OwnRedis, postgres_database, redis_prefix, redis_url
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"
# 0.001 USD a token: the prices are USD for a million.
PRICED = [{"name": "m", "provider": "up", "prices": {"input": 1000, "output": 1000}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
COST = 20_000_000  # nano-USD
ALL = {"name": "all", "usd": 0.3, "window": "total"}  # a call may cost some 0.2 USD, and costs 0.02
KEY = "all/total/"


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hello") | {"usage": USAGE}))
        yield upstream


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The sections of the configuration that the gateways of a test share."""
    shared: dict[str, Any] = {"dataDir": str(tmp_path), "ledger": {"enabled": True}}
    if request.param == "sqlite":
        yield shared | {"database": {"url": f"sqlite:///{tmp_path}/ledger.db"}}
    else:
        async with postgres_database() as url:
            yield shared | {"database": {"url": url}}


def settings(up: Upstream, site: dict[str, Any], *budgets: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return one_provider(up, models=PRICED, budgets=[*budgets], **(site | sections))


def unfinished(_: Any) -> Iterator[Any]:
    """A stream that does not end."""
    yield Headers(200, SSE_HEADERS)
    yield Chunk(next(iter(chat_events("a"))))
    yield Stall()


async def ask(gw: Gateway | GatewayProcess, *headers: tuple[str, str], **more: Any) -> int:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100} | more
    return (await (await gw.client()).fetch("POST", CHAT, json=body, headers=headers)).status


async def spend_all(gw: Gateway | GatewayProcess, *headers: tuple[str, str]) -> int:
    """Call until a call is refused. Returns how many were answered."""
    answered = 0
    while (status := await ask(gw, *headers)) == 200:
        answered += 1
    assert status == 429
    return answered


async def kill_in_flight(up: Upstream, process: GatewayProcess) -> None:
    """Kill a gateway while it has five calls."""
    sent = len(up.requests)
    up.on(unfinished)
    calls = [asyncio.create_task(ask(process, stream=True)) for _ in range(5)]
    await until(lambda: len(up.requests) == sent + 5, "the calls to be sent")
    await process.kill()
    await asyncio.gather(*calls, return_exceptions=True)
    up.on(lambda request: json_answer(completion("Hello") | {"usage": USAGE}))


async def recorded(url: str, attempts: int) -> Books:
    """What the database has, once it has so many attempts.

    To be called while the gateway runs: its stop waits for the last rows only for a moment.
    """

    async def look() -> Books:
        while (found := await books(url)).attempts < attempts:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found

    return await within(look(), f"{attempts} attempts in the ledger")


def used(gw: Gateway, key: str = KEY) -> tuple[int, int]:
    """What the gateway knows to be spent and held of a counter."""
    counter = gw.app.limiter.book.find(key)
    return (-1, -1) if counter is None else (counter.base + counter.spent, counter.held)


async def test_a_restart_in_the_middle_of_a_window_goes_on_counting(up: Upstream, site: dict[str, Any]) -> None:
    async with Gateway(settings(up, site, ALL)) as gw:
        answered = await spend_all(gw)
        assert used(gw) == (answered * COST, 0)
    async with Gateway(settings(up, site, ALL)) as gw:
        assert await ask(gw) == 429
        assert used(gw) == (answered * COST, 0)
    assert (await books(site["database"]["url"])).counters == {KEY: answered * COST}


async def test_the_operator_sees_what_was_spent_before_a_restart(up: Upstream, site: dict[str, Any]) -> None:
    async with Gateway(settings(up, site, ALL)) as gw:
        assert await ask(gw) == 200
        await recorded(site["database"]["url"], 1)
    async with Gateway(settings(up, site, ALL)) as gw:  # its process has made no call yet
        answer = await (await gw.client()).fetch(
            "GET", "/admin/budgets", headers=[("Authorization", f"Bearer {ADMIN}")]
        )
        [budget] = answer.json["budgets"]
        [counter] = budget["counters"]
        assert (counter["key"], counter["sums"]["base"], counter["sums"]["spent"]) == (KEY, COST, 0)
        assert counter["amounts"]["left"] == 0.28


async def test_a_budget_that_is_new_counts_what_was_spent_before(up: Upstream, site: dict[str, Any]) -> None:
    async with Gateway(settings(up, site)) as gw:
        assert [await ask(gw) for _ in range(10)] == [200] * 10
    async with Gateway(settings(up, site, ALL)) as gw:
        assert await ask(gw) == 429
        assert used(gw) == (10 * COST, 0)


async def test_replicas_with_limits_of_their_own_see_what_the_others_spent(up: Upstream, tmp_path: Path) -> None:
    async with postgres_database() as url:
        sites = [
            {"dataDir": str(tmp_path / name), "ledger": {"enabled": True}, "database": {"url": url}} for name in "ab"
        ]
        async with Gateway(settings(up, sites[0], ALL)) as one, Gateway(settings(up, sites[1], ALL)) as other:
            assert await ask(other) == 200
            answered = await spend_all(one)
            await until(lambda: used(other)[0] == (answered + 1) * COST, "the other's spend")
            assert await ask(other) == 429


async def test_a_balance_refuses_until_it_is_topped_up(up: Upstream, site: dict[str, Any]) -> None:
    """By whatever wrote the transfer: another replica, for example."""
    text, digest, *_ = new_key()
    keys = {"mode": "keys", "keys": [{"name": "k", "owner": "ann", "hash": digest}]}
    billing = {"enabled": True, "defaultBalance": 0.3}
    bearer = ("Authorization", f"Bearer {text}")
    url = site["database"]["url"]
    async with Gateway(settings(up, site, auth=keys, billing=billing)) as gw:
        answered = await spend_all(gw, bearer)
        assert answered >= 2
        async with engine_of(url) as engine:
            await AccountTable(engine).post("ann", 500_000_000, "top-up")
        balance = gw.app.limiter.book.balance("ann")
        assert balance is not None
        await until(lambda: balance.cap == 800_000_000, "the top-up")
        answered += await spend_all(gw, bearer)
        found = await recorded(url, answered)
    assert (found.accounts["ann"].credits, found.accounts["ann"].charges) == (800_000_000, answered * COST)
    assert found.counters == {"balance/total/ann": answered * COST}
    assert (found.rows, found.charged) == (answered * COST, answered * COST)


@pytest.mark.parametrize(("policy", "status"), [("local", 200), ("open", 200), ("closed", 503)])
async def test_the_policy_decides_while_the_database_is_down(
    up: Upstream, tmp_path: Path, policy: str, status: int
) -> None:
    async with postgres_database() as url, Forwarder(url) as way:
        site = {"dataDir": str(tmp_path), "ledger": {"enabled": True}, "database": {"url": way.url}}
        await way.cut()
        limits = {"onStoreFailure": policy}
        async with Gateway(settings(up, site, ALL, rateLimiting=limits)) as gw:
            assert [await ask(gw) for _ in range(3)] == [status] * 3
            await way.restore()
            counter = gw.app.limiter.book.find(KEY)
            assert counter is not None
            await until(lambda: counter.seeded, "the counter to be read")
            assert await ask(gw) in (200, 429)
            assert used(gw)[1] == 0


async def test_after_a_kill_the_lost_calls_count_and_nothing_is_held(up: Upstream, site: dict[str, Any]) -> None:
    budget = ALL | {"usd": 50}
    async with GatewayProcess(settings(up, site, budget)) as process:
        assert await ask(process) == 200
        await kill_in_flight(up, process)
    async with Gateway(settings(up, site, budget)) as gw:
        assert await ask(gw) == 200
        spent, held = used(gw)
        assert held == 0
        assert spent > 2 * COST  # the lost calls are estimated
        found = await recorded(site["database"]["url"], 7)
    assert (found.attempts, found.rows, found.counters) == (7, spent, {KEY: spent})


@pytest.mark.parametrize(("unit", "cap"), [("usd", 2), ("tokens", 2000)])
async def test_after_a_kill_no_more_is_spent_than_the_cap(
    up: Upstream, site: dict[str, Any], unit: str, cap: int
) -> None:
    """A lost call may have written 1000 tokens by the estimate, and 100 by its limit."""
    budget = {"name": "all", unit: cap, "window": "total"}
    async with GatewayProcess(settings(up, site, budget)) as process:
        await kill_in_flight(up, process)
    async with Gateway(settings(up, site, budget)) as gw:
        assert await ask(gw) == 200
        spent, held = used(gw)
        assert held == 0
        assert 5 * 100 < spent / (10**6 if unit == "usd" else 1) <= 2000
        await recorded(site["database"]["url"], 6)  # else the next test may get them with the database


async def test_with_redis_the_lost_calls_of_a_killed_replica_count_at_the_others(up: Upstream, tmp_path: Path) -> None:
    """They are written by the recorder of the killed one, and Redis is told by the one that goes on."""
    async with postgres_database() as url, redis_prefix(redis_url()) as prefix:
        shared = {
            "ledger": {"enabled": True},
            "database": {"url": url},
            "redis": {"url": redis_url(), "prefix": prefix, "timeoutSecs": 10},
            "rateLimiting": {"store": "redis"},
        }
        one, other = (settings(up, shared | {"dataDir": str(tmp_path / name)}, ALL | {"usd": 50}) for name in "ab")
        async with Gateway(one) as gw, GatewayProcess(other) as process:
            assert [await ask(gw), await ask(process)] == [200, 200]
            await kill_in_flight(up, process)
            written = await recorded(url, 7)
            asked = 0

            async def ask_until_known() -> None:
                nonlocal asked
                while used(gw)[0] != written.rows + asked * COST:
                    assert await ask(gw) == 200
                    asked += 1
                    await asyncio.sleep(0.1)

            await within(ask_until_known(), "the lost calls", lambda: (used(gw), written.rows, asked))
            assert used(gw)[1] == 0
            found = await recorded(url, 7 + asked)
        assert written.rows > 3 * COST  # the lost calls are estimated
    assert (found.rows, found.counters) == (written.rows + asked * COST, {KEY: found.rows})


async def test_after_a_kill_and_the_loss_of_redis_the_ledger_knows_what_was_spent(up: Upstream, tmp_path: Path) -> None:
    async with postgres_database() as url, OwnRedis() as redis:
        shared = {
            "dataDir": str(tmp_path),
            "ledger": {"enabled": True},
            "database": {"url": url},
            "redis": {"url": redis.url, "timeoutSecs": 10},
            "rateLimiting": {"store": "redis"},
        }
        source = settings(up, shared, ALL | {"usd": 50})
        async with GatewayProcess(source) as process:
            assert await ask(process) == 200
            await kill_in_flight(up, process)
        await redis.kill()
        await redis.start()
        async with Gateway(source) as gw:
            assert await ask(gw) == 200
            spent, held = used(gw)
            found = await recorded(url, 7)
    assert spent > 2 * COST  # the lost calls are estimated
    assert (held, found.rows, found.counters) == (0, spent, {KEY: spent})
