"""The process that reads the broker's dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from proxy.events import dead_letters
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.reading import DeadLetter
from proxy.events.dead_letters import DeadLetterResult, DeadLetterTask, run
from proxy.events.settings import BrokerSettings

SETTINGS = BrokerSettings(("amqp://user:secret-word@mq",))
LETTERS = [DeadLetter(f"e{number}", "ai_usage", "billing.usage", "rejected", 5.0, b"\xff") for number in range(3)]


class Letters:
    """A broker's dead letters; ``error`` is raised by each method, ``hangs``: none answers."""

    def __init__(self, error: str = "", *, hangs: bool = False) -> None:
        self._error = error
        self._hangs = hangs
        self.closed = 0
        self.moved: frozenset[str] | None = frozenset()

    async def look(self, most: int) -> list[DeadLetter]:
        await self._answer()
        return LETTERS[:most]

    async def send_again(self, ids: frozenset[str] | None) -> int:
        await self._answer()
        self.moved = ids
        return len(LETTERS if ids is None else ids)

    async def close(self) -> None:
        self.closed += 1

    async def _answer(self) -> None:
        if self._hangs:
            await asyncio.Event().wait()
        if self._error:
            raise BrokerUnavailable(self._error)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    return use(monkeypatch, Letters())


def use(monkeypatch: pytest.MonkeyPatch, letters: Letters) -> Letters:
    monkeypatch.setattr(dead_letters, "missing_broker_package", lambda url: "")
    monkeypatch.setattr(dead_letters, "open_dead_letters", lambda settings: letters)
    return letters


async def test_the_first_letters_are_shown(letters: Letters) -> None:
    assert await run(DeadLetterTask(SETTINGS, 2)) == DeadLetterResult(letters=tuple(LETTERS[:2]))
    assert letters.closed == 1


@pytest.mark.parametrize(("ids", "moved"), [(None, 3), (frozenset({"e1"}), 1)])
async def test_letters_are_moved_back(letters: Letters, ids: Any, moved: int) -> None:
    assert await run(DeadLetterTask(SETTINGS, again=True, ids=ids)) == DeadLetterResult(moved=moved)
    assert (letters.moved, letters.closed) == (ids, 1)


async def test_a_broker_that_does_not_answer_is_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "LIMIT_SECS", 0.01)
    for broken, expected in ((Letters("refused"), "refused"), (Letters(hangs=True), "no answer within 0.01 s")):
        use(monkeypatch, broken)
        assert (await run(DeadLetterTask(SETTINGS, 2))).error == expected
        assert broken.closed == 1


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "missing_broker_package", lambda url: "pip install it")
    assert await run(DeadLetterTask(SETTINGS, 2)) == DeadLetterResult("pip install it")


def test_a_result_survives_its_encoding() -> None:
    result = DeadLetterResult(letters=tuple(LETTERS))
    assert msgspec.json.decode(msgspec.json.encode(result), type=DeadLetterResult) == result
