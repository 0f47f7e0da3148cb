"""The event stream over real sockets: hello, heartbeat, resuming, slow clients, the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from proxy.control.activity import feed as module
from proxy.control.activity.event_stream import EventStreamHandler
from proxy.control.activity.feed import BACKLOG, Feed
from proxy.control.http.router import ControlRoute
from tests.control.server import BEARER, ControlServer
from tests.support import RawClient, until
from tests.support.clock import MIDNIGHT

LARGE = "x" * 20_000


class FeedServer(ControlServer):
    """A feed to which only the test publishes."""

    def __init__(self, *, heartbeat: float = 1000.0) -> None:
        self._heartbeat = heartbeat
        super().__init__(lambda plane: self._routes())

    def _routes(self) -> Sequence[ControlRoute]:
        self.feed = Feed("abc", self.clock.now)
        return EventStreamHandler(self.feed, "1.2.3", self.clock.wall, self.catch_up, self._heartbeat).routes()

    async def watch(self, last: str = "", **options: Any) -> RawClient:
        """A client that has read the head."""
        client = await RawClient(self.port, **options).connect()
        self._clients.append(client)
        await client.request("GET", "/admin/events", [BEARER, *([("Last-Event-ID", last)] if last else [])])
        head = await client.read_head()
        assert (head.status, head.header("content-type")) == (200, "text/event-stream")
        return client


@pytest.fixture
async def plane() -> AsyncIterator[FeedServer]:
    async with FeedServer() as plane:
        yield plane


async def event(client: RawClient) -> tuple[str, str, Any]:
    """Id, name and decoded value of the next event."""
    block = (await client.read_event()).decode()
    fields = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
    return fields["id"], fields["event"], json.loads(fields["data"])


async def test_the_head_disables_buffering_by_proxies(plane: FeedServer) -> None:
    client = await plane.client()
    await client.request("GET", "/admin/events", [BEARER])
    head = await client.read_head()
    assert head.header("cache-control") == "no-cache"
    assert head.header("x-accel-buffering") == "no"
    assert head.header("x-content-type-options") == "nosniff"
    assert head.header("transfer-encoding") == "chunked"
    assert head.header("server") is None


async def test_the_first_event_is_hello(plane: FeedServer) -> None:
    client = await plane.watch()
    id_, name, hello = await event(client)
    assert (id_, name) == ("abc-1", "hello")
    assert hello == {"version": "1.2.3", "instance": "abc", "now": MIDNIGHT, "resumed": False}


async def test_every_subscriber_gets_each_event(plane: FeedServer) -> None:
    clients = [await plane.watch() for _ in range(5)]
    for client in clients:
        await event(client)
    for number in range(3):
        plane.feed.publish("counters", {"requests": number})
        for client in clients:
            assert await event(client) == (f"abc-{number + 2}", "counters", {"requests": number})


async def test_last_event_id_resumes_the_stream(plane: FeedServer) -> None:
    client = await plane.watch()
    await event(client)
    plane.feed.publish("x", 1)
    last, _, _ = await event(client)
    client.close()
    await until(lambda: not len(plane.feed), "the subscriber to be gone")
    plane.feed.publish("x", 2)
    plane.feed.publish("x", 3)
    again = await plane.watch(last)
    id_, _, hello = await event(again)
    assert (id_, hello["resumed"]) == (last, True)
    assert [await event(again) for _ in range(2)] == [("abc-3", "x", 2), ("abc-4", "x", 3)]
    plane.feed.publish("x", 4)
    assert await event(again) == ("abc-5", "x", 4)


async def test_an_unknown_last_event_id_does_not_resume(plane: FeedServer) -> None:
    client = await plane.watch("abc-1")
    assert (await event(client))[2]["resumed"] is False
    other = await plane.watch("another-process-7")
    assert (await event(other))[2]["resumed"] is False


async def test_a_heartbeat_is_sent_during_silence() -> None:
    async with FeedServer(heartbeat=0.01) as plane:
        client = await plane.watch()
        await event(client)
        assert [await client.read_event() for _ in range(3)] == [b": ping\r\n\r\n"] * 3


async def test_a_slow_client_is_disconnected_and_others_get_every_event(plane: FeedServer) -> None:
    slow = await plane.watch(receive_buffer=4096)
    quick = await plane.watch()
    await event(quick)
    sent = 0
    while len(plane.feed) == 2:
        plane.feed.publish("x", LARGE)
        sent += 1
        assert (await event(quick))[2] == LARGE
        assert sent < 5000, "it is buffered for without end"
    assert sent > BACKLOG
    received = await slow.eof()
    assert not received.endswith(b"0\r\n\r\n"), "an aborted stream must not look complete"
    plane.feed.publish("x", "after")
    assert (await event(quick))[2] == "after"


async def test_a_disconnected_client_is_unsubscribed(plane: FeedServer) -> None:
    client = await plane.watch()
    await event(client)
    assert len(plane.feed) == 1
    client.reset()
    await until(lambda: not len(plane.feed), "the subscriber to be gone")


async def test_a_stop_ends_the_stream_cleanly(plane: FeedServer) -> None:
    client = await plane.watch()
    await event(client)
    plane.feed.close()
    assert await client.read_event() == b""
    assert (await client.fetch("GET", "/admin/nothing", headers=[BEARER])).status == 404  # the connection goes on


async def test_too_many_subscribers_are_a_503(plane: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SUBSCRIBERS", 1)
    client = await plane.watch()
    await event(client)
    answer = await plane.ask("GET", "/admin/events")
    assert (answer.status, answer.json["error"]["code"]) == (503, "too_many_readers")


async def test_head_gets_a_response_at_once(plane: FeedServer) -> None:
    answer = await plane.ask("HEAD", "/admin/events")
    assert (answer.status, answer.header("content-type")) == (200, "text/event-stream")
    assert len(plane.feed) == 0


async def test_an_http_1_0_client_reads_until_the_connection_closes(plane: FeedServer) -> None:
    client = await plane.client()
    await client.send(f"GET /admin/events HTTP/1.0\r\nHost: localhost\r\n{': '.join(BEARER)}\r\n\r\n".encode())
    head = await client.read_head()
    assert (head.header("transfer-encoding"), head.header("connection")) == (None, "close")
    assert (await event(client))[1] == "hello"
    plane.feed.close()
    assert await client.read_event() == b""


async def test_the_stream_requires_the_admin(plane: FeedServer) -> None:
    assert (await plane.fetch("GET", "/admin/events")).status == 401
    assert len(plane.feed) == 0


async def test_subscribers_leave_no_task_behind(plane: FeedServer) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(10):
        client = await plane.watch()
        await event(client)
        client.close()
    await until(lambda: not len(plane.feed) and len(asyncio.all_tasks()) == before, "the tasks to end")
