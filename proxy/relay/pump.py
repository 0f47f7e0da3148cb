"""The pump of an answer, from its head to its end.

The head decides which body gets the bytes (choice.py): an event relay, a collector or a pipe. A compressed answer is
decoded by an inflater first. The connection passes bytes to the body directly, not through this object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.billing import plausible
from proxy.client.connection import UpstreamConnection
from proxy.client.head import Head
from proxy.dialects.base import EventKind, Reader
from proxy.errors import BrokenAnswer, GatewayError
from proxy.net import headers as policy
from proxy.net.codings import CODINGS
from proxy.net.inflating import Inflating
from proxy.relay.body import Body, CollectedAnswer, note_broken
from proxy.relay.call_clocks import AFTER_DONE_SECS
from proxy.relay.choice import Treatment, body_for, relay_for, treatment
from proxy.relay.events import EventRelay
from proxy.routing.endpoints import OPAQUE

if TYPE_CHECKING:
    from proxy.relay.upstream_call import UpstreamCall


class AnswerPump:
    """Owns the body of one upstream call's answer.

    A plain answer that arrives in one read needs no pump.
    """

    __slots__ = ("_body", "_call", "_connection", "_events", "_head", "_inflating")

    def __init__(self, call: UpstreamCall, connection: UpstreamConnection, head: Head) -> None:
        self._call = call
        self._connection = connection
        self._head = head
        self._body: Body | None = None
        self._events: EventRelay | None = None  # the body, where it is an event stream
        self._inflating: Inflating | None = None

    def __repr__(self) -> str:
        return f"<AnswerPump {self._head!r} {type(self._body).__name__}>"

    # -- the provider's side ----------------------------------------------------------------------

    def begin(self) -> Callable[[bytes], None]:
        """Choose the body, and return the function for the bytes as they are read. Raises BrokenAnswer."""
        call, head = self._call, self._head
        endpoint = call.exchange.endpoint
        body = self._make(treatment(head, endpoint, call.exchange.stream))
        if not head.coding or endpoint is OPAQUE:
            return body.feed
        if head.coding not in CODINGS:
            raise BrokenAnswer(
                "The provider's answer is compressed in a way that was not requested.", detail=head.coding
            )
        connection, loop = self._connection, call.context.loop
        self._inflating = inflating = Inflating(head.coding, body.feed, connection, call, loop)
        return inflating.feed

    def ended(self) -> bool:
        """Note that all bytes were read. Returns whether all are decoded; else the inflater ends the call later."""
        inflating = self._inflating
        if inflating is None or not inflating.busy:
            return True
        inflating.at_end = True
        return False

    def end(self) -> None:
        """The answer ended as HTTP says it should. Raises UpstreamFault."""
        if self._inflating is not None and self._inflating.cut:
            raise BrokenAnswer("The provider's compressed answer is cut off.")
        if self._body is not None:
            self._body.end()

    def broken(self, fault: GatewayError) -> None:
        """The answer broke after its first bytes were sent: end it so that it cannot look complete."""
        assert self._body is not None
        self._body.broken(fault)

    def stop(self) -> None:
        """Stop decoding."""
        if self._inflating is not None:
            self._inflating.stop()

    def finish(self) -> None:
        """Release what is held, and note usage and model. Breaks the reference cycle between body and pump."""
        self.stop()
        events, exchange = self._events, self._call.exchange
        before = exchange.events
        if self._body is not None:
            self._body.release()
        self._body = self._events = None
        if events is None:
            return
        reader, attempt = events.reader, self._call.upstream_request.attempt_context.attempt
        usage = reader.usage
        attempt.usage, attempt.partial = plausible(usage), not reader.whole
        attempt.response_model = reader.response_model
        attempt.events, attempt.longest_gap = exchange.events - before, events.longest_gap
        exchange.lenient_events += reader.lenient
        if events.committed or exchange.usage is None:  # else it may have lost a race
            exchange.usage, exchange.response_model = usage, attempt.response_model

    # -- the client's side ------------------------------------------------------------------------

    @property
    def committed(self) -> bool:
        """Whether bytes of the answer were sent to the client."""
        return self._body is not None and self._body.committed

    def pause(self) -> None:
        if self._inflating is not None:
            self._inflating.pause()

    def resume(self) -> bool:
        """Forward what is decoded. Returns whether more may be read."""
        inflating = self._inflating
        if inflating is None:
            return True
        inflating.resume()
        return not inflating.busy

    def ping(self) -> None:
        """Send a comment between two events, or before the first one. JSON allows none."""
        events, attempt_context = self._events, self._call.upstream_request.attempt_context
        if events is None:
            return
        if events.committed:
            events.ping()
        elif attempt_context.pings:
            attempt_context.ping()

    def conclude(self) -> Reader | None:
        """Note the outcome if the stream is complete except for its end. Returns its reader then."""
        if self._events is None or not self._events.complete:
            return None
        self._events.note_outcome()
        return self._events.reader

    # -- the body's side --------------------------------------------------------------------------

    def commit(self) -> bytes:
        """The content commit: the request will not be sent again. Returns the header lines of the answer."""
        head, call, upstream_request = self._head, self._call, self._call.upstream_request
        exchange = call.exchange
        if exchange.first_content is None:
            exchange.first_content = call.context.loop.time()
        upstream_request.attempt_context.committed()
        watch = call.watch
        if watch is not None:
            watch.committed()
        upstream_request.forget()  # a stream of an hour must not hold it
        if call.request.writing_paused:
            call.pause()
        opaque = exchange.endpoint is OPAQUE
        lines = policy.to_client(head.headers, opaque=True) if opaque else head.lines
        return upstream_request.attempt_context.header_lines(head.kind, lines)

    def collected(self, body: bytes) -> None:
        head = self._head
        self._call.settle(CollectedAnswer(head.status, head.headers, head.kind, body, head.lines))

    def concluding(self) -> None:
        watch = self._call.watch
        if watch is not None:
            watch.bound(AFTER_DONE_SECS)

    def delivered(self, fault: GatewayError | None = None) -> None:
        if fault is not None:
            note_broken(self._call.exchange, fault)
        self._call.settle(None)

    def dropped(self, kind: EventKind) -> None:
        self._call.context.counters.dropped_events += 1
        self._call.exchange.dropped_events += 1

    def sniffed(self, events: bool) -> Body:
        """The body of an answer whose first bytes showed whether it is an event stream."""
        if events:
            self._head = self._head.as_events()
        return self._make(Treatment.EVENTS if events else Treatment.COLLECT)

    def _make(self, chosen: Treatment) -> Body:
        if chosen is Treatment.EVENTS:
            self._body = self._events = relay_for(self._call, self, self._connection)
        else:
            self._body = body_for(chosen, self._call, self, self._head)
        return self._body
