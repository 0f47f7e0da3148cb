"""Breakers end to end: opening, recovery, missing models and reloads."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config.source import Source
from tests.support import (
    Answer,
    Chunk,
    Headers,
    Reset,
    Signal,
    Stall,
    Upstream,
    Wait,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import at_rest, live
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
MISSING = json_answer(error_json("The model `m` does not exist.", code="model_not_found"), 404)
BREAKER = {"failureThreshold": 3, "cooldownPeriodSecs": 60, "successThreshold": 2}


class Flapping:
    """An upstream that can be down."""

    def __init__(self, upstream: Upstream, name: str) -> None:
        self.upstream = upstream
        self.name = name
        self.down = False
        upstream.on(self._answer)

    def _answer(self, request: Request) -> Script:
        if self.down:
            return json_answer(error_json(), 503)
        if request.json.get("stream"):
            return sse_answer(*chat_events(self.name))
        return json_answer(completion(self.name))

    @property
    def attempts(self) -> int:
        return len(self.upstream.requests)


@pytest.fixture
async def one() -> AsyncIterator[Flapping]:
    async with Upstream() as upstream:
        yield Flapping(upstream, "one")


@pytest.fixture
async def other() -> AsyncIterator[Flapping]:
    async with Upstream() as upstream:
        yield Flapping(upstream, "other")


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


def house(*flapping: Flapping, **sections: Any) -> dict[str, Any]:
    return {
        "providers": {each.name: {"baseUrl": each.upstream.url} for each in flapping},
        "models": [{"name": "m", "provider": each.name} for each in flapping],
        "circuitBreaker": BREAKER,
        "routing": {"maxRetries": 2, "rateLimitRetries": 0},
    } | sections


async def ask(gw: Gateway, call: dict[str, Any] = CALL) -> Answer:
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, json=call)
    client.close()
    return answer


async def who(gw: Gateway, call: dict[str, Any] = CALL) -> str | None:
    answer = await ask(gw, call)
    assert answer.status == 200
    return answer.header("x-router-provider")


# -- outage and recovery -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["smart", "round_robin", "weighted_round_robin", "least_connections"])
@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_flapping_upstream_gets_no_requests_while_down_and_serves_after_recovery(
    one: Flapping, other: Flapping, clock: FakeClock, call: dict[str, Any], strategy: str
) -> None:
    config = house(one, other, routing={"strategy": strategy})
    async with Gateway(config, clock=clock, chance=random.Random(11)) as gw:
        breaker = live(gw, "one/m").breaker
        for _ in range(20):
            await who(gw, call)
        assert one.attempts > 0
        one.down, before = True, one.attempts
        for _ in range(200):  # ten minutes
            assert await who(gw, call) == "other"
            clock.advance(3)
        # Three failures open it; then one probe for each cooldown, and no more.
        assert breaker.state in ("open", "half_open")
        assert 3 < one.attempts - before <= 3 + 10
        one.down, before = False, one.attempts
        clock.advance(60)
        served = [await who(gw, call) for _ in range(40)]
        assert (breaker.state, breaker.failures) == ("closed", 0)
        assert served.count("one") >= BREAKER["successThreshold"]
        assert one.attempts - before == served.count("one")
        assert "one" in [await who(gw, call) for _ in range(10)]
        await at_rest(gw)


async def test_the_only_deployment_serves_again_right_after_the_cooldown(one: Flapping, clock: FakeClock) -> None:
    async with Gateway(house(one, routing={"maxRetries": 0}), clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        for _ in range(3):
            assert (await ask(gw)).status == 502
        for seconds in (0, 30, 29):
            clock.advance(seconds)
            answer = await ask(gw)
            assert (answer.status, one.attempts) == (503, 3)
            assert answer.json["error"]["code"] == "no_candidate"
        assert answer.header("retry-after") == "1"
        clock.advance(1)
        assert ((await ask(gw)).status, one.attempts, breaker.state) == (502, 4, "open")
        one.down = False
        clock.advance(60)
        for state in ("half_open", "closed"):
            assert (await who(gw), breaker.state) == ("one", state)


async def test_the_fallback_serves_during_the_cooldown(one: Flapping, other: Flapping, clock: FakeClock) -> None:
    config = house(one, other)
    config["models"] = [{"name": "m", "provider": "one"}, {"name": "spare", "provider": "other"}]
    config["routing"] = {"maxRetries": 0, "fallback": {"provider": "other", "model": "spare"}}
    async with Gateway(config, clock=clock) as gw:
        one.down = True
        for number in range(10):
            answer = await ask(gw)
            assert answer.json["_router"]["fallback_used"] is True
            assert answer.json["_router"]["attempts"] == (2 if number < 3 else 1)
        assert one.attempts == 3
        one.down = False
        clock.advance(60)
        assert [await who(gw) for _ in range(3)] == ["one"] * 3


# -- probes -------------------------------------------------------------------------------------------


async def test_probes_come_one_at_a_time(one: Flapping, other: Flapping, clock: FakeClock) -> None:
    gate = asyncio.Event()
    async with Gateway(house(one, other), clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        while breaker.state == "closed":
            await who(gw)
        clock.advance(60)
        before = one.attempts
        one.upstream.on(lambda request: [Wait(gate), *json_answer(completion("one"))])
        asking = [asyncio.create_task(who(gw)) for _ in range(30)]
        await until(lambda: sum(task.done() for task in asking) == 29, "all but the probe")
        assert (one.attempts - before, breaker.state, bool(breaker.active_probe)) == (1, "half_open", True)
        gate.set()
        served = await asyncio.gather(*asking)
        assert Counter(served) == {"one": 1, "other": 29}
        assert (breaker.successes, bool(breaker.active_probe)) == (1, False)


async def test_a_streaming_probe_succeeds_at_its_first_content_and_frees_the_slot(
    one: Flapping, other: Flapping, clock: FakeClock
) -> None:
    gate = asyncio.Event()
    async with Gateway(house(one, other), clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        while breaker.state == "closed":
            await who(gw)
        clock.advance(60)
        begun = Chunk(chat_chunks("one", finish=None, done=False))
        one.upstream.on(lambda request: [Headers(200, SSE_HEADERS), begun, Wait(gate), Reset()])
        clients = [await gw.client() for _ in range(8)]
        for client in clients:
            await client.request("POST", CHAT, json=STREAM)
            assert (await client.read_head()).status == 200
        assert breaker.state == "closed"
        gate.set()
        for client in clients:
            await client.read_body()
        await at_rest(gw)
        # What broke after its commit counts all the same.
        assert breaker.failures >= 1


async def test_a_failed_probe_opens_the_breaker_for_a_full_cooldown(
    one: Flapping, other: Flapping, clock: FakeClock
) -> None:
    async with Gateway(house(one, other), clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        while breaker.state == "closed":
            await who(gw)
        clock.advance(60)
        one.upstream.queue(json_answer(completion("one")))  # one good probe is not enough
        for _ in range(4):
            await who(gw)
        assert (breaker.state, one.attempts) == ("open", 5)
        clock.advance(59)
        for _ in range(4):
            assert await who(gw) == "other"
        assert one.attempts == 5


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_disconnect_frees_the_slot_without_a_sample(
    one: Flapping, other: Flapping, clock: FakeClock, call: dict[str, Any]
) -> None:
    arrived = asyncio.Event()
    async with Gateway(house(one, other), clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        while breaker.state == "closed":
            await who(gw)
        clock.advance(60)
        counts = live(gw, "one/m").statistics.counts(clock.now())
        one.upstream.on(lambda request: [Signal(arrived), Stall()])
        leaving = []
        while not breaker.active_probe:  # the rotation may begin with the other
            client = await gw.client()
            leaving.append(client)
            await client.request("POST", CHAT, json=call)
            await until(lambda: breaker.active_probe or len(gw.exchanges) > 3, "the request to be on its way")
            if not breaker.active_probe:
                await client.read_answer()
        await within(arrived.wait(), "the probe upstream")
        assert await who(gw) == "other"
        for client in leaving:
            client.close()
        await at_rest(gw)
        assert (breaker.state, breaker.successes) == ("half_open", 0)
        assert live(gw, "one/m").statistics.counts(clock.now()) == counts
        one.down = False
        one.upstream.on(one._answer)
        assert "one" in [await who(gw) for _ in range(2)]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_a_response_that_is_not_a_sample_frees_the_slot(
    one: Flapping, other: Flapping, clock: FakeClock, status: int
) -> None:
    config = house(one, other)
    config["providers"]["one"]["apiKeys"] = ["key-one", "key-two", "key-three"]
    async with Gateway(config, clock=clock) as gw:
        breaker, one.down = live(gw, "one/m").breaker, True
        while breaker.state == "closed":
            await who(gw)
        clock.advance(60)
        before = one.attempts
        one.down = False
        one.upstream.queue(json_answer(error_json(), status))
        while one.attempts == before:
            await ask(gw)
        assert (breaker.state, bool(breaker.active_probe)) == ("half_open", False)
        for _ in range(4):
            await who(gw)
        assert breaker.state == "closed"


@pytest.mark.parametrize("retries", [0, 2])
async def test_an_open_breaker_allows_the_second_key_only_without_another_deployment(
    one: Flapping, other: Flapping, clock: FakeClock, retries: int
) -> None:
    routing = {"maxRetries": retries, "rateLimitRetries": 0}
    config = house(one, other, routing=routing, circuitBreaker=BREAKER | {"failureThreshold": 1})
    config["providers"]["one"]["apiKeys"] = ["key-one", "key-two"]
    async with Gateway(config, clock=clock) as gw:
        one.upstream.on(lambda request: json_answer(error_json(), 429, [("Retry-After", "5")]))
        answer = await ask(gw)
        assert (answer.status, one.attempts, other.attempts) == ((200, 1, 1) if retries else (429, 2, 0))
        assert live(gw, "one/m").breaker.state == "open"


async def test_a_rejected_key_and_then_a_failure_count_as_one_failure(one: Flapping, clock: FakeClock) -> None:
    config = house(one, routing={"maxRetries": 0})
    config["providers"]["one"]["apiKeys"] = ["key-one", "key-two"]
    async with Gateway(config, clock=clock) as gw:
        one.upstream.queue(json_answer(error_json(), 401), json_answer(error_json(), 500))
        assert ((await ask(gw)).status, one.attempts, live(gw, "one/m").breaker.failures) == (502, 2, 1)


# -- missing models -----------------------------------------------------------------------------------


async def test_a_missing_model_is_retried_after_a_cooldown_that_doubles_up_to_ten_minutes(
    one: Flapping, other: Flapping, clock: FakeClock
) -> None:
    async with Gateway(house(one, other), clock=clock) as gw:
        for number, cooldown in enumerate((120, 240, 480, 600, 600), 1):
            one.upstream.queue(MISSING)
            assert [await who(gw) for _ in range(4)] == ["other"] * 4
            assert one.attempts == number
            clock.advance(cooldown - 1)
            assert [await who(gw) for _ in range(4)] == ["other"] * 4
            assert one.attempts == number
            clock.advance(1)
        assert sorted(map(str, [await who(gw) for _ in range(4)])) == ["one", "one", "other", "other"]
        assert live(gw, "one/m").breaker.state == "closed"


async def test_a_missing_model_without_configuration_is_retried_at_once(one: Flapping, clock: FakeClock) -> None:
    """As with Ollama: pull the model, then request it again."""
    config = {"providers": {"one": {"baseUrl": one.upstream.url}}, "circuitBreaker": BREAKER}
    async with Gateway(config, clock=clock) as gw:
        one.upstream.on(lambda request: MISSING)
        assert (await ask(gw)).status == 404
        one.upstream.on(one._answer)
        assert await who(gw) == "one"


async def test_a_zero_cooldown_keeps_a_missing_model_unavailable_until_a_restart(
    one: Flapping, other: Flapping, clock: FakeClock
) -> None:
    config = house(one, other, circuitBreaker=BREAKER | {"missingCooldownSecs": 0})
    async with Gateway(config, clock=clock) as gw:
        one.upstream.queue(MISSING)
        assert [await who(gw) for _ in range(5)] == ["other"] * 5
        assert (one.attempts, live(gw, "one/m").breaker.state) == (1, "unavailable")
        clock.advance(100_000)
        assert [await who(gw) for _ in range(5)] == ["other"] * 5
        assert one.attempts == 1
        client = await gw.client()
        one.upstream.on(lambda request: json_answer({"object": "list", "data": [], "model": "m"}))
        other.upstream.on(lambda request: json_answer({"object": "list", "data": [], "model": "m"}))
        for _ in range(2):
            assert (await client.fetch("POST", "/v1/embeddings", json={"model": "m", "input": "Hi"})).status == 200
        assert [request.target for request in one.upstream] == [CHAT, "/v1/embeddings"]


async def test_a_model_that_no_provider_has_is_requested_once_and_a_404_each_time(
    one: Flapping, clock: FakeClock
) -> None:
    async with Gateway(house(one, routing={"maxRetries": 0}), clock=clock) as gw:
        one.upstream.queue(MISSING)
        for _ in range(3):
            answer = await ask(gw)
            assert (answer.status, answer.header("retry-after")) == (404, None)
            assert answer.json["error"]["code"] == "model_not_found"
        assert "the provider does not know the model" in answer.json["error"]["message"]
        assert one.attempts == 1


# -- a reload -----------------------------------------------------------------------------------------


class Follower:
    """A gateway on files that may change."""

    def __init__(self, folder: Path, config: dict[str, Any], clock: FakeClock) -> None:
        self.path = folder / "config.yaml"
        self.config = {"dataDir": str(folder / "data"), "server": {"port": 0, "drainSecs": 1}} | config
        self.clock = clock
        env_file = folder / "empty.env"
        env_file.touch()
        self.source = Source(self.path, {"XDG_CACHE_HOME": str(folder)}, env_file)

    def write(self, **sections: Any) -> None:
        self.config |= sections
        self.path.write_bytes(msgspec.yaml.encode(self.config))

    async def open(self) -> Gateway:
        self.write()
        loaded = await self.source.load()
        return Gateway(loaded.config, follows=self.source, clock=self.clock)


async def reload(gw: Gateway) -> None:
    assert gw.app.running.follow is not None
    assert await gw.app.running.follow.reload("test"), gw.log_lines


async def test_a_reload_keeps_breakers_statistics_and_cooldowns_and_resets_missing_models(
    one: Flapping, other: Flapping, clock: FakeClock, tmp_path: Path
) -> None:
    config = house(one, other)
    config["models"] += [{"name": name, "provider": "one"} for name in ("gone", "resting", "slow")]
    follower = Follower(tmp_path, config, clock)
    async with await follower.open() as gw:
        gate = asyncio.Event()
        one.upstream.queue(MISSING)
        assert (await ask(gw, CALL | {"model": "gone"})).status == 404
        one.upstream.queue(json_answer(error_json(), 429, [("Retry-After", "100")]))
        assert (await ask(gw, CALL | {"model": "resting"})).status == 429
        one.upstream.queue([Wait(gate), *json_answer(completion("late"))])
        slow = asyncio.create_task(ask(gw, CALL | {"model": "slow"}))
        await until(lambda: live(gw, "one/slow").in_flight, "the slow one")
        one.down = True
        while live(gw, "one/m").breaker.state == "closed":
            await who(gw)
        before = {label: live(gw, label) for label in ("one/m", "other/m", "one/gone", "one/resting", "one/slow")}
        counts = {label: each.statistics.counts(clock.now()) for label, each in before.items()}
        attempts = one.attempts

        follower.write(models=[*config["models"], {"name": "new", "provider": "other"}])
        await reload(gw)
        after = {label: live(gw, label) for label in before}
        assert all(after[label] is before[label] for label in before)
        assert {label: each.statistics.counts(clock.now()) for label, each in after.items()} == counts
        assert (after["one/m"].breaker.state, after["one/gone"].breaker.state) == ("open", "closed")
        assert (await who(gw), one.attempts) == ("other", attempts)
        assert ((await ask(gw, CALL | {"model": "resting"})).status, one.attempts) == (429, attempts)
        assert after["one/slow"].in_flight == 1
        gate.set()
        assert (await slow).status == 200
        assert (after["one/slow"].in_flight, after["one/slow"].statistics.counts(clock.now())) == (0, (1, 0))
        one.down = False
        assert await who(gw, CALL | {"model": "gone"}) == "one"
        clock.advance(60)
        assert "one" in [await who(gw) for _ in range(2)]
        await at_rest(gw)


async def test_new_thresholds_apply_at_once(one: Flapping, other: Flapping, clock: FakeClock, tmp_path: Path) -> None:
    follower = Follower(tmp_path, house(one, other), clock)
    async with await follower.open() as gw:
        one.down = True
        while live(gw, "one/m").breaker.state == "closed":
            await who(gw)
        attempts = one.attempts
        follower.write(circuitBreaker=BREAKER | {"cooldownPeriodSecs": 5, "successThreshold": 1})
        await reload(gw)
        one.down = False
        clock.advance(5)
        assert "one" in [await who(gw) for _ in range(2)]
        assert (live(gw, "one/m").breaker.state, one.attempts) == ("closed", attempts + 1)
