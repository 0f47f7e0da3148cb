"""GET /admin/events: server-sent events that keep a dashboard up to date.

The first event is ``hello``. Then come ``counters`` every second, ``state`` for each change of a breaker, ``request``
for exchanges that ended, ``budget`` for thresholds that were reached, and ``reload``. aiohttp-sse writes the head and
the heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp_sse import EventSourceResponse
from msgspec import Struct

from proxy.budgets.reports import BudgetThreshold
from proxy.control.activity.counters import CountersView
from proxy.control.activity.feed import Feed, Subscriber
from proxy.control.activity.publisher import StateEvent
from proxy.control.activity.request_views import RequestSummary
from proxy.control.http.operation import EVENT_STREAM, Operation
from proxy.control.http.responses import NO_STORE
from proxy.control.http.router import ControlRoute
from proxy.control.http.streaming import ReplyWriter, aiohttp_request
from proxy.control.live import ReloadResult
from proxy.errors import Overloaded
from proxy.server.request import Request

HEARTBEAT_SECS: Final = 15.0  # load balancers close a connection after 30 to 60 s of silence
_HEAD: Final = b"Content-Type: text/event-stream\r\nX-Content-Type-Options: nosniff\r\n" + NO_STORE
_HEADERS: Final = {"X-Content-Type-Options": "nosniff"}


class HelloEvent(Struct, rename="camel"):
    """The first event. ``resumed``: all events since ``Last-Event-ID`` follow; otherwise load the state anew.

    ``now`` is in Unix seconds.
    """

    version: str
    instance: str
    now: float
    resumed: bool


class EventStreamHandler:
    """``wall`` is the time in Unix seconds. ``flush`` publishes all that has ended before a subscriber joins.

    ``heartbeat``: seconds of silence after which a comment is sent.
    """

    def __init__(
        self,
        feed: Feed,
        version: str,
        wall: Callable[[], float],
        flush: Callable[[], None],
        heartbeat: float = HEARTBEAT_SECS,
    ) -> None:
        self._feed = feed
        self._version = version
        self._wall = wall
        self._flush = flush
        self._heartbeat = heartbeat

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "operator",
            "Stream what changes",
            media=(EVENT_STREAM,),
            errors=(503,),
            events={
                "hello": HelloEvent,
                "counters": CountersView,
                "state": StateEvent,
                "request": RequestSummary,
                "budget": BudgetThreshold,
                "reload": ReloadResult,
            },
            notes="Server-sent events with JSON data. `Last-Event-ID` resumes the stream while the events are kept.",
        )
        return (ControlRoute("GET", "/admin/events", "admin", self.stream, operation),)

    async def stream(self, request: Request) -> None:
        """Stream until the client disconnects or is 256 events behind, or the gateway stops."""
        if request.method == "HEAD":
            request.reply.send(200, _HEAD)
            return
        if self._feed.full:
            raise Overloaded("Too many dashboards are connected.", code="too_many_readers")
        subscriber = Subscriber(lambda: writer.drop())
        writer = ReplyWriter(request, subscriber.close)
        request.flow = writer
        try:
            await self._relay(request, subscriber, writer)
        except ConnectionResetError:
            pass  # it disconnected, or was too slow
        finally:
            self._feed.unsubscribe(subscriber)
            request.flow = None

    async def _relay(self, request: Request, subscriber: Subscriber, writer: ReplyWriter) -> None:
        response = EventSourceResponse(headers=_HEADERS, ping_interval=self._heartbeat, send_timeout=None)
        await response.prepare(aiohttp_request(request, writer))
        async with response:
            await response.write(self._subscribe(request.headers.get("Last-Event-ID", ""), subscriber))
            while frames := await subscriber.take():
                await response.write(frames)
        await response.write_eof()

    def _subscribe(self, last_id: str, subscriber: Subscriber) -> bytes:
        """Subscribe, and return the hello event with the events that were missed."""
        feed = self._feed
        self._flush()
        missed = feed.missed(last_id) if last_id and feed.active else None
        feed.subscribe(subscriber)
        hello = HelloEvent(self._version, feed.instance, round(self._wall(), 3), missed is not None)
        # Its id is that of the last event the client knows, so a disconnect right now resumes there.
        return b"".join([feed.frame("hello", hello, feed.number - len(missed or ())), *(missed or ())])
