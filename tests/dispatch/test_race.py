from __future__ import annotations

from typing import Any, cast

import pytest

from proxy.dispatch.race import Lost, Race
from proxy.exchange import Attempt


class Runner:
    """An attempt that notes its events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def pause(self) -> None:
        self.events.append("pause")

    def resume(self) -> None:
        self.events.append("resume")

    def client_gone(self) -> None:
        self.events.append("client_gone")

    def interrupt(self, reason: BaseException | None) -> None:
        self.events.append(reason)


def attempt() -> Attempt:
    return Attempt(cast(Any, None), cast(Any, None), cast(Any, None), 0.0)


def pair() -> tuple[Race, tuple[Attempt, Runner], tuple[Attempt, Runner]]:
    race, one, two = Race(lambda attempt: None), (attempt(), Runner()), (attempt(), Runner())
    race.enter(*one)
    race.enter(*two)
    return race, one, two


def test_the_first_to_win_cancels_the_other() -> None:
    race, (one, first), (two, second) = pair()
    race.check(one)
    race.check(two)
    race.win(two)
    assert race.winner is two
    assert [type(event) for event in first.events] == [Lost]
    assert second.events == []


def test_the_second_to_commit_has_lost_and_changes_nothing() -> None:
    race, (one, first), (two, second) = pair()
    race.win(one)
    with pytest.raises(Lost):
        race.check(two)
    with pytest.raises(Lost):
        race.win(two)
    assert race.winner is one
    assert first.events == []
    assert len(second.events) == 1


def test_a_winner_may_win_again() -> None:
    race, (one, first), (two, second) = pair()
    race.win(one)
    race.check(one)
    race.leave(two)
    race.win(one)
    assert (first.events, len(second.events)) == ([], 1)


def test_events_of_the_client_go_to_all_that_run() -> None:
    race, (one, first), (_, second) = pair()
    race.pause()
    race.resume()
    assert not race.leave(one)
    race.client_gone()
    reason = RuntimeError()
    race.interrupt(reason)
    assert first.events == ["pause", "resume"]
    assert second.events == ["pause", "resume", "client_gone", reason]


def test_the_race_is_over_when_the_last_has_left() -> None:
    race, (one, _), (two, _) = pair()
    assert not race.leave(two)
    assert race.leave(one)
    assert race.leave(one)
    race.client_gone()  # no attempt is left


def test_an_attempt_may_leave_during_an_event() -> None:
    race = Race(lambda attempt: None)
    mine = attempt()

    class Leaver(Runner):
        def interrupt(self, reason: BaseException | None) -> None:
            race.leave(mine)

    race.enter(mine, Leaver())
    race.enter(attempt(), other := Runner())
    race.interrupt(None)
    assert other.events == [None]
