"""One upstream call: a request on one connection, sent again where a kept-alive connection was dead.

The call drives: it connects, sends, and settles ``run``'s future. What comes back goes to an ``AnswerPump`` (pump.py),
time is kept by a ``Watch`` (call_clocks.py), a body that takes time to send is written by ``upload`` (upload.py).
Each is made when it is first needed. The usual answer, JSON that comes whole in one read, needs none of them.
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
from proxy.relay.call_clocks import DRAIN_SECS, watch_call
from proxy.relay.choice import expected_whole
from proxy.relay.connect import connect
from proxy.relay.context import TransportContext
from proxy.relay.pump import AnswerPump
from proxy.relay.upload import upload
from proxy.relay.upstream_request import Segments, UpstreamRequest
from proxy.server.form import slices
from proxy.server.outlet import Outlet
from proxy.server.request import Request

# Below this it is cheaper to copy the pieces of a request together than to hand them over one by one.
JOIN_BELOW: Final = 64 * 1024
BIG_BODY: Final = 1024 * 1024


class UpstreamCall(Struct, eq=False):
    """``run`` it once, as the request's flow, and ``finish`` it, whatever the outcome. It is the connection's sink.

    ``outlet`` takes the answer: the client's reply, or what stands in for it.
    """

    due: ClassVar[float] = 0.0  # for the ticker, which looks at the call until there is a watch

    context: TransportContext
    request: Request
    exchange: Exchange
    origin: Origin
    upstream_request: UpstreamRequest
    outlet: Outlet
    _connection: UpstreamConnection | None = None  # from the request sent to the answer's end
    _head: Head | None = None
    pump: AnswerPump | None = None
    _feed: Callable[[bytes], None] | None = None  # of an expected whole answer that came in parts
    _watch: Watch | None = None
    outcome: asyncio.Future[CollectedAnswer | None] | None = None
    _connecting: asyncio.Task[None] | None = None
    _uploading: asyncio.Task[None] | None = None
    draining: bool = False  # the client disconnected, and the answer is read on for its usage
    sent_at: float | None = None  # when the request went out
    headed_at: float | None = None  # when the head of the answer came
    waited: float = 0.0  # share of the running clock that had passed without an event when the call was ended

    def __repr__(self) -> str:
        return f"<UpstreamCall {self.origin.authority} {self._head!r} {self._connection!r}>"

    def run(self) -> Awaitable[CollectedAnswer | None]:
        """The collected answer, or ``None`` when it went to the client as it came.

        Raises UpstreamFault while another attempt may still be made, ClientGone, or the reason of an ``interrupt``.
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
        """The call is over, or its answer is no longer wanted."""
        connection = self._connection
        if connection is not None:
            if self._watch is not None and not self.draining:
                self.waited = self._watch.waited()
            self._leave(connection)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._uploading is not None:
            self._uploading.cancel()
            self._uploading = None  # its frame refers to the request's body
        if self.upstream_request.size > JOIN_BELOW:
            self.upstream_request.forget()  # the failure, and so the call, is kept while another attempt runs
        if self.pump is not None:
            self.pump.finish()
            self.pump = self._feed = None  # it refers to the call: without this each request would leave a cycle
        self.outcome = None  # a fault in it has a traceback, whose frames refer to the call

    # -- driving ----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Send on a new connection. A task of its own: it can be given up while the request goes on."""
        outcome, context, attempt_context = self.outcome, self.context, self.upstream_request.attempt_context
        assert outcome is not None
        try:
            left = attempt_context.deadline - context.loop.time()
            connection = await connect(context.pool, self.origin, attempt_context.clocks, left)
            if outcome.done():
                context.pool.release(connection)
            else:
                self._send(connection, context.loop.time())
        except asyncio.CancelledError:
            # Not raised again: nothing awaits this task, and kept in it the error and its frames would be a cycle.
            outcome.cancel()  # unless the outcome is known
        except Exception as fault:
            self.settle(fault)
        finally:
            self._connecting = None

    def _send(self, connection: UpstreamConnection, now: float) -> None:
        """Send the request; its body in a task of its own if that takes time."""
        outgoing, context = self.upstream_request, self.context
        self._connection = connection
        self.sent_at = now
        head = outgoing.head if connection.forwarding is None else connection.forwarding.apply(outgoing.head)
        source: AsyncIterator[bytes | memoryview] | None = outgoing.upload
        if outgoing.size < JOIN_BELOW:
            segments: Segments = (b"".join((head, *outgoing.body)),)
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
        """Its answer will not come, or not to its end."""
        self._connection = None
        connection.abort()
        self.context.ticker.discard(self)
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _repeat(self, fault: GatewayError) -> bool:
        """Send again if a kept-alive connection died under a request that the provider never saw; whether it did."""
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
        if self._uploading is not None:
            self._uploading.cancel()
        self.context.counters.possible_double_executions += 1
        self._connecting = self.context.loop.create_task(self._connect())
        return True

    async def _uploaded(self, outcome: asyncio.Future[CollectedAnswer | None]) -> CollectedAnswer | None:
        """The same outcome, but not before the upload has released the client's body: nothing else may read it."""
        try:
            return await outcome
        finally:
            uploading = self._uploading
            self.finish()
            if uploading is not None:
                await asyncio.wait((uploading,))

    def settle(self, result: CollectedAnswer | BaseException | None) -> None:
        """Set the outcome, unless it is set."""
        outcome = self.outcome
        if outcome is None or outcome.done():
            return
        if self.draining and not isinstance(result, CollectedAnswer):
            result = ClientGone()
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
        if expected_whole(head, self.exchange, self.context.max_answer) and not self.upstream_request.no_body:
            return self._take
        self.pump = pump = AnswerPump(self, connection, head)
        return pump.begin()

    def _take(self, chunk: bytes) -> None:
        """Bytes of a JSON answer of known length. One that comes in one read is returned without being held."""
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
            return  # called again when the rest is decoded; the connection is kept so long
        # After its release the connection may serve another call, and no clock may run out.
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
        if pump is not None and pump.conclude():
            self.interrupt(None)  # SDKs close the connection right after [DONE], or an error
        elif settings.on_disconnect != "drain" or connection is None or connection.sending or watch is None:
            self.interrupt(ClientGone())  # half a request is worth no answer
        else:  # the answer is read to its end for the usage
            self.draining = True
            self.outlet.detach()
            connection.on_frame = None  # it goes past the outlet
            self.waited = watch.waited()
            self.resume()
            watch.read_on(DRAIN_SECS)

    def interrupt(self, reason: BaseException | None) -> None:
        """End the call from outside: in-band if the answer has begun, else by raising ``reason`` from ``run``."""
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
        """The first tick: from now on a watch takes the call's place."""
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
