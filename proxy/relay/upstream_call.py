"""One upstream call: a request on one connection, sent again if a kept-alive connection was dead.

The call connects, sends, and sets the result of ``run``. An ``AnswerPump`` (pump.py) handles the answer, a ``Watch``
(call_clocks.py) the timeouts, ``upload`` (upload.py) a body that takes time to send. Each is made when it is first
needed. The usual answer, JSON that arrives in one read, needs none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import ClassVar, Final

from msgspec import Struct

from proxy.client.connection import UpstreamConnection
from proxy.client.dial import Origin
from proxy.client.head import Head
from proxy.errors import ClientGone, ConnectionBroken, GatewayError
from proxy.exchange import Exchange
from proxy.net.clocks import Watch
from proxy.relay.body import CollectedAnswer
from proxy.relay.call_clocks import AFTER_DONE_SECS, DRAIN_SECS, watch_call
from proxy.relay.connect import connect
from proxy.relay.context import TransportContext
from proxy.relay.pump import AnswerPump
from proxy.relay.upload import upload
from proxy.relay.upstream_request import Segments, UpstreamRequest
from proxy.routing.endpoints import OPAQUE
from proxy.server.form import slices
from proxy.server.outlet import Outlet
from proxy.server.request import Request

# Below this size, joining the pieces of a request is cheaper than writing them one by one.
JOIN_BELOW: Final = 64 * 1024
BIG_BODY: Final = 1024 * 1024


class UpstreamCall(Struct, eq=False):
    """The request's flow, and the connection's sink. Call ``run`` once, and then always ``finish``.

    ``outlet`` gets the answer: it is the client's reply, or an outlet that replaces it.
    """

    due: ClassVar[float] = 0.0  # for the ticker, which checks the call until it has a watch

    context: TransportContext
    request: Request
    exchange: Exchange
    origin: Origin
    upstream_request: UpstreamRequest
    outlet: Outlet
    _connection: UpstreamConnection | None = None  # from sending the request to the end of the answer
    _head: Head | None = None
    pump: AnswerPump | None = None
    _feed: Callable[[bytes], None] | None = None  # for an answer of known length that arrives in parts
    _watch: Watch | None = None
    outcome: asyncio.Future[CollectedAnswer | None] | None = None
    _connecting: asyncio.Task[None] | None = None
    _uploading: asyncio.Task[None] | None = None
    draining: bool = False  # the client disconnected, and the answer is still read for its usage
    concluded: bool = False  # it had all of the answer then
    sent_at: float | None = None  # when the request went out
    unsent: bool = False  # a part of it did not, or it would have to go out again
    headed_at: float | None = None  # when the head of the answer came
    waited: float = 0.0  # share of the running timeout that had passed without an event at the end of the call

    def __repr__(self) -> str:
        return f"<UpstreamCall {self.origin.authority} {self._head!r} {self._connection!r}>"

    def run(self) -> Awaitable[CollectedAnswer | None]:
        """Return the collected answer, or ``None`` if it was relayed as it came.

        Raises UpstreamFault if another attempt is possible, ClientGone, or the reason of an ``interrupt``.
        """
        if self.request.gone:
            raise ClientGone  # it disconnected while the request had no flow
        context = self.context
        self.outcome = outcome = context.loop.create_future()
        now = context.loop.time()
        connection = context.pool.take(self.origin, now)
        if connection is None:
            self._connecting = context.loop.create_task(self._connect())
        else:
            self._send(connection, now)
        return outcome if self.upstream_request.upload is None else self._uploaded(outcome)

    def finish(self) -> None:
        """Release everything: the call has ended, or its answer is no longer needed."""
        connection = self._connection
        if connection is not None:
            if self._watch is not None and not self.draining:
                self.waited = self._watch.waited()
            self.unsent = connection.sending
            self._leave(connection)
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None  # a task that is canceled before it began keeps a frame that refers to the call
        if self._uploading is not None:
            self._uploading.cancel()
            self._uploading = None  # its frame refers to the request's body
        if self.upstream_request.size > JOIN_BELOW:
            self.upstream_request.forget()  # the failure, and with it the call, is kept while another attempt runs
        if self.pump is not None:
            self.pump.finish()
            self.pump = self._feed = None  # it refers to the call: this breaks the cycle
        self.outcome = None  # a fault in it has a traceback, whose frames refer to the call

    # -- driving ----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Send on a new connection. Runs as a task, so that it can be canceled without the request."""
        outcome, context, attempt_context = self.outcome, self.context, self.upstream_request.attempt_context
        assert outcome is not None
        try:
            left = attempt_context.deadline - context.loop.time()
            connection = await connect(context.pool, self.origin, attempt_context.clocks, left)
            if outcome.done():
                context.pool.release(connection)
            else:
                self.unsent = False
                self._send(connection, context.loop.time())
        except asyncio.CancelledError:
            # Not raised again: nothing awaits this task, and the error with its frames would form a cycle.
            outcome.cancel()  # unless the outcome is known
        except Exception as fault:
            self.settle(fault)
        finally:
            self._connecting = None

    def _send(self, connection: UpstreamConnection, now: float) -> None:
        """Send the request. A large or streamed body is sent by a task of its own."""
        outgoing, context = self.upstream_request, self.context
        self._connection = connection
        self.sent_at = now
        head = outgoing.head if connection.forwarding is None else connection.forwarding.apply(outgoing.head)
        source: AsyncIterator[bytes | memoryview] | None = outgoing.upload
        if outgoing.size < JOIN_BELOW:
            body = outgoing.body  # mostly one piece, for which a join would cost three times as much
            segments: Segments = (head + body[0] if len(body) == 1 else b"".join((head, *body)),)
        elif outgoing.size <= BIG_BODY:
            segments = (head, *outgoing.body)
        else:
            segments, source = (head,), slices(outgoing.body)
        connection.send(segments, self, now, outgoing.no_body)
        context.ticker.add(self)
        if source is not None:
            connection.sending = True
            self._uploading = context.loop.create_task(upload(source, connection, self.interrupt))

    def _leave(self, connection: UpstreamConnection) -> None:
        """Close the connection: its answer will not be complete."""
        self._connection = None
        connection.abort()
        self.context.ticker.discard(self)
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _repeat(self, fault: GatewayError) -> bool:
        """Send again if a kept-alive connection died before any answer. Returns whether it was sent again."""
        connection, outcome = self._connection, self.outcome
        if not (
            isinstance(fault, ConnectionBroken)
            and not fault.response_begun
            and self.upstream_request.attempt_context.replayable
            and connection is not None
            and connection.uses > 1
            and outcome is not None
            and not outcome.done()
        ):
            return False
        self._leave(connection)
        self.unsent = True
        if self._uploading is not None:
            self._uploading.cancel()
        self.context.counters.possible_double_executions += 1
        self._connecting = self.context.loop.create_task(self._connect())
        return True

    async def _uploaded(self, outcome: asyncio.Future[CollectedAnswer | None]) -> CollectedAnswer | None:
        """Await the outcome, and then the end of the upload: only one reader may use the client's body."""
        try:
            return await outcome
        finally:
            uploading = self._uploading
            self.finish()
            if uploading is not None:
                await asyncio.wait((uploading,))

    def settle(self, result: CollectedAnswer | BaseException | None) -> None:
        """Set the outcome, unless it is already set."""
        outcome = self.outcome
        if outcome is None or outcome.done():
            return
        if self.draining and not isinstance(result, CollectedAnswer):
            result = None if self.concluded else ClientGone()
        if isinstance(result, BaseException):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)

    # -- the provider's side (Sink) ---------------------------------------------------------------

    def head(self, head: Head) -> Callable[[bytes], None]:
        connection = self._connection
        assert connection is not None
        self.headed_at = connection.last_read
        self._head = head
        if head.suspect:
            head.change(self.upstream_request.attempt_context.attempt.deployment.provider.redact.value)
        if self._watch is not None:
            self._watch.head_seen()
        exchange = self.exchange
        if (
            0 < head.json_length <= self.context.max_answer
            and not exchange.stream
            and exchange.endpoint is not OPAQUE
            and not self.upstream_request.no_body
        ):
            return self._take  # ``Treatment.COLLECT``, which needs no pump if all of it comes in one read
        self.pump = pump = AnswerPump(self, connection, head)
        return pump.begin()

    def _take(self, chunk: bytes) -> None:
        """Handle bytes of a JSON answer of known length. An answer in one read becomes the result without a pump."""
        feed, head, connection, outcome = self._feed, self._head, self._connection, self.outcome
        assert head is not None
        assert connection is not None
        assert outcome is not None
        if feed is None:
            if len(chunk) == head.length:
                if not outcome.done():
                    outcome.set_result(CollectedAnswer(head.status, head.headers, head.kind, chunk, head.lines))
                return
            self.pump = AnswerPump(self, connection, head)
            self._feed = feed = self.pump.begin()
        feed(chunk)

    def end(self) -> None:
        pump, connection = self.pump, self._connection
        assert connection is not None
        if pump is not None and not pump.ended():
            return  # called again when the rest is decoded; the connection is kept until then
        # Before the release: the connection may then serve another call, and no timeout of this one may fire.
        self._connection = None
        self.context.ticker.discard(self)
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if pump is not None:
            try:
                pump.end()
            except GatewayError as fault:
                self.broken(fault)
            except Exception as defect:  # of a hook: nothing else would end the request
                self.settle(defect)
        if connection.paused:
            connection.resume_reading()
        self.context.pool.release(connection)

    def broken(self, fault: GatewayError) -> None:
        pump = self.pump
        if pump is not None:
            pump.stop()
            if pump.committed and not self.draining:
                try:
                    pump.broken(fault)
                except Exception as defect:  # of a hook
                    self.settle(defect)
                return
        if not self._repeat(fault):
            self.settle(fault)

    # -- the client's side (Flow) -----------------------------------------------------------------

    def pause(self) -> None:
        connection, watch = self._connection, self.watch
        if connection is not None and watch is not None and not self.draining:
            connection.pause_reading()
            watch.pause()
            if self.pump is not None:
                self.pump.pause()

    def resume(self) -> None:
        connection, watch = self._connection, self.watch
        if connection is not None and watch is not None:
            watch.resume()
            if self.pump is None or self.pump.resume():
                connection.resume_reading()

    def client_gone(self) -> None:
        pump, connection, watch = self.pump, self._connection, self.watch
        settings = self.upstream_request.attempt_context.attempt.deployment.provider.settings
        whole = None if pump is None else pump.conclude()
        if whole is not None:
            if not whole.awaits_usage:
                self.interrupt(None)  # SDKs disconnect right after [DONE] or an error
                return
            self.concluded = True  # the provider reports the usage next, and bills it
        elif settings.on_disconnect != "drain":
            self.interrupt(ClientGone())
            return
        if connection is None or connection.sending or watch is None:  # an incomplete request gets no useful answer
            self.interrupt(None if self.concluded else ClientGone())
            return
        # Read the answer to its end, for the usage.
        self.draining = True
        self.outlet.detach()
        connection.on_frame = None  # the fast lane bypasses the outlet
        self.waited = watch.waited()
        self.resume()
        watch.read_on(AFTER_DONE_SECS if self.concluded else DRAIN_SECS)

    def interrupt(self, reason: BaseException | None) -> None:
        """End the call from outside: in-band if the answer has begun, else ``run`` raises ``reason``."""
        if self._connection is not None:
            self._connection.abort()
        if self._connecting is not None:
            self._connecting.cancel()
        if self.outcome is None or self.outcome.done():
            return  # the answer ended in the same turn of the loop
        if isinstance(reason, GatewayError):
            self.broken(reason)
        else:
            self.settle(reason)

    # -- clocks -----------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """The first tick of the ticker: from now on a watch replaces the call there."""
        watch = self.watch
        if watch is not None:
            watch.look(now)

    @property
    def watch(self) -> Watch | None:
        """The clocks of the running request, made when they are first needed; ``None`` while no request runs."""
        watch = self._watch
        if watch is None and self._connection is not None:
            self.context.ticker.discard(self)
            self._watch = watch = watch_call(self, self._connection)
        return watch
