"""Events as messages of the broker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.outbox.base import WaitingEvent
from proxy.events.sending.broker import BATCH_BYTES, LONGEST_PAUSE, BrokerSender, messages

TYPES = ("ai_usage", "transaction_created", "key_created")


class MemoryPublisher:
    def __init__(self) -> None:
        self.got: list[BrokerMessage] = []
        self.error = ""
        self.closed = False

    async def publish(self, messages: Sequence[BrokerMessage]) -> None:
        if self.error:
            raise BrokerUnavailable(self.error)
        self.got += messages

    async def dead(self) -> int:
        return 3

    async def close(self) -> None:
        self.closed = True


def event(number: int, type_: str = "ai_usage", size: int = 0) -> WaitingEvent:
    body = json.dumps({"id": str(number), "pad": "x" * size}).encode()
    return WaitingEvent(number, str(number), type_, 0.0, body)


async def test_an_event_is_a_message() -> None:
    publisher = MemoryPublisher()
    sender = BrokerSender(publisher, 1, Random(1))
    outcome = await sender.send([event(1), event(2, "key_created")])
    assert outcome.sent == [1, 2]
    assert publisher.got == [
        BrokerMessage("1", "ai_usage", "application/cloudevents+json", event(1).body),
        BrokerMessage("2", "key_created", "application/cloudevents+json", event(2).body),
    ]
    await sender.close()
    assert publisher.closed


async def test_a_failure_is_of_all_and_says_why() -> None:
    publisher = MemoryPublisher()
    publisher.error = "blocked: low on disk"
    outcome = await BrokerSender(publisher, 1, Random(1)).send([event(1)])
    assert (outcome.sent, outcome.refused, outcome.error) == ([], [], "blocked: low on disk")


def test_pauses_grow_to_five_seconds() -> None:
    sender = BrokerSender(MemoryPublisher(), 1, Random(1))
    pauses = [sender.pause(failures, None) for failures in range(1, 30)]
    assert 0.08 <= pauses[0] <= 0.12
    assert 0.8 * LONGEST_PAUSE <= min(pauses[8:]) <= max(pauses) <= 1.2 * LONGEST_PAUSE


@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from([0, 10, BATCH_BYTES // 3, BATCH_BYTES])), max_size=30),
    st.integers(2, 9),
)
def test_a_batch_has_one_type_and_keeps_its_order(events: list[tuple[str, int]], most: int) -> None:
    waiting = [event(number, type_, size) for number, (type_, size) in enumerate(events)]
    made = list(messages(waiting, most))
    for type_ in TYPES:
        expected = [each.id for each in waiting if each.type == type_]
        assert [
            each["id"] for message in made if message.type == type_ for each in json.loads(message.body)
        ] == expected
    for message in made:
        inside = json.loads(message.body)
        assert 1 <= len(inside) <= most
        assert message.id == inside[0]["id"]
        assert message.content_type == "application/cloudevents-batch+json"
        assert len(inside) == 1 or len(message.body) <= BATCH_BYTES + 2 * most
