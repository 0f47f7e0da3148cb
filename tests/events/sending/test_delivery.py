"""The loop of one receiver over a real outbox, with a receiver in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.events.outbox.base import EventOutbox, OutboxUnavailable, Settlement
from proxy.events.sending.delivery import LOOK_SECS, POLL_SECS
from proxy.events.sending.hold import HOLD_SECS, RENEW_SECS
from tests.events.outbox.outboxes import AT, RECEIVER, insert, left, receiver_row, send_again
from tests.events.sending.rig import DAY, SendingRig, rig_in
from tests.support.patience import until, within


@pytest.fixture
async def rig(tmp_path: Path) -> SendingRig:
    return await rig_in(tmp_path)


async def test_events_are_sent_in_order_and_removed(rig: SendingRig) -> None:
    await insert(rig.where, *map(str, range(25)))
    await rig.until_empty()
    assert rig.memory.got == [*map(str, range(25))]
    assert await left(rig.where) == []
    assert rig.delivery.sent == 25
    assert await receiver_row(rig.where) == (25, 0, "")
    assert rig.log.lines == []


async def test_without_events_it_looks_each_second(rig: SendingRig) -> None:
    assert await rig.delivery.step() == POLL_SECS
    assert rig.delivery.empty_at == 0.0


async def test_an_event_that_is_refused_holds_up_no_other(rig: SendingRig) -> None:
    rig.memory.refuses = {"0", "3"}
    await insert(rig.where, *map(str, range(20)))
    await rig.step(30)
    assert sorted(rig.memory.got, key=int) == [str(number) for number in range(20) if number not in (0, 3)]
    assert [(id_, dead) for id_, _, _, dead in await left(rig.where)] == [("0", False), ("3", False)]
    rig.memory.refuses = set()
    await rig.until_empty()
    assert len(rig.memory.got) == 20


async def test_a_receiver_that_fails_is_tried_with_one_event_and_ever_less_often(rig: SendingRig) -> None:
    rig.memory.error = "status 500"
    await insert(rig.where, "a", "b", "c")
    pauses = [await rig.delivery.step() for _ in range(3)]
    assert pauses == [2.0, 4.0, 8.0]
    assert rig.memory.tried == ["a", "b", "c"]
    assert await rig.delivery.step() == POLL_SECS  # none is due
    assert {tries for _, tries, *_ in await left(rig.where)} == {1}
    assert await receiver_row(rig.where) == (0, 3, "status 500")


async def test_one_log_line_a_change(rig: SendingRig) -> None:
    rig.memory.error = "status 500"
    await insert(rig.where, "a", "b")
    await rig.step(20)
    assert not rig.delivery.health.up
    assert rig.log.messages == ["A webhook takes no events. They wait in the outbox."]
    rig.memory.error = ""
    await rig.until_empty()
    assert rig.log.messages[1:] == ["A webhook takes events again."]
    assert rig.delivery.health.up
    assert sorted(rig.memory.got) == ["a", "b"]


async def test_an_event_is_given_up_after_a_day_and_enough_tries(rig: SendingRig) -> None:
    rig.memory.refuses = {"old"}
    await insert(rig.where, "old", at=AT - 2 * DAY)  # its database was down so long
    for _ in range(7):
        await rig.step()
        rig.clock.advance(300)
    assert await left(rig.where) == [("old", 7, "refused", False)]
    await rig.step()
    assert await left(rig.where) == [("old", 8, "refused", True)]
    assert rig.log.messages[-1] == "Events were given up. `sluice events dead` shows them."


async def test_an_event_that_is_sent_again_gets_its_tries(rig: SendingRig) -> None:
    rig.memory.refuses = {"old"}
    await insert(rig.where, "old", at=AT - 2 * DAY)
    for _ in range(8):
        await rig.step()
        rig.clock.advance(300)
    await send_again(rig.where, "old")
    await rig.step()
    assert await left(rig.where) == [("old", 1, "refused", False)]
    rig.memory.refuses = set()
    rig.clock.advance(300)
    await rig.until_empty()
    assert rig.memory.got == ["old"]


async def test_a_receiver_that_fails_for_a_day_loses_what_is_as_old(rig: SendingRig) -> None:
    rig.memory.error = "status 500"
    await insert(rig.where, *map(str, range(500)))
    while rig.clock.time < AT + DAY + 600:
        await rig.step()
    await insert(rig.where, "new", at=rig.clock.time)
    for _ in range(5):
        await rig.step()
        rig.clock.advance(300)
    assert [id_ for id_, _, _, dead in await left(rig.where) if not dead] == ["new"]
    rig.memory.error = ""
    await rig.until_empty()
    assert rig.memory.got == ["new"]


async def test_a_receiver_that_is_gone_gets_nothing_more(rig: SendingRig) -> None:
    rig.memory.gone = True
    await insert(rig.where, "a", "b")
    await rig.step(2)
    await insert(rig.where, "c")
    await rig.step()
    assert rig.memory.tried == ["a"]
    assert await left(rig.where) == [(each, 0, "it answered 410 Gone", True) for each in "abc"]
    assert await receiver_row(rig.where, "gone_at") == (AT,)
    assert len(rig.log.lines) == 1
    assert not rig.delivery.health.up


async def test_a_new_process_tries_a_receiver_that_was_gone(rig: SendingRig) -> None:
    rig.memory.gone = True
    await insert(rig.where, "a")
    await rig.step()
    await rig.delivery.close(0.0)
    rig.memory.gone = False
    rig.delivery = rig.other(rig.outbox, "two")
    await insert(rig.where, "b")
    await rig.step()
    assert rig.memory.got == ["a", "b"]
    assert await receiver_row(rig.where, "gone_at") == (None,)


async def test_a_receiver_is_sent_to_by_one_process(rig: SendingRig) -> None:
    other = rig.other(rig.outbox, "two")
    await rig.step()
    assert await other.step() == LOOK_SECS
    assert not other.hold.held
    await insert(rig.where, "a")
    await other.step()
    assert rig.memory.got == []
    for _ in range(5):  # it is held for as long as its process looks
        rig.clock.advance(RENEW_SECS)
        await rig.delivery.step()
        await other.step()
    assert not other.hold.held
    rig.clock.advance(HOLD_SECS)
    await insert(rig.where, "b")
    await other.step()
    assert other.hold.held
    assert rig.memory.got == ["a", "b"]
    await rig.delivery.step()
    assert not rig.delivery.hold.held


async def test_a_process_that_ends_lets_the_next_one_send_at_once(rig: SendingRig) -> None:
    other = rig.other(rig.outbox, "two")
    await rig.step()
    await rig.delivery.close(0.0)
    await other.step()
    assert other.hold.held


async def test_a_process_that_was_killed_is_followed_by_one_of_its_name(rig: SendingRig) -> None:
    await rig.step()
    anew = rig.other(rig.outbox, "one")
    await anew.step()
    assert anew.hold.held


class FailingOutbox:
    """An outbox that is not available for the next ``failures`` calls of ``settle``; they may have had an effect."""

    def __init__(self, real: EventOutbox, failures: int, *, after: bool) -> None:
        self._real = real
        self._failures = failures
        self._after = after

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    async def settle(self, receiver: str, settlement: Settlement) -> None:
        if self._failures and not self._after:
            self._failures -= 1
            raise OutboxUnavailable("cut off")
        await self._real.settle(receiver, settlement)
        if self._failures:
            self._failures -= 1
            raise OutboxUnavailable("cut off")


@pytest.mark.parametrize("after", [False, True])
async def test_what_was_sent_is_settled_later_and_not_sent_twice(rig: SendingRig, after: bool) -> None:
    await insert(rig.where, "a", "b")
    rig.delivery = rig.other(FailingOutbox(rig.outbox, 3, after=after), "one")  # type: ignore[arg-type]
    assert await rig.delivery.step() == 0.1
    assert rig.delivery.outbox_error == "cut off"
    await rig.until_empty()
    assert rig.memory.got == ["a", "b"]
    assert await receiver_row(rig.where) == (2, 0, "")
    assert rig.delivery.outbox_error == ""


async def test_a_defect_is_no_end(rig: SendingRig) -> None:
    async def broken(events: object) -> None:
        raise RuntimeError("a defect")

    rig.sender.send = broken  # type: ignore[method-assign, assignment]
    await insert(rig.where, "a")
    assert await rig.delivery.step() >= POLL_SECS
    assert rig.delivery.health.error == "RuntimeError('a defect')"
    del rig.sender.send
    await rig.until_empty()
    assert rig.memory.got == ["a"]


def start(rig: SendingRig) -> None:
    """Let it run by itself, in real time."""
    rig.clock.sleep = asyncio.sleep  # type: ignore[assignment]
    rig.delivery = rig.other(rig.outbox, "one")
    rig.delivery.start()


async def test_a_new_event_is_sent_at_once(rig: SendingRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.events.sending.delivery.POLL_SECS", 3600.0)
    start(rig)
    await until(lambda: rig.delivery.empty_at == 0.0, "a look")
    await insert(rig.where, "a")
    rig.delivery.wake()
    await until(lambda: rig.memory.got == ["a"], "the event")
    await within(rig.delivery.close(30.0), "the end")
    assert await rig.outbox.hold(RECEIVER, "another", 1.0)


async def test_the_end_waits_for_what_is_under_way(rig: SendingRig) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    real = rig.memory.send

    async def slowly(events: object) -> object:
        begun.set()
        await may_end.wait()
        return await real(events)  # type: ignore[arg-type]

    rig.sender.send = slowly  # type: ignore[method-assign, assignment]
    await insert(rig.where, "a")
    start(rig)
    await within(begun.wait(), "the event to be sent")
    closing = asyncio.create_task(rig.delivery.close(30.0))
    await asyncio.sleep(0)
    may_end.set()
    await within(closing, "the end")
    assert rig.memory.got == ["a"]
    assert await left(rig.where) == []
