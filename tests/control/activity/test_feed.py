"""Events for many subscribers: encoded once, resumed from a bounded backlog, without waiting for any."""

from __future__ import annotations

import pytest

from proxy.control.activity.feed import BACKLOG, LINGER_SECS, Feed, Subscriber
from tests.support.clock import FakeClock


class CountingSubscriber(Subscriber):
    """Counts how often it was dropped."""

    def __init__(self) -> None:
        self.drops = 0
        super().__init__(self._count)

    def _count(self) -> None:
        self.drops += 1


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def feed(clock: FakeClock) -> Feed:
    return Feed("abc", clock.now)


def subscribed(feed: Feed) -> CountingSubscriber:
    subscriber = CountingSubscriber()
    feed.subscribe(subscriber)
    return subscriber


async def test_an_event_is_encoded_with_its_number(feed: Feed) -> None:
    subscriber = subscribed(feed)
    feed.publish("counters", {"requests": 3})
    assert await subscriber.take() == b'id: abc-2\r\nevent: counters\r\ndata: {"requests":3}\r\n\r\n'


async def test_an_event_is_encoded_once_for_all_subscribers(feed: Feed) -> None:
    subscribers = [subscribed(feed) for _ in range(5)]
    feed.publish("x", 1)
    frames = {id(subscriber._waiting[0]) for subscriber in subscribers}
    assert len(frames) == 1


async def test_take_returns_all_waiting_events(feed: Feed) -> None:
    subscriber = subscribed(feed)
    feed.publish("x", 1)
    feed.publish("x", 2)
    assert (await subscriber.take()).count(b"event: x") == 2


async def test_with_nobody_there_nothing_is_made(feed: Feed) -> None:
    feed.publish("x", object())  # which JSON does not know
    assert (feed.active, feed.number) == (False, 0)


async def test_only_a_slow_subscriber_is_dropped(feed: Feed) -> None:
    slow, quick = subscribed(feed), subscribed(feed)
    for number in range(BACKLOG + 1):
        feed.publish("x", number)
        assert await quick.take()
    assert (slow.drops, slow.closed, quick.drops) == (1, True, 0)
    assert await slow.take() == b""
    feed.unsubscribe(slow)
    assert len(feed) == 1


async def test_missed_events_are_returned(feed: Feed) -> None:
    subscriber = subscribed(feed)
    feed.publish("x", 1)
    feed.unsubscribe(subscriber)
    feed.publish("x", 2)
    feed.publish("x", 3)
    missed = feed.missed("abc-2")
    assert missed is not None
    assert [each.split(b"\r\n")[2] for each in missed] == [b"data: 2", b"data: 3"]
    assert feed.missed("abc-4") == []


@pytest.mark.parametrize(
    "last", ["", "2", "abc-", "other-2", "abc-x", "abc-99", "abc--1", "abc-²", "abc-" + "9" * 5000]
)
async def test_an_invalid_id_returns_nothing(last: str, feed: Feed) -> None:
    subscribed(feed)
    feed.publish("x", 1)
    assert feed.missed(last) is None


async def test_the_backlog_is_bounded(feed: Feed) -> None:
    subscriber = subscribed(feed)
    for number in range(BACKLOG + 10):
        feed.publish("x", number)
        await subscriber.take()
    assert feed.missed(f"abc-{feed.number - BACKLOG}") is not None
    assert feed.missed(f"abc-{feed.number - BACKLOG - 1}") is None


async def test_events_are_collected_for_a_minute_after_the_last_subscriber_left(feed: Feed, clock: FakeClock) -> None:
    feed.unsubscribe(subscribed(feed))
    clock.advance(LINGER_SECS - 1)
    feed.publish("x", 1)
    assert feed.missed("abc-1") != []
    clock.advance(2)
    feed.publish("x", 2)
    assert feed.number == 2


async def test_a_gap_in_the_events_is_noticed(feed: Feed, clock: FakeClock) -> None:
    feed.unsubscribe(subscribed(feed))
    before = f"abc-{feed.number}"
    clock.advance(LINGER_SECS + 1)
    feed.publish("x", "lost")
    subscribed(feed)
    feed.publish("x", "received")
    assert feed.missed(before) is None


async def test_close_ends_subscribers_after_their_waiting_events(feed: Feed) -> None:
    subscribers = [subscribed(feed), subscribed(feed)]
    feed.publish("x", 1)
    feed.close()
    feed.publish("x", 2)
    for subscriber in subscribers:
        assert b"data: 1\r\n\r\n" in await subscriber.take()
        assert await subscriber.take() == b""
