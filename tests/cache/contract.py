"""What every store of answers does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from proxy.cache.base import ALL, AnswerStore, CachedAnswer, model_group, tag_group
from tests.cache.answers import KEY, NOON, OTHER, answer_of

Advance = Callable[[float], None]


async def find(store: AnswerStore, key: bytes = KEY) -> CachedAnswer | None:
    return (await moment_of(store, key))[0]


async def moment_of(store: AnswerStore, key: bytes = KEY) -> tuple[CachedAnswer | None, int]:
    found = store.find(key)
    return await found if inspect.isawaitable(found) else found


async def put(store: AnswerStore, answer: CachedAnswer, key: bytes = KEY, moment: int | None = None) -> None:
    stored = store.put(key, answer, (await moment_of(store, OTHER))[1] if moment is None else moment)
    if stored is not None:
        await stored


class AnswerContract:
    """``advance`` lets seconds pass for the store. ``noon`` is its present time."""

    noon = NOON

    async def test_an_answer_is_found_as_it_was_stored(self, store: AnswerStore) -> None:
        assert await find(store) is None
        for body in (b"", b'{"a":"\xc3\xa9"}', bytes(range(256)) * 40):
            answer = answer_of(body, at=self.noon, tags=("a", "b"), lines=b"x-router-dropped: seed\r\n", stream=True)
            await put(store, answer)
            assert await find(store) == answer

    async def test_an_unknown_cost_stays_unknown(self, store: AnswerStore) -> None:
        answer = replace(answer_of(at=self.noon), cost=None, input=None)
        await put(store, answer)
        assert await find(store) == answer

    async def test_another_key_has_another_answer(self, store: AnswerStore) -> None:
        await put(store, answer_of(b"1", at=self.noon))
        await put(store, answer_of(b"2", at=self.noon), OTHER)
        assert [each and each.body for each in (await find(store), await find(store, OTHER))] == [b"1", b"2"]

    async def test_a_later_answer_replaces_the_former(self, store: AnswerStore) -> None:
        await put(store, answer_of(b"1" * 500, at=self.noon))
        await put(store, answer_of(b"2", at=self.noon))
        found = await find(store)
        assert found is not None
        assert found.body == b"2"
        assert (await store.survey()).answers == 1

    async def test_an_answer_is_kept_while_it_is_fresh_or_stale(self, store: AnswerStore, advance: Advance) -> None:
        await put(store, answer_of(at=self.noon, ttl=60.0, stale=40.0))
        advance(99.0)
        assert await find(store) is not None
        advance(2.0)
        assert await find(store) is None

    async def test_a_full_store_makes_room(self, store: AnswerStore) -> None:
        store.resize(20_000)
        for number in range(30):
            await put(store, answer_of(bytes([number]) * 100, at=self.noon + number), bytes([number]) * 32)
            assert (await store.survey()).size <= 20_000
        store.resize(3000)
        await put(store, answer_of(b"last", at=self.noon + 60), KEY)
        survey = await store.survey()
        assert await find(store, KEY) is not None
        assert 0 < survey.answers < 10
        assert survey.size <= 3000
        assert survey.evicted > 0

    async def test_tags_count_as_they_take_room(self, store: AnswerStore) -> None:
        await put(store, answer_of(at=self.noon))
        usual = (await store.survey()).size
        await put(store, answer_of(at=self.noon, tags=tuple(f"{number:0100}" for number in range(16))))
        assert (await store.survey()).size > usual + 16 * 150

    async def test_an_answer_that_is_larger_than_the_store_is_not_kept(self, store: AnswerStore) -> None:
        store.resize(1000)
        await put(store, answer_of(b"small", at=self.noon), OTHER)
        await put(store, answer_of(Random(1).randbytes(10_000), at=self.noon))
        assert await find(store) is None
        assert await find(store, OTHER) is not None

    @pytest.mark.parametrize(
        ("group", "left"),
        [
            (ALL, []),
            (model_group("m"), [b"2"]),
            (model_group("x"), [b"1"]),
            (tag_group("red"), [b"2"]),
            (tag_group("m"), [b"1", b"2"]),
        ],
    )
    async def test_answers_are_invalidated_by_group(self, store: AnswerStore, group: str, left: list[bytes]) -> None:
        await put(store, answer_of(b"1", at=self.noon, tags=("red", "new")))
        await put(store, answer_of(b"2", at=self.noon, model="n", name="x", tags=("blue",)), OTHER)
        assert await store.invalidate([group]) == 2 - len(left)
        assert [each.body for key in (KEY, OTHER) if (each := await find(store, key)) is not None] == left
        survey = await store.survey()
        assert survey.answers == len(left)
        assert (survey.size == 0) == (not left)

    async def test_many_answers_are_invalidated(self, store: AnswerStore) -> None:
        for number in range(2300):
            await put(store, answer_of(b"1", at=self.noon), number.to_bytes(32), moment=0)
        assert await store.invalidate([model_group("m")]) == 2300
        assert (await store.survey()).size == 0

    async def test_an_answer_to_a_request_before_an_invalidation_is_not_stored(self, store: AnswerStore) -> None:
        _, before = await moment_of(store)
        await store.invalidate([tag_group("red")])
        await put(store, answer_of(at=self.noon, tags=("red",)), moment=before)
        assert await find(store) is None
        await put(store, answer_of(at=self.noon, tags=("blue",)), moment=before)
        assert await find(store) is not None
        await put(store, answer_of(b"new", at=self.noon, tags=("red",)))
        assert (await find(store)) == answer_of(b"new", at=self.noon, tags=("red",))

    async def test_a_process_leads_where_nothing_is_found(self, store: AnswerStore) -> None:
        _, moment = await moment_of(store)
        assert await store.find_or_lead(KEY, 30.0) == ((None, moment), True)
        assert not await store.led(KEY)  # by another one
        await put(store, answer_of(at=self.noon))
        assert await store.find_or_lead(KEY, 30.0) == ((answer_of(at=self.noon), moment), False)

    async def test_answers_are_found_and_stored_together(self, store: AnswerStore) -> None:
        keys = [number.to_bytes(32) for number in range(250)]
        answers = [answer_of(key, at=self.noon) for key in keys]
        before, moment = await store.find_all(keys)
        assert before == [None] * 250
        await store.put_all(list(zip(keys[:200], answers, strict=False)), moment)
        found, same = await store.find_all(keys)
        assert (found, same) == (answers[:200] + [None] * 50, moment)
        await store.invalidate([ALL])
        await store.put_all([(keys[0], answers[0])], moment)
        assert (await store.find_all(keys[:1]))[0] == [None]

    async def test_answers_are_stored_at_once(self, store: AnswerStore) -> None:
        keys = [bytes([number]) * 32 for number in range(5)]
        await asyncio.gather(*(put(store, answer_of(key, at=self.noon), key) for key in keys))
        assert [(await find(store, key)) == answer_of(key, at=self.noon) for key in keys] == [True] * 5
