"""One try on one deployment: connect, send, hear the answer, under six clocks.

The attempt stands between two sockets. From the provider's it hears ``head``, ``end`` and ``broken``; from
the client's ``pause``, ``resume`` and ``client_gone``; whichever speaks last settles ``run``'s future. The body
itself flows past it, from the connection to the relay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from proxy.client.connection import UpstreamConnection
from proxy.client.dial import Origin
from proxy.client.head import Head
from proxy.client.pool import Pool
from proxy.dialects.base import Mark, Reader
from proxy.dialects.table import OPAQUE
from proxy.errors import (
    BrokenAnswer,
    ClientGone,
    ClockExpired,
    ConnectionBroken,
    GatewayError,
)
from proxy.exchange import Exchange
from proxy.net import headers as policy
from proxy.net.budget import Budget
from proxy.net.clocks import NEVER, Ticker, Watch
from proxy.net.codings import CODINGS
from proxy.net.inflating import Inflating
from proxy.relay.collect import Answer, Body, Collector, ErrorCollector, ErrorPipe, Pipe
from proxy.relay.events import EventRelay
from proxy.relay.sniff import Sniffer, may_be_events
from proxy.relay.upstream_request import Segments, UpstreamRequest, overheard
from proxy.routing.catalog import Deployment
from proxy.server.connection import Request
from proxy.server.form import slices
from proxy.server.outlet import Outlet

PING_EVERY = 15.0
DRAIN_SECS = 120.0  # how long an answer is read on for its usage after the client left
# Below this it is cheaper to copy the pieces of a request together than to hand them over one by one.
JOIN_BELOW = 64 * 1024
BIG_BODY = 1024 * 1024
MAX_ERROR = 64 * 1024  # bytes of an error that a provider tells; a longer one is told in our words
AFTER_DONE_SECS = 5.0  # how long a provider may keep the connection open after [DONE]


class Counters(Protocol):
    """The counters that an attempt moves."""

    possible_double_executions: int
    dropped_events: int


class TransportContext(Struct, frozen=True):
    """What all attempts of the process share."""

    loop: asyncio.AbstractEventLoop
    ticker: Ticker
    pool: Pool
    budget: Budget
    counters: Counters
    max_answer: int
    ping_after: float
    ping_every: float


class UpstreamCall:
    """``run`` it once, as the request's flow, and ``finish`` it, whatever came of it. It is the upstream's sink
    and the clocks' subject, too.

    ``reply`` takes the answer: the request's own, or one that holds it back.
    """

    __slots__ = (
        "_ask",
        "_body",
        "_connection",
        "_context",
        "_deployment",
        "_detached",
        "_dialling",
        "_exchange",
        "_head",
        "_inflating",
        "_outcome",
        "_reader",
        "_reply",
        "_request",
        "_uploading",
        "_watch",
        "headed_at",
        "origin",
        "sent_at",
        "waited",
    )

    due: Final = 0.0  # for the ticker: most answers are whole before the first tick, which makes the watch

    def __init__(
        self,
        context: TransportContext,
        request: Request,
        exchange: Exchange,
        deployment: Deployment,
        origin: Origin,
        ask: UpstreamRequest,
        reply: Outlet,
    ) -> None:
        self._context = context
        self._request = request
        self._reply = reply
        self._exchange = exchange
        self._deployment = deployment
        self._ask = ask
        self.origin = origin
        self._head: Head | None = None
        self._connection: UpstreamConnection | None = None
        self._body: Body | None = None
        self._reader: Reader | None = None
        self._inflating: Inflating | None = None
        self._watch: Watch | None = None
        self._outcome: asyncio.Future[Answer | None] | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._uploading: asyncio.Task[None] | None = None
        self._detached = False  # the client left and the answer is read on for its usage
        self.sent_at: float | None = None  # when there was a connection
        self.headed_at: float | None = None  # when the head of the answer came
        self.waited = 0.0  # of the clock that ran when it was cut short, how much had passed without an event, 0 to 1

    def __repr__(self) -> str:
        return f"<Attempt {self._deployment.provider.name} {self._head!r} {self._connection!r}>"

    def run(self) -> Awaitable[Answer | None]:
        """The collected answer, or ``None`` when it went to the client as it came.

        Raises UpstreamFault while another attempt may still be made, ClientGone, or whatever ``interrupt`` brought.
        """
        if self._request.gone:
            raise ClientGone  # it left while no flow was there to be told
        context = self._context
        self._outcome = outcome = context.loop.create_future()
        now = context.loop.time()
        connection = context.pool.take(self.origin, now)
        if connection is None:
            self._dial()
        else:
            self._begin(connection, now)
        return outcome if self._ask.upload is None else self._uploaded(outcome)

    def finish(self) -> None:
        """It is over, or nobody wants it any more."""
        if self._connection is not None:
            if self._watch is not None and not self._detached:
                self.waited = self._watch.waited()
            self._leave(self._connection)
        if self._dialling is not None:
            self._dialling.cancel()
        if self._uploading is not None:
            self._uploading.cancel()
            self._uploading = None  # its frame knows us, and the request's body
        if self._ask.size > JOIN_BELOW:
            self._ask.forget()  # the traceback of a fault keeps us until the next collection
        if self._body is not None:
            self._finish_body(self._body)

    def _finish_body(self, body: Body) -> None:
        """It was not handed over whole in one read: a decoder and a reader may stand beside it."""
        if self._inflating is not None:
            self._inflating.stop()
        body.release()
        self._body = None  # it knows us: without this each request would leave a cycle to the collector
        reader = self._reader
        if reader is not None:
            exchange = self._exchange
            exchange.usage = reader.usage
            exchange.response_model = reader.response_model
            exchange.lenient_events += reader.lenient

    # -- driving ----------------------------------------------------------------------------------

    def _dial(self) -> None:
        self._dialling = self._context.loop.create_task(self._connect())

    async def _connect(self) -> None:
        """Begin on a new connection; a task of its own, for it can be given up while the request goes on."""
        outcome = self._outcome
        assert outcome is not None
        try:
            connection = await self._open()
            if outcome.done():
                self._context.pool.release(connection)
            else:
                self._begin(connection, self._context.loop.time())
        except asyncio.CancelledError:
            outcome.cancel()  # unless it is known already why
            raise
        except Exception as fault:
            self._settle(fault)
        finally:
            self._dialling = None

    async def _open(self) -> UpstreamConnection:
        ask = self._ask
        clocks = ask.asker.clocks
        left = ask.asker.deadline - self._context.loop.time()
        if left <= 0:
            raise ClockExpired("deadline", 0.0)
        timeout = min(filter(None, (clocks.connect, clocks.total, left if left < NEVER else 0.0)), default=0.0)
        try:
            return await self._context.pool.open(self.origin, timeout)
        except ClockExpired as fault:
            if timeout == clocks.connect:
                raise
            raise ClockExpired("deadline" if timeout == left else "total", timeout, detail=fault.detail) from None

    def _begin(self, connection: UpstreamConnection, now: float) -> None:
        """Send the request; its body in a task of its own if that takes time."""
        ask = self._ask
        self._connection = connection
        self.sent_at = now
        head = ask.head if connection.forwarding is None else connection.forwarding.apply(ask.head)
        source: AsyncIterator[bytes | memoryview] | None = ask.upload
        if ask.size < JOIN_BELOW:
            segments: Segments = (b"".join((head, *ask.body)),)
        elif ask.size <= BIG_BODY:
            segments = (head, *ask.body)
        else:
            segments, source = (head,), slices(ask.body)
        connection.send(segments, self, now, ask.no_body)
        self._context.ticker.add(self)
        if source is not None:
            # Beside the answer: a provider that refuses early is heard while the client still uploads.
            connection.sending = True
            self._uploading = self._context.loop.create_task(self._upload(source, connection))

    def _leave(self, connection: UpstreamConnection) -> None:
        """Its answer will not come, or not to its end."""
        self._connection = None
        self._stop_clocks()
        if connection.sink is self or (self._inflating is not None and self._inflating.at_end):
            connection.abort()

    def _may_repeat(self, fault: GatewayError) -> bool:
        """Whether a kept-alive connection died under a request that the provider never saw."""
        connection, outcome = self._connection, self._outcome
        return (
            isinstance(fault, ConnectionBroken)
            and not fault.heard
            and self._ask.asker.replayable
            and connection is not None
            and connection.uses > 1
            and outcome is not None
            and not outcome.done()
        )

    def _repeat(self) -> None:
        assert self._connection is not None
        self._leave(self._connection)
        if self._uploading is not None:
            self._uploading.cancel()
        self._context.counters.possible_double_executions += 1
        self._dial()

    async def _uploaded(self, outcome: asyncio.Future[Answer | None]) -> Answer | None:
        """The same outcome, but not before the upload has let go of the client's body: nobody else may read it."""
        try:
            return await outcome
        finally:
            uploading = self._uploading
            self.finish()
            if uploading is not None:
                await asyncio.wait((uploading,))

    async def _upload(self, source: AsyncIterator[bytes | memoryview], connection: UpstreamConnection) -> None:
        try:
            async for piece in source:
                connection.write(piece)
                await connection.drain()
        except (GatewayError, ClientGone) as reason:
            self.interrupt(reason)
        except Exception as mistake:
            connection.abort()
            self._settle(mistake)
        else:
            connection.sending = False

    # -- the provider's side (Sink) ---------------------------------------------------------------

    def head(self, head: Head) -> Callable[[bytes], None]:
        connection = self._connection
        assert connection is not None
        self.headed_at = connection.last_read
        self._head = head
        if head.suspect:
            head.change(self._deployment.provider.redact.value)
        if self._watch is not None:
            self._watch.head_seen()
        self._body = body = self._body_for(head)
        if body is None:
            return self._take
        if not head.coding or self._exchange.endpoint.dialect == OPAQUE:
            return body.feed
        return self._inflate(head.coding, body.feed)

    def end(self) -> None:
        connection, body, outcome, inflating = self._connection, self._body, self._outcome, self._inflating
        assert connection is not None
        if inflating is not None and inflating.busy:
            inflating.at_end = True  # we hear of it again when the rest is decoded, and keep the connection so long
            return
        # From the release on the connection may be somebody else's, and no clock has anything to say.
        self._connection = None
        self._stop_clocks()
        try:
            if inflating is not None and inflating.cut:
                self.broken(BrokenAnswer("The provider's compressed answer is cut off."))
            elif body is not None:
                body.end()
            elif outcome is not None and not outcome.done():
                self.collected(b"")  # its head told a length, yet it is one that has no body
        except GatewayError as fault:
            self.broken(fault)
        if connection.paused:
            connection.resume_reading()
        self._context.pool.release(connection)

    def broken(self, fault: GatewayError) -> None:
        if self._inflating is not None:
            self._inflating.stop()
        if self._body is not None and self._body.committed and not self._detached:
            self._body.broken(fault)
        elif self._may_repeat(fault):
            self._repeat()
        else:
            self._settle(fault)

    # -- the decoder's side -----------------------------------------------------------------------

    def inflating(self) -> None:
        if self._connection is not None:
            self._connection.pause_reading()

    def inflated(self) -> None:
        if self._inflating is not None and self._inflating.at_end:
            self.end()
        elif self._connection is not None:
            self._connection.resume_reading()

    def undecodable(self, fault: GatewayError) -> None:
        if self._connection is not None:
            self._connection.abort()
        self.broken(fault)

    # -- the body's side --------------------------------------------------------------------------

    def commit(self) -> bytes:
        """The content commit."""
        exchange = self._exchange
        if exchange.first_content is None:
            exchange.first_content = self._context.loop.time()
        ask = self._ask
        ask.asker.committed()
        if self._connection is not None:
            self._watching().committed()
        # The request will not be sent again: a stream of an hour need not hold it.
        ask.forget()
        if self._request.writing_paused:
            self.pause()
        head = self._head
        assert head is not None
        opaque = exchange.endpoint.dialect == OPAQUE
        return ask.asker.header_lines(head.kind, policy.to_client(head.headers, opaque=True) if opaque else head.lines)

    def collected(self, body: bytes) -> None:
        head = self._head
        assert head is not None
        outcome = self._outcome
        if outcome is not None and not outcome.done():
            outcome.set_result(Answer(head.status, head.headers, head.kind, body, head.lines))

    def concluding(self) -> None:
        if self._connection is not None:
            self._watching().bound(AFTER_DONE_SECS)

    def epilogue(self) -> bytes:
        return self._ask.asker.epilogue()

    def delivered(self) -> None:
        self._settle(None)

    def cut(self, fault: GatewayError) -> None:
        self._exchange.outcome = "broken"
        self._exchange.error = fault.code or ""
        self._exchange.error_detail = fault.detail
        self._exchange.fault = fault
        self._settle(None)

    def redacted(self, block: bytes) -> bytes:
        return self._deployment.provider.redact.body(block)

    def dropped(self, mark: Mark) -> None:
        self._context.counters.dropped_events += 1
        self._exchange.dropped_events += 1

    # -- the client's side (Flow) -----------------------------------------------------------------

    def pause(self) -> None:
        if self._connection is not None and not self._detached:
            self._connection.pause_reading()
            self._watching().pause()
            if self._inflating is not None:
                self._inflating.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._watching().resume()
            self._read_again()

    def client_gone(self) -> None:
        if isinstance(self._body, EventRelay) and self._body.complete:
            self._body.concluded()  # SDKs close the connection right after [DONE], or an error
            self.interrupt(None)
        elif self._deployment.provider.settings.on_disconnect == "drain" and self._is_sent():
            self._read_on()
        else:
            self.interrupt(ClientGone())

    def interrupt(self, reason: BaseException | None) -> None:
        """End the attempt from outside: in-band if the answer has begun, else by raising ``reason`` from ``run``."""
        connection = self._connection
        if connection is not None:
            connection.abort()
        if self._dialling is not None:
            self._dialling.cancel()
        if self._outcome is None or self._outcome.done():
            return  # the answer ended in this very turn of the loop, and who awaits it has yet to wake up
        if isinstance(reason, GatewayError):
            self.broken(reason)
        else:
            self._settle(reason)

    @property
    def unsent(self) -> int:
        return self._request.unsent

    @property
    def last_read(self) -> float:
        return self._connection.last_read if self._connection is not None else 0.0

    @last_read.setter
    def last_read(self, moment: float) -> None:
        if self._connection is not None:
            self._connection.last_read = moment

    # -- inside -----------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """The first tick: from now on a watch stands for us."""
        self._watching().look(now)

    def _watching(self) -> Watch:
        """The watch over the running request, made when first something is wanted of it."""
        watch = self._watch
        if watch is None:
            context, asker = self._context, self._ask.asker
            context.ticker.discard(self)
            self._watch = watch = Watch(context.ticker, asker.clocks, self, self._expired, self.sent_at)
            if asker.pings and context.ping_after:
                watch.ping_with(self._ping, self._exchange.began + context.ping_after, context.ping_every)
            if asker.deadline < NEVER:
                watch.commit_before(asker.deadline)
            if self._head is not None:
                watch.head_seen()
        return watch

    def _stop_clocks(self) -> None:
        watch = self._watch
        if watch is None:
            self._context.ticker.discard(self)
        else:
            self._watch = None
            watch.stop()

    def _body_for(self, head: Head) -> Body | None:
        """``None`` for a body that is collected and may come in one piece: ``_take`` sees whether it does."""
        endpoint, status = self._exchange.endpoint, head.status
        if endpoint.dialect == OPAQUE:
            if status >= 400 and not head.coding:
                return ErrorPipe(self, self._reply, status, head.length, MAX_ERROR, self.redacted)
            return Pipe(self, self._reply, status, head.length)
        most = MAX_ERROR
        if status < 400:
            most = self._context.max_answer
            if status >= 300:
                raise BrokenAnswer(
                    "The provider redirected the request; redirects are not followed.", code="upstream_redirect"
                )
            asked = self._exchange.stream
            if head.kind == b"text/event-stream":
                if not asked and endpoint.body == endpoint.answer == "json":
                    raise BrokenAnswer("The provider sent an event stream that was not asked for.")
                return self._relay()
            if asked and may_be_events(head.kind, endpoint):
                return Sniffer(self._sniffed)
            if endpoint.answer != "json" and not head.kind.endswith((b"/json", b"+json")):
                return Pipe(self, self._reply, status, None if head.coding else head.length)
        length = None if head.coding else head.length
        if length and length <= most:
            return None
        return self._collector(length)

    def _sniffed(self, events: bool) -> Body:
        """The body of an answer whose first bytes said what it is, if not by its media type."""
        head = self._head
        assert head is not None
        if events:
            self._head = head.as_events()
            body: Body = self._relay()
        else:
            body = self._collector(None if head.coding else head.length)
        self._body = body
        return body

    def _collector(self, length: int | None) -> Collector:
        context, head = self._context, self._head
        assert head is not None
        if head.status >= 400:
            return ErrorCollector(self, self._reply, head.status, length, MAX_ERROR, context.budget)
        return Collector(self, self._reply, head.status, length, context.max_answer, context.budget)

    def _take(self, chunk: bytes) -> None:
        """The body of a JSON answer of known length. Most come whole, and are handed over without being held."""
        body = self._body
        if body is None:
            head = self._head
            assert head is not None
            if len(chunk) == head.length:
                self.collected(chunk)
                return
            self._body = body = self._collector(head.length)
        body.feed(chunk)

    def _relay(self) -> EventRelay:
        ask, connection = self._ask, self._connection
        assert connection is not None
        self._reader = reader = ask.asker.reader()
        listener = ask.asker.listener
        hook = None if listener is None else overheard(listener, reader)
        return EventRelay(self, connection, self._reply, self._exchange, reader, hook)

    def _inflate(self, coding: str, feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """We asked for identity; a provider that compresses all the same is decoded."""
        if coding not in CODINGS:
            raise BrokenAnswer("The provider's answer is compressed in a way that was not asked for.", detail=coding)
        self._inflating = inflating = Inflating(coding, feed, self, self._context.loop)
        return inflating.feed

    def _read_again(self) -> None:
        """Go on with what is decoded, and read more when nothing of it is left."""
        inflating = self._inflating
        if inflating is not None:
            inflating.resume()
        if self._connection is not None and (inflating is None or not inflating.busy):
            self._connection.resume_reading()

    def _ping(self) -> None:
        outcome = self._outcome
        if self._detached or self._request.gone or outcome is None or outcome.done():
            return  # once it is done, another attempt's answer may have ended in this turn of the loop
        body, asker = self._body, self._ask.asker
        if body is not None and (body.committed or not isinstance(body, EventRelay)):
            body.ping()
        elif asker.pings and (body is not None or self._head is None):  # JSON that is to come has no room for one
            asker.ping()

    def _is_sent(self) -> bool:
        """Whether the provider has the whole request: half of one is worth no answer."""
        return self._connection is not None and not self._connection.sending

    def _read_on(self) -> None:
        """The client left; the answer is read to its end for the usage, within bounds."""
        self._detached = True
        self._reply.detach()
        if self._connection is not None:
            self._connection.on_frame = None  # which goes past the reply
            watch = self._watching()
            self.waited = watch.waited()
            watch.resume()
            watch.read_on(DRAIN_SECS)
            self._read_again()

    def _expired(self, clock: str, seconds: float) -> None:
        if clock == "clientStall":
            self._exchange.error = "timeout_clientStall"
            self._request.reply.abort()
            self.interrupt(ClientGone())
        else:
            self.interrupt(ClockExpired(clock, seconds))

    def _settle(self, result: Answer | BaseException | None) -> None:
        outcome = self._outcome
        if outcome is None or outcome.done():
            return
        if self._detached and not isinstance(result, Answer):
            result = ClientGone()
        if isinstance(result, BaseException):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)
