"""Answers in the memory of the process: bounded bytes, the least recently used evicted first, each until it expires."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from proxy.cache.base import ALL, AnswerStore, CachedAnswer, Found, StoreSurvey

# Bytes of an answer beside its body: the key (65), the struct (80), its numbers (120), and its place in the dictionary
# (130). tests/bench/cache.py measures it.
OVERHEAD: Final = 480
MOST_CUTS: Final = 10_000  # groups whose invalidation is remembered
_PORTION: Final = 2000  # answers that are looked at in one turn of the loop


class MemoryAnswers(AnswerStore):
    """At most ``most`` bytes, ``OVERHEAD`` included. ``wall`` returns Unix seconds."""

    shared: ClassVar[bool] = False

    def __init__(self, most: int, wall: Callable[[], float] = time.time) -> None:
        self._most = most
        self._wall = wall
        # A dict would scan over removed entries to find its first one.
        self._answers: OrderedDict[bytes, CachedAnswer] = OrderedDict()
        self._size = 0
        self._evicted = 0
        self._moment = 0
        self._cuts: dict[str, int] = {}  # the moment of its last invalidation, by group

    def __repr__(self) -> str:
        return f"<MemoryAnswers {len(self._answers)}, {self._size} bytes of {self._most}>"

    def find(self, key: bytes) -> Found:
        answers = self._answers
        answer = answers.get(key)
        if answer is None:
            return None, self._moment
        if self._wall() >= answer.kept_until:
            self._drop(key)
            return None, self._moment
        answers.move_to_end(key)
        return answer, self._moment

    def put(self, key: bytes, answer: CachedAnswer, moment: int) -> None:
        size = len(answer.body) + OVERHEAD + answer.facts.extra
        if size > self._most or (moment < self._moment and self._cut(answer, moment)):
            return
        answers = self._answers
        if key in answers:
            self._drop(key)
        self._size += size
        while self._size > self._most:
            self._drop(next(iter(answers)))
            self._evicted += 1
        answers[key] = answer

    async def invalidate(self, groups: Sequence[str]) -> int:
        self._moment += 1
        if len(self._cuts) + len(groups) > MOST_CUTS:
            self._cuts = {ALL: self._moment}  # running requests store nothing, so no wrong answer
        self._cuts.update((group, self._moment) for group in groups)
        if ALL in groups:
            number = len(self._answers)
            self._answers.clear()
            self._size = 0
            return number
        wanted, number = frozenset(groups), 0
        for count, (key, answer) in enumerate(list(self._answers.items()), 1):
            if not wanted.isdisjoint(answer.facts.groups) and self._answers.get(key) is answer:
                self._drop(key)
                number += 1
            if count % _PORTION == 0:
                await asyncio.sleep(0)
        return number

    def glance(self) -> StoreSurvey:
        return StoreSurvey(len(self._answers), self._size, self._most, self._evicted)

    def resize(self, most: int) -> None:
        self._most = most
        while self._size > most:
            self._drop(next(iter(self._answers)))
            self._evicted += 1

    def _drop(self, key: bytes) -> None:
        answer = self._answers.pop(key)
        self._size -= len(answer.body) + OVERHEAD + answer.facts.extra

    def _cut(self, answer: CachedAnswer, moment: int) -> bool:
        cuts = self._cuts
        return any(cuts.get(group, 0) > moment for group in (ALL, *answer.facts.groups))
