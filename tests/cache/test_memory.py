"""Answers in memory."""

from __future__ import annotations

import pytest

from proxy.cache.base import model_group, tag_group
from proxy.cache.memory import MOST_CUTS, OVERHEAD, MemoryAnswers
from tests.cache.answers import KEY, NOON, OTHER, answer_of
from tests.cache.contract import Advance, AnswerContract, find, put

MEGABYTE = 1024 * 1024


class Clock:
    seconds = NOON

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryAnswers:
    return MemoryAnswers(16 * MEGABYTE, clock)


@pytest.fixture
def advance(clock: Clock) -> Advance:
    def pass_(seconds: float) -> None:
        clock.seconds += seconds

    return pass_


class TestContract(AnswerContract):
    pass


async def test_the_least_recently_used_answer_goes_first(store: MemoryAnswers) -> None:
    store.resize(2 * (OVERHEAD + 10))
    store.put(KEY, answer_of(b"1" * 10), 0)
    store.put(OTHER, answer_of(b"2" * 10), 0)
    assert await find(store) is not None
    store.put(bytes([3]) * 32, answer_of(b"3" * 10), 0)
    assert await find(store) is not None
    assert await find(store, OTHER) is None


async def test_invalidations_that_are_too_many_to_remember_count_for_all(store: MemoryAnswers) -> None:
    _, before = store.find(KEY)
    await store.invalidate([tag_group(str(number)) for number in range(MOST_CUTS)])
    await store.invalidate([model_group("x")])
    store.put(KEY, answer_of(), before)
    assert await find(store) is None
    await put(store, answer_of())
    assert await find(store) is not None
