"""Which answers may be given."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from proxy.cache.base import CachedAnswer
from proxy.cache.directives import USUAL, Directives
from proxy.cache.keeping import MEGABYTE, AnswerKeeper
from proxy.cache.memory import MemoryAnswers
from proxy.cache.rules import CachePolicy
from proxy.config.cache_schema import CacheSettings
from tests.cache.answers import KEY, NOON, OTHER, answer_of


@pytest.mark.parametrize(
    ("age", "directives", "fresh"),
    [
        (59.9, USUAL, True),
        (60.0, USUAL, False),
        (10.0, Directives(max_age=10), True),
        (10.1, Directives(max_age=10), False),
        (61.0, Directives(max_age=100), False),
        (59.0, Directives(only=True), True),
    ],
)
def test_how_long_an_answer_is_fresh(age: float, directives: Directives, fresh: bool) -> None:
    keeper = AnswerKeeper(MemoryAnswers(MEGABYTE), wall=lambda: NOON + age)
    policy = CachePolicy(3600.0, "owner")
    assert keeper.is_fresh(answer_of(ttl=60.0, stale=100.0), policy, directives) is fresh
    shorter = CachePolicy(60.0, "owner")
    assert keeper.is_fresh(answer_of(ttl=3600.0), shorter, directives) is fresh
    assert keeper.age(answer_of()) == int(age)


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    assert AnswerKeeper(MemoryAnswers(MEGABYTE), wall=lambda: NOON - 5).age(answer_of()) == 0


def test_other_settings_apply_to_the_store() -> None:
    store = MemoryAnswers(MEGABYTE, lambda: NOON)
    keeper = AnswerKeeper(store, wall=lambda: NOON)
    store.put(KEY, replace(answer_of(b"x" * 5000)), 0)
    keeper.adopt(CacheSettings(max_mb=0.001))
    assert store.glance().answers == 0
    assert keeper.recordings.largest == int(0.001 * MEGABYTE)
    keeper.adopt(CacheSettings(max_answer_kb=2))
    assert keeper.recordings.largest == 2048


async def test_answers_that_wait_for_a_slow_store_are_bounded() -> None:
    class Slow(MemoryAnswers):
        shared = True
        ready = asyncio.Event()

        async def put(self, key: bytes, answer: CachedAnswer, moment: int) -> None:  # type: ignore[override]
            await self.ready.wait()
            super().put(key, answer, moment)

    store = Slow(MEGABYTE, lambda: NOON)
    keeper = AnswerKeeper(store, wall=lambda: NOON)
    keeper.adopt(CacheSettings(max_mb=0.001))
    first = asyncio.ensure_future(keeper.put_later(KEY, answer_of(b"x" * 560), 0))
    await asyncio.sleep(0)
    await keeper.put_later(OTHER, answer_of(b"x" * 560), 0)
    assert keeper.recordings.used == 560
    store.ready.set()
    await first
    assert (keeper.recordings.used, store.glance().answers) == (0, 1)
    assert store.find(KEY)[0] is not None
