"""GET /admin/events: what changes, as it changes, to every dashboard that is open.

``hello`` first; then ``counters`` every second, ``state`` for each change of a breaker, ``request`` for exchanges that
ended, ``reload``. The stream, its head and its heartbeat are aiohttp-sse's; what is written was encoded once for all.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp_sse import EventSourceResponse
from msgspec import Struct

from proxy.control.activity.feed import Feed, Reader
from proxy.control.http.replies import UNKEPT
from proxy.control.http.streaming import ReplyWriter, as_aiohttp
from proxy.errors import Overloaded
from proxy.server.connection import Request

HEARTBEAT = 15.0  # seconds; load balancers give up on 30 to 60 s of silence
_TYPE = b"Content-Type: text/event-stream\r\nX-Content-Type-Options: nosniff\r\n"
_LINES = {"X-Content-Type-Options": "nosniff"}


class Hello(Struct, rename="camel"):
    """The first event. ``resumed``: all that was missed since ``Last-Event-ID`` follows; else fetch anew.

    ``now`` in Unix seconds.
    """

    version: str
    instance: str
    now: float
    resumed: bool


class Events:
    """``wall`` tells Unix seconds; ``catch_up`` has told of all that ended before a reader joins; ``heartbeat`` is how
    many seconds of silence are broken by a comment."""

    def __init__(
        self,
        feed: Feed,
        version: str,
        wall: Callable[[], float],
        catch_up: Callable[[], None],
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._feed = feed
        self._version = version
        self._wall = wall
        self._catch_up = catch_up
        self._heartbeat = heartbeat

    async def stream(self, request: Request) -> None:
        """Until the client leaves, falls behind by 256 events, or the gateway stops."""
        if request.method == "HEAD":
            request.reply.send(200, _TYPE + UNKEPT)
            return
        if self._feed.full:
            raise Overloaded("As many dashboards as may be are connected.", code="too_many_readers")
        reader = Reader(lambda: writer.drop())
        writer = ReplyWriter(request, reader.end)
        request.flow = writer
        try:
            await self._relay(request, reader, writer)
        except ConnectionResetError:
            pass  # it left, or was too slow
        finally:
            self._feed.leave(reader)
            request.flow = None

    async def _relay(self, request: Request, reader: Reader, writer: ReplyWriter) -> None:
        response = EventSourceResponse(headers=_LINES, ping_interval=self._heartbeat, send_timeout=None)
        await response.prepare(as_aiohttp(request, writer))
        async with response:
            await response.write(self._greeting(request.headers.get("Last-Event-ID", ""), reader))
            while frames := await reader.take():
                await response.write(frames)
        await response.write_eof()

    def _greeting(self, last_id: str, reader: Reader) -> bytes:
        """The hello, and what was missed; from then on the reader hears everything."""
        feed = self._feed
        self._catch_up()
        missed = feed.missed(last_id) if last_id and feed.heard else None
        feed.join(reader)
        hello = Hello(self._version, feed.instance, round(self._wall(), 3), missed is not None)
        # Its id is that of what is known already, so that who is cut off now resumes there.
        return b"".join([feed.frame("hello", hello, feed.number - len(missed or ())), *(missed or ())])
