from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from msgspec import structs

from proxy.breakers.breaker import Change
from proxy.fleet.board import Board
from proxy.fleet.breakers import SharingState
from proxy.fleet.updates import BreakerUpdate, decode
from proxy.redis.client import RedisClient
from tests.fleet.replica import CHAT, EMBEDDINGS, POLICY, Replica
from tests.support.clock import MIDNIGHT
from tests.support.patience import PATIENCE, until, within
from tests.support.services import OwnRedis, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")


class Corner(NamedTuple):
    """The Redis prefix that the replicas of a test share."""

    url: str
    prefix: str


@pytest.fixture
async def corner() -> AsyncIterator[Corner]:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        yield Corner(url, prefix)


@asynccontextmanager
async def witness(corner: Corner) -> AsyncIterator[Board]:
    """The board as a third process sees it."""
    client = RedisClient(*corner, 5.0)
    yield Board(client, "witness")
    await client.close()


@pytest.fixture
async def pair(corner: Corner) -> AsyncIterator[tuple[Replica, Replica]]:
    async with Replica(*corner) as a, Replica(*corner, ahead=5000.0) as b:
        yield a, b


Pair = tuple[Replica, Replica]


async def learned(*replicas: Replica, key: str = "one", state: str = "open") -> None:
    await until(lambda: all(each[key].state == state for each in replicas), f"{key} to be {state}")


async def over(a: Replica, b: Replica) -> None:
    """Wait until ``b`` has applied all events of ``a``: they arrive in order, and this is the last."""
    event = secrets.token_hex(4)
    a.miss("two", event)
    await until(lambda: event in b["two"].missing_at, "the last event")


# --- what travels -----------------------------------------------------------------------------------


async def test_a_breaker_opens_on_both_replicas_with_the_same_cooldown_end(pair: Pair) -> None:
    a, b = pair
    a.fail("one")
    await learned(b)
    assert not b["one"].admits(CHAT, b.now)
    assert (b["one"].reason, b["one"].failures) == ("status_500", 0)
    assert b.rest("one") == pytest.approx(60.0)
    a.clock.advance(60.0)
    b.clock.advance(60.5)
    assert a["one"].acquire(CHAT, a.now).probe
    assert b["one"].acquire(CHAT, b.now).probe


async def test_a_delayed_opening_ends_at_the_same_time(corner: Corner) -> None:
    a = Replica(*corner)
    a.fail("one")
    a.clock.advance(20.0)
    async with Replica(*corner) as b, a:
        await learned(b)
        assert b.rest("one") == pytest.approx(40.0)


async def test_an_expired_opening_is_not_shared(corner: Corner) -> None:
    a = Replica(*corner)
    a.fail("one")
    a.clock.advance(60.0)
    async with Replica(*corner) as b, a:
        await over(a, b)
        assert b["one"].state == "closed"


async def test_a_failed_probe_elsewhere_keeps_the_breaker_open(pair: Pair) -> None:
    a, b = pair
    a.fail("one")
    await learned(b)
    for each in pair:
        each.clock.advance(60.0)
    assert b["one"].acquire(CHAT, b.now).probe
    a.fail("one", times=1)
    await until(lambda: b["one"].state == "open", "the news of the probe")
    assert b.rest("one") == pytest.approx(60.0)


async def test_recovery_is_not_shared(pair: Pair) -> None:
    a, b = pair
    a.fail("one")
    await learned(b)
    a.clock.advance(60.0)
    for _ in range(2):
        a["one"].succeed(a["one"].acquire(CHAT, a.now), CHAT, a.now)
    assert a["one"].state == "closed"
    await over(a, b)
    assert b["one"].state == "open"


async def test_each_endpoint_without_the_model_is_shared(pair: Pair) -> None:
    a, b = pair
    a.miss("one", CHAT)
    await learned(b, state="unavailable")
    assert not b["one"].admits(CHAT, b.now)
    assert b["one"].admits(EMBEDDINGS, b.now)
    a.miss("one", EMBEDDINGS)
    await until(lambda: b["one"].missing_at.keys() == {CHAT, EMBEDDINGS}, "the second endpoint")


async def test_a_missing_model_has_the_same_doubling_cooldown_on_both_replicas(
    corner: Corner,
) -> None:
    async with Replica(*corner) as a, Replica(*corner, ahead=5000.0) as b:
        for each in (a, b):
            each["one"].policy = structs.replace(POLICY, missing_cooldown=120.0)
        for cooldown in (120.0, 240.0):
            a.miss("one", CHAT)
            await until(lambda: not b["one"].admits(CHAT, b.now), "the news")
            found = b["one"].missing_at[CHAT]
            assert (found.cooldown, found.until - b.now) == (cooldown, pytest.approx(cooldown))
            for each in (a, b):
                each.clock.advance(cooldown + 1.0)
                assert each["one"].admits(CHAT, each.now)


async def test_missing_models_found_by_both_are_merged(pair: Pair) -> None:
    a, b = pair
    a.miss("one", CHAT)
    b.miss("one", EMBEDDINGS)
    for each in pair:
        await until(lambda each=each: each["one"].missing_at.keys() == {CHAT, EMBEDDINGS}, "both endpoints")  # type: ignore[misc]


