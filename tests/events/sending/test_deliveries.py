"""All deliveries together: what waits, what is left at the end, and the statuses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.database.address import Address
from proxy.events.base import EventReceiver
from proxy.events.outbox.base import OutboxUnavailable, Settlement
from proxy.events.sending.deliveries import Deliveries
from proxy.events.sending.opening import open_deliveries
from proxy.events.sending.status import ReceiverStatus
from proxy.events.settings import EventSettings, WebhookSettings
from tests.events.outbox.outboxes import AT, RECEIVER, insert, left
from tests.events.sending.rig import LogLines, SendingRig, rig_in
from tests.events.sending.test_broker import MemoryPublisher
from tests.ledger.recorder.databases import make_file
from tests.support import Upstream, json_answer
from tests.support.patience import until, within


@pytest.fixture
async def rig(tmp_path: Path) -> SendingRig:
    return await rig_in(tmp_path)


def all_of(rig: SendingRig, most_waiting: int = 1000) -> Deliveries:
    return Deliveries([rig.delivery], [rig.memory], rig.outbox, MemoryPublisher(), most_waiting, rig.clock.clocks)


async def test_the_status_of_a_receiver(rig: SendingRig) -> None:
    deliveries = all_of(rig)
    assert deliveries.statuses() == (ReceiverStatus(RECEIVER, True, AT, held=False),)
    rig.memory.error = "status 500"
    await insert(rig.where, "a", "b", at=AT - 50)
    await insert(rig.where, "c")
    await rig.step(2)
    await deliveries.count()
    [status] = deliveries.statuses()
    assert not status.up
    assert status == ReceiverStatus(RECEIVER, False, status.since, 3, 56.0, 0, 2, 0, "status 500", True)
    rig.memory.error = ""
    await rig.until_empty()
    await deliveries.count()
    [status] = deliveries.statuses()
    assert (status.up, status.waiting, status.oldest_secs, status.sent) == (True, 0, 0.0, 3)


async def test_it_is_full_until_there_is_some_room(rig: SendingRig) -> None:
    deliveries = all_of(rig, most_waiting=20)
    await insert(rig.where, *map(str, range(20)))
    assert not deliveries.full
    await deliveries.count()
    assert deliveries.full
    found = await rig.outbox.take(RECEIVER, AT, 1)
    await rig.outbox.settle(RECEIVER, Settlement(AT, [each.seq for each in found]))
    await deliveries.count()
    assert deliveries.waiting == 19
    assert deliveries.full
    await rig.step()
    await deliveries.count()
    assert not deliveries.full


async def test_dead_events_are_bounded_too(rig: SendingRig) -> None:
    deliveries = all_of(rig, most_waiting=3)
    await insert(rig.where, *map(str, range(5)))
    await rig.outbox.give_up(RECEIVER, AT, AT + 1, "old")
    await deliveries.count()
    assert [id_ for id_, *_ in await left(rig.where)] == ["2", "3", "4"]
    assert not deliveries.full


async def test_the_end_waits_for_what_can_be_sent(rig: SendingRig) -> None:
    deliveries = all_of(rig)
    await insert(rig.where, *map(str, range(12)))
    assert not deliveries.finished(rig.clock.now())
    await rig.step()
    assert not deliveries.finished(0.0)
    await rig.until_empty()
    assert deliveries.finished(0.0)


async def test_the_end_does_not_wait_for_a_receiver_that_takes_nothing(rig: SendingRig) -> None:
    deliveries = all_of(rig)
    rig.memory.error = "status 500"
    await insert(rig.where, "a")
    await rig.delivery.step()
    assert not deliveries.finished(0.0)
    rig.clock.advance(5.0)
    assert deliveries.finished(0.0)
    assert not deliveries.finished(rig.clock.now())


async def test_a_receiver_of_another_process_is_its_concern(rig: SendingRig) -> None:
    await insert(rig.where, "a")
    await rig.outbox.hold(RECEIVER, "another", 30.0)
    await rig.delivery.step()
    assert all_of(rig).finished(rig.clock.now())


async def test_without_an_outbox_the_last_counts_stay(rig: SendingRig) -> None:
    deliveries = all_of(rig)
    await insert(rig.where, "a")
    await deliveries.count()
    Path(rig.where.target).rename(rig.where.target + ".away")  # noqa: ASYNC240
    with pytest.raises(OutboxUnavailable):
        await deliveries.count()
    assert deliveries.waiting == 1


async def test_it_runs_as_it_is_configured(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await make_file(path)
    where = Address("sqlite", str(path))
    async with Upstream() as there:
        there.on(lambda request: json_answer({}))
        settings = EventSettings(
            receivers=(EventReceiver("webhook:a"), EventReceiver("webhook:b")),
            webhooks=(
                WebhookSettings("webhook:a", there.origin + "/a"),
                WebhookSettings("webhook:b", there.origin + "/b"),
            ),
            proxies={"NO_PROXY": "*"},
        )
        deliveries = open_deliveries(settings, where, "one", LogLines())
        deliveries.start()
        await insert(where, "evt_1", receiver="webhook:a")
        await insert(where, "evt_2", receiver="webhook:b")
        deliveries.wake()
        await within(there.request(1), "two events")
        await until(lambda: sum(each.sent for each in deliveries.statuses()) == 2, "both to be settled")
        await within(deliveries.close(), "the end")
    assert sorted((each.target, each.header("webhook-id")) for each in there.requests) == [
        ("/a", "evt_1"),
        ("/b", "evt_2"),
    ]
    assert deliveries.dead_letters == -1


async def test_dead_letters_of_the_broker_are_counted(rig: SendingRig) -> None:
    rig.clock.sleep = _forever  # type: ignore[assignment, method-assign]
    rig.delivery = rig.other(rig.outbox, "one")
    deliveries = all_of(rig)
    deliveries.start()
    await until(lambda: deliveries.dead_letters == 3, "the count")
    await within(deliveries.close(), "the end")
    assert rig.memory.closed


async def _forever(seconds: float) -> None:
    await asyncio.Event().wait()
