"""Events as POSTs: signatures, order, and what an answer means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.events.outbox.base import WaitingEvent
from proxy.events.sender import NoAnswer, WebhookAnswer, WebhookSender
from proxy.events.sending.webhook import AT_ONCE, IN_ORDER, MOST
from tests.events.outbox.outboxes import AT, insert, left
from tests.events.sending.rig import StillClock, rig_in, webhook_of
from tests.events.tools import SECRET, no_tls_at_all, signature
from tests.support import Upstream, json_answer


def events(count: int) -> list[WaitingEvent]:
    return [WaitingEvent(number, f"evt_{number}", "ai_usage", AT, b'{"a": 1}') for number in range(count)]


class Answers:
    """A sender that answers as ``statuses`` say by id, else 200."""

    def __init__(self, **statuses: int) -> None:
        self.statuses = statuses
        self.retry_after: float | None = None
        self.got: list[str] = []
        self.running = self.most = 0

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        id_ = headers["webhook-id"]
        self.got.append(id_)
        status = self.statuses.get(id_, 200)
        if not status:
            raise NoAnswer("no answer within 15 s")
        return WebhookAnswer(status, self.retry_after)


async def test_few_events_go_one_after_another() -> None:
    answers = Answers()
    outcome = await webhook_of(answers, StillClock()).send(events(IN_ORDER))
    assert outcome.sent == [*range(IN_ORDER)]
    assert answers.got == [f"evt_{number}" for number in range(IN_ORDER)]
    assert answers.most == 1


async def test_many_events_go_some_at_once() -> None:
    answers = Answers()
    outcome = await webhook_of(answers, StillClock()).send(events(MOST))
    assert outcome.sent == [*range(MOST)]
    assert answers.most == AT_ONCE


@pytest.mark.parametrize(("status", "error"), [(500, "status 500"), (302, "status 302"), (0, "no answer within 15 s")])
async def test_after_a_failure_the_rest_is_not_tried(status: int, error: str) -> None:
    answers = Answers(evt_1=status)
    outcome = await webhook_of(answers, StillClock()).send(events(4))
    assert outcome.sent == [0]
    assert [(each.event.seq, each.error) for each in outcome.refused] == [(1, error)]
    assert answers.got == ["evt_0", "evt_1"]
    assert not outcome.gone


async def test_of_several_at_once_each_counts() -> None:
    outcome = await webhook_of(Answers(evt_1=500, evt_3=503), StillClock()).send(events(20))
    assert outcome.sent == [0, 2, 4, 5, 6, 7]
    assert [each.event.seq for each in outcome.refused] == [1, 3]


async def test_gone_is_the_end() -> None:
    outcome = await webhook_of(Answers(evt_1=410), StillClock()).send(events(4))
    assert (outcome.sent, outcome.refused, outcome.gone) == ([0], [], True)


async def test_the_receiver_says_when() -> None:
    answers = Answers(evt_0=503)
    answers.retry_after = 120.0
    receiver = webhook_of(answers, StillClock())
    outcome = await receiver.send(events(2))
    assert outcome.retry_after == 120.0
    assert receiver.pause(1, 120.0) == receiver.later(1, 120.0) == 120.0


def test_one_failure_may_be_the_fault_of_its_event() -> None:
    receiver = webhook_of(Answers(), StillClock())
    assert receiver.pause(1, None) == 0.0
    assert 0.8 <= receiver.pause(2, None) <= 1.2
    assert 240 <= receiver.pause(20, None) <= 360


async def test_a_signed_event_arrives_over_a_socket(tmp_path: Path) -> None:
    async with Upstream() as there:
        there.queue(json_answer({}, 500))
        there.on(lambda request: json_answer({}))
        rig = await rig_in(tmp_path)
        receiver = webhook_of(WebhookSender({}, no_tls_at_all, rig.clock.wall), rig.clock, SECRET)
        receiver._settings = type(receiver._settings)("broker", there.origin + "/hook", SECRET)
        rig.sender = receiver
        rig.delivery = rig.other(rig.outbox, "one")
        await insert(rig.where, "evt_1")
        await rig.until_empty()
        assert await left(rig.where) == []
        first, again = there.requests
    assert first.body == again.body == b'{"id":"evt_1"}'
    assert again.header("content-type") == "application/cloudevents+json"
    stamp = again.header("webhook-timestamp") or ""
    assert int(stamp) > int(first.header("webhook-timestamp") or "")
    expected = signature("evt_1", stamp, bytes(again.body), b"a key of exactly 24 byte")
    assert again.header("webhook-signature") == expected