async def test_an_operators_hold_and_reset_apply_to_every_replica(pair: Pair) -> None:
    a, b = pair
    a.trip("one")
    await until(lambda: b["one"].forced_open, "the hold")
    b.clock.advance(9999.0)
    assert not b["one"].admits(CHAT, b.now)
    assert (b["one"].reason, b["one"].retry_at) == ("operator", None)
    b.reset("one")
    await learned(*pair, state="closed")
    assert not a["one"].forced_open


async def test_an_operators_hold_is_shared_even_if_the_breaker_was_open(pair: Pair) -> None:
    a, b = pair
    a.fail("one")
    await learned(b)
    a.trip("one")
    await until(lambda: b["one"].forced_open, "the hold")


async def test_a_reset_applies_to_the_others_even_if_it_changes_nothing_here(pair: Pair) -> None:
    a, b = pair
    a.fail("one")
    a.miss("two", CHAT)
    await learned(b)
    await learned(b, key="two", state="unavailable")
    b.reset("one")
    b.reset("two")
    await learned(*pair, state="closed")
    await learned(*pair, key="two", state="closed")
    b.reset("one")
    a.fail("one")
    await learned(b)


async def test_a_received_update_is_not_sent_again(corner: Corner, pair: Pair) -> None:
    a, b = pair
    async with witness(corner) as board, board.subscription() as subscription:
        a.fail("one")
        a.miss("one", CHAT)
        await until(lambda: b["one"].missing_at, "what a has to say")
        b.trip("one")
        await until(lambda: a["one"].forced_open, "what b has to say")
        a.reset("one")
        await learned(b, state="closed")
        await over(a, b)
        await over(b, a)  # after it nothing of b's can be under way
        messages = []
        while len(messages) < 6:
            news = decode(await within(subscription.next(), "the next event", lambda: messages))
            assert news is not None
            messages.append((news.key, news.event))
    assert messages[:4] == [("one", "open"), ("one", "unavailable"), ("one", "held"), ("one", "closed")]
    assert messages[4:] == [("two", "unavailable")] * 2


async def test_a_replica_ignores_its_own_messages(pair: Pair) -> None:
    a, b = pair
    a.reset("one")
    await over(a, b)
    b.reset("two")
    await learned(a, key="two", state="closed")  # after a received its own events
    assert a["one"].last == Change("reset")


async def test_names_made_up_by_clients_are_neither_sent_nor_applied(corner: Corner, pair: Pair) -> None:
    a, b = pair
    for each in pair:
        each.registry.live("made-up", unlisted=True)
    made_up = a.registry.live("made-up", unlisted=True).breaker
    made_up.missing(CHAT, a.now)
    await over(a, b)
    assert b.registry.live("made-up", unlisted=True).breaker.state == "closed"
    async with witness(corner) as board:
        assert len(await board.read()) == 1
        await board.write([BreakerUpdate("made-up", "held", 0.0, None, "operator")], 0.0)
    await over(b, a)
    assert made_up.state == "unavailable"


async def test_a_deployment_added_by_a_reload_gets_the_stored_state(corner: Corner) -> None:
    async with Replica(*corner, keys=("one", "two", "new")) as a, Replica(*corner) as b:
        a.fail("new")
        await over(a, b)
        b.configure("new")
        b.reload()
        await learned(b, key="new")


async def test_a_reload_makes_a_missing_model_available(corner: Corner, pair: Pair) -> None:
    a, b = pair
    a.miss("one", CHAT)
    await learned(b, state="unavailable")
    b.reload()
    await over(b, a)
    assert b["one"].admits(CHAT, b.now)
    assert not a["one"].admits(CHAT, a.now)  # its configuration was not read again
    async with Replica(*corner) as c:
        assert c["one"].admits(CHAT, c.now)


# --- late replicas ----------------------------------------------------------------------------------


async def test_a_new_process_applies_the_stored_state_before_it_serves(corner: Corner) -> None:
    a = Replica(*corner, keys=("one", "two", "three"))
    a.fail("one")
    a.miss("two", CHAT)
    a.trip("three")
    a.clock.advance(25.0)
    async with a:
        pass
    async with Replica(*corner, keys=("one", "two", "three"), ahead=5000.0) as b:
        assert b["one"].state == "open"
        rest = b.rest("one")  # 35 s, less the time in Redis
        assert rest is not None
        assert 35.0 - PATIENCE < rest <= 35.0 + 1e-6
        assert b["two"].missing_at.keys() == {CHAT}
        assert b["three"].forced_open


async def test_a_new_process_does_not_get_reset_state(corner: Corner) -> None:
    async with Replica(*corner) as a:
        a.trip("one")
        a.miss("one", CHAT)
        a.reset("one")
    async with Replica(*corner) as b:
        assert b["one"].state == "closed"


async def test_waiting_updates_are_sent_when_a_process_ends(corner: Corner) -> None:
    async with Replica(*corner) as b:
        async with Replica(*corner) as a:
            a.trip("one")  # and it closes at once
        await until(lambda: b["one"].forced_open, "the last event of a")


