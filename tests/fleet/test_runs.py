"""Two processes that see different calls of one tree of sub-agents, with a real Redis between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.budgets.runs import DEEPEST, IDLE_SECS, Lineage
from proxy.fleet.runs import ASK_AGAIN, PAUSE, SharedLineage
from proxy.redis.client import RedisClient
from tests.support import Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.ports import free_port
from tests.support.services import redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")


class Process:
    """``messages``: what was logged. ``runs``: the budgets of runs."""

    def __init__(self, url: str, prefix: str) -> None:
        self.now = 0.0
        self.runs: tuple[str, ...] = ("a budget",)
        self.redis = RedisClient(url, prefix, 5.0)
        self.lineage = Lineage()
        book: Any = SimpleNamespace(lineage=self.lineage, wall=lambda: self.now, rules=self)
        self.messages: list[str] = []
        log: Any = SimpleNamespace(warning=self._log, info=self._log)
        self.shared = SharedLineage(self.redis, book, log)

    def _log(self, message: str, **_: object) -> None:
        self.messages.append(message)

    def learn(self, run: str, parent: str) -> Awaitable[None] | None:
        return self.shared.learn(run, parent)

    async def call(self, run: str, parent: str) -> tuple[str, ...]:
        """A call of a sub-agent; the runs for which it counts."""
        pending = self.learn(run, parent)
        if pending is not None:
            await pending
        self.lineage.seen(run, parent, self.now)
        return self.lineage.ancestors(run)


class Pair:
    def __init__(self, url: str, prefix: str) -> None:
        self.url, self.prefix = url, prefix
        self.client = redis.Redis.from_url(url)
        self.processes: list[Process] = []

    def process(self, url: str = "") -> Process:
        found = Process(url or self.url, self.prefix)
        self.processes.append(found)
        return found

    async def close(self) -> None:
        for each in self.processes:
            await each.redis.close()
        await self.client.aclose()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        pair = Pair(url, prefix)
        yield pair
        await pair.close()


async def test_a_sub_agent_counts_for_a_root_that_only_another_process_knows(pair: Pair) -> None:
    one, two = pair.process(), pair.process()
    assert await one.call("child", "root") == ("child", "root")
    assert await two.call("grandchild", "child") == ("grandchild", "child", "root")
    assert await one.call("grandchild", "child") == ("grandchild", "child", "root")


async def test_without_budgets_of_runs_nothing_is_asked(pair: Pair) -> None:
    one = pair.process()
    one.runs = ()
    assert one.learn("child", "root") is None
    one.runs = ("a budget",)
    assert await one.call("child", "root") == ("child", "root")
    assert one.learn("child", "root") is None


async def test_each_sub_agent_is_asked_for_once_an_hour(pair: Pair) -> None:
    one = pair.process()
    await one.call("child", "root")
    assert one.learn("child", "root") is None
    one.now = ASK_AGAIN - 1
    assert one.learn("child", "root") is None
    one.now = ASK_AGAIN
    assert await one.call("child", "root") == ("child", "root")
    assert one.learn("child", "root") is None


async def test_the_keys_of_a_line_expire_a_day_after_its_last_call(pair: Pair) -> None:
    one, two = pair.process(), pair.process()
    await one.call("child", "root")
    key = f"{{{pair.prefix}}}:run:child"
    assert 0 < await pair.client.ttl(key) <= IDLE_SECS
    await pair.client.expire(key, 5)
    await two.call("grandchild", "child")  # whose call is one of its parents, too
    assert await pair.client.ttl(key) > 5


async def test_a_cycle_that_clients_claim_ends(pair: Pair) -> None:
    one = pair.process()
    for run, parent in ("ab", "bc", "ca"):
        await one.call(run, parent)
    assert await pair.process().call("c", "a") == ("c", "a", "b")


async def test_a_long_line_is_cut(pair: Pair) -> None:
    one = pair.process()
    for number in range(20):
        await one.call(f"{number}", f"{number + 1}")
    assert await pair.process().call("0", "1") == tuple(map(str, range(DEEPEST)))


async def test_a_redis_that_does_not_answer_is_told_once_and_left_alone_for_a_while(pair: Pair) -> None:
    one = pair.process(f"redis://127.0.0.1:{free_port()}/0")
    assert await one.call("grandchild", "child") == ("grandchild", "child")
    assert one.learn("grandchild", "child") is None
    one.now = PAUSE
    assert await one.call("grandchild", "child") == ("grandchild", "child")
    assert len(one.messages) == 1
    one.now = 2 * PAUSE
    await pair.process().call("child", "root")
    one.shared._client = pair.processes[-1].redis.commands  # it is back
    assert await one.call("grandchild", "child") == ("grandchild", "child", "root")
    assert len(one.messages) == 2


async def test_two_gateways_know_the_same_line(pair: Pair) -> None:
    sections: dict[str, Any] = {
        "budgets": [{"name": "runs", "per": "run", "usd": 1}],
        "rateLimiting": {"store": "redis"},
        "redis": {"url": pair.url, "prefix": pair.prefix, "timeoutSecs": 30},
    }
    call = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        config = one_provider(up, **sections)
        async with Gateway(config) as one, Gateway(config) as two:
            for gw, run, parent in ((one, "child", "root"), (two, "grandchild", "child")):
                headers = [("session_id", run), ("x-codex-parent-thread-id", parent)]
                await (await gw.client()).fetch("POST", "/v1/chat/completions", json=call, headers=headers)
            assert two.app.limiter.book.lineage.ancestors("/grandchild") == ("/grandchild", "/child", "/root")