# --- Redis comes and goes ---------------------------------------------------------------------------


async def test_without_redis_a_replica_uses_its_own_samples() -> None:
    async with OwnRedis() as own:
        await own.kill()
        async with Replica(own.url, "sluice", timeout=3600.0) as a:
            assert a.shared.state == SharingState(False, MIDNIGHT)
            a.fail("one")
            assert a["one"].state == "open"
            await until(lambda: a.messages["warning"], "a warning")
    assert len(a.messages["warning"]) == 1
    assert a.messages["warning"][0].startswith("Redis does not answer")
    assert a.messages["info"] == []


async def test_updates_during_an_outage_of_redis_are_shared_afterwards() -> None:
    async with OwnRedis() as own, Replica(own.url, "sluice") as a, Replica(own.url, "sluice") as b:
        assert a.shared.state.up
        await own.kill()
        await until(lambda: not a.shared.state.up and not b.shared.state.up, "the loss to be noticed")
        a.fail("one")
        a.trip("two")
        b.miss("one", CHAT)
        a.clock.advance(10.0)
        assert a.shared.state.latency is None
        await own.start()
        await until(lambda: b["two"].forced_open and CHAT in a["one"].missing_at, "everything to be known")
        rest = b.rest("one")  # minus the time in Redis, if it was read and not published
        assert rest is not None
        assert 50.0 - PATIENCE < rest <= 50.0 + 1e-6
        await until(lambda: a.messages["info"] and b.messages["info"], "the recovery message")
        assert a.shared.state.up
        assert a.shared.state.latency is not None
        assert [len(each.messages[level]) for each in (a, b) for level in ("warning", "info", "debug")] == [1, 1, 0] * 2


async def test_updates_missed_while_disconnected_are_read_on_reconnection() -> None:
    async with OwnRedis() as own, Replica(own.url, "sluice") as a, witness(Corner(own.url, "sluice")) as board:
        own_client = redis.Redis.from_url(own.url)
        await board.write([BreakerUpdate("one", "open", 0.0, 60.0, "status_500")], 0.0)
        await learned(a)
        a.reset("one")
        await over_board(own_client, "{sluice}:breakers")
        await own_client.client_kill_filter(_type="pubsub")
        await board.write([BreakerUpdate("two", "held", 0.0, None, "operator")], 0.0)
        await until(lambda: a["two"].forced_open, "the hold")
        assert a["one"].state == "closed"
        await own_client.aclose()


async def over_board(client: redis.Redis, key: str) -> None:
    async def empty() -> None:
        while await client.hlen(key):
            pass

    await within(empty(), "the board to be cleared")


async def test_a_redis_that_does_not_answer_delays_neither_start_nor_end_nor_a_breaker() -> None:
    async with OwnRedis() as own:
        own.hold()
        async with Replica(own.url, "sluice", timeout=0.02) as a:
            assert not a.shared.state.up
            a.fail("one")
            assert not a["one"].admits(CHAT, a.now)
        own.resume()
        async with Replica(own.url, "sluice", timeout=0.2) as a:
            await until(lambda: a.shared.state.up, "a to be there")
            own.hold()
            a.fail("one")


async def test_a_redis_that_stops_answering_is_detected_and_reconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.fleet.board.HEARTBEAT_SECS", 0.01)
    async with OwnRedis() as own, Replica(own.url, "sluice", timeout=0.2) as a, Replica(own.url, "sluice") as b:
        await until(lambda: a.shared.state.up, "a to be there")
        own.hold()
        await until(lambda: not a.shared.state.up, "the silence to be noticed")
        a.trip("one")
        own.resume()
        await until(lambda: b["one"].forced_open, "the event that waited")


async def test_a_model_cleared_by_a_reload_during_an_outage_stays_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.fleet.board.HEARTBEAT_SECS", 0.01)
    async with OwnRedis() as own, Replica(own.url, "sluice", timeout=0.2) as a:
        await until(lambda: a.shared.state.up, "a to be there")
        async with witness(Corner(own.url, "sluice")) as board:
            await board.write([BreakerUpdate("one", "unavailable", 0.0, 3600.0, "", CHAT)], 0.0)
        await learned(a, state="unavailable")
        own.hold()
        await until(lambda: not a.shared.state.up, "the silence to be noticed")
        a.reload()
        own.resume()
        await until(lambda: a.shared.state.up, "Redis to be back")
        assert a["one"].state == "closed"


async def test_malformed_messages_are_counted_and_ignored(corner: Corner, pair: Pair) -> None:
    a, b = pair
    client = redis.Redis.from_url(corner.url)
    key = f"{{{corner.prefix}}}:breakers"
    await client.publish(f"{key}:{client.connection_pool.connection_kwargs.get('db', 0)}", b"\xff")
    await client.hset(key, "a\nb", "1:0:junk")
    await client.aclose()
    a.fail("one")
    await learned(b)
    assert b.shared.malformed == 1
    assert len(b.messages["debug"]) == 1
    b.shared.refresh()
    await until(lambda: b.shared.malformed == 2, "the field to be read")
    assert b.messages["warning"] == b.messages["info"] == []
