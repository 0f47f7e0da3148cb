"""The pump of an event stream: bytes from the provider's read callback straight into the client's socket.

No coroutine wakes per token. Events pass unchanged; the closed list of exceptions is in ``_judge``. Until
the *content commit* (the first meaningful event) everything is held back, so that a provider which
answers 200 and then fails can still be left for another, or become an honest HTTP status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.dialects.base import EventKind, Reader
from proxy.dialects.provider_error import fault_of
from proxy.errors import BrokenAnswer, GatewayError, StreamTruncated
from proxy.exchange import Exchange
from proxy.relay.seams import Seams, comment, has_id
from proxy.server.outlet import Outlet
from proxy.wire.sse import BlockTooLarge, Framer

HELD_COMMENTS = 16 * 1024
HELD_EVENTS = 256 * 1024
_LEFT_OUT = (EventKind.NO_DATA, EventKind.MALFORMED, EventKind.USAGE)

EventHook = Callable[[Exchange, bytes], bytes]


class Connection(Protocol):
    """Where the bytes come from; it notes the moment of its last read.

    ``on_frame`` gets a chunk of the body that came alone in a read: its content, and with its framing.
    """

    last_read: float
    on_frame: Callable[[bytes, bytes], bool] | None


class Owner(Protocol):
    """The attempt whose answer this is."""

    def commit(self) -> bytes:
        """The content commit: nothing may move on after it. Returns the answer's header lines."""

    def concluding(self) -> None:
        """The terminal event came: the rest of the body should be over in a moment."""

    def epilogue(self) -> bytes:
        """The closing comment, which says who answered and how many events are missing; ``b""`` for none."""

    def delivered(self) -> None:
        """The client has the whole answer, or was told in-band that it has not."""

    def redacted(self, block: bytes) -> bytes:
        """An event with an error, without the credentials that the provider may quote in it."""

    def dropped(self, kind: EventKind) -> None:
        """An event was left out because no client could read it: it has no data, or data that no parser reads."""


class EventRelay:
    """Relays one event stream. ``feed``, ``end`` and ``broken`` come from the provider's side."""

    __slots__ = (
        "_committed",
        "_connection",
        "_cut",
        "_ending",
        "_events",
        "_exchange",
        "_first",
        "_flowing",
        "_forward",
        "_forwarded",
        "_framer",
        "_held",
        "_held_comments",
        "_held_events",
        "_hook",
        "_last",
        "_longest_gap",
        "_meaningful",
        "_numbered",
        "_owner",
        "_reply",
        "_seams",
        "_told",
        "_tried",
        "_write",
        "_writer",
        "reader",
    )

    def __init__(
        self,
        owner: Owner,
        connection: Connection,
        reply: Outlet,
        exchange: Exchange,
        reader: Reader,
        hook: EventHook | None,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._reply = reply
        self._write = reply.write
        self._exchange = exchange
        self.reader = reader
        self._writer = exchange.endpoint.dialect.writer
        self._hook = hook
        self._framer = Framer()
        self._held: list[bytes] = []
        self._held_comments = 0
        self._held_events = 0
        self._first = True
        self._seams = Seams()
        self._numbered = reply.numbered  # an event with an id was kept
        self._tried: bytes | None = None  # known not to be plain
        self._ending = False  # the provider's body ended: what is read now is the last, unfinished event
        self._cut = False  # and that is half of one
        self._told = False  # the closing comment was written
        self._meaningful = False
        self._committed = False
        self._flowing = False  # committed, no partial event waiting, no hook: the fast path may be tried
        self._forward: Callable[[bytes], None] | None = None  # takes chunks as they came
        self._last = 0.0
        # Counted here and told at the end: writing to a Struct costs several times as much, and this is per token.
        self._events = 0
        self._forwarded = 0  # bytes
        self._longest_gap = 0.0

    # -- once per token ---------------------------------------------------------------------------

    def frame(self, chunk: bytes, framed: bytes) -> bool:
        """Whether the chunk, which came with its framing, went on as it came. Only while events flow."""
        forward = self._forward
        if forward is None:
            return False
        if not self.reader.plain(chunk):
            self._flowing, self._tried = False, chunk  # ``feed`` gets it next
            return False
        self._events += 1
        now = self._connection.last_read
        if now - self._last > self._longest_gap:
            self._longest_gap = now - self._last
        self._last = now
        self._forwarded += len(chunk)
        forward(framed)
        return True

    def feed(self, chunk: bytes) -> None:
        """Bytes of the body as they were read. Raises UpstreamFault before the content commit."""
        if self._flowing:
            if self.reader.plain(chunk):
                self._events += 1
                now = self._connection.last_read
                if now - self._last > self._longest_gap:
                    self._longest_gap = now - self._last
                self._last = now
                self._write(chunk)
                return
            self._tried = chunk
        self._feed_slowly(chunk)

    # -- everything else --------------------------------------------------------------------------

    def _feed_slowly(self, chunk: bytes) -> None:
        try:
            self._take(self._framer.feed(chunk))
        except BlockTooLarge as exc:
            self._take(exc.blocks)
            raise BrokenAnswer("The provider sent an event that is too large.") from None
        self._tried = None
        self._flowing = self._committed and self._hook is None and not self._framer.partial and self._seams.late is None
        # Asked anew: the client may have left.
        self._forward = self._reply.for_frames() if self._flowing else None
        self._connection.on_frame = None if self._forward is None else self.frame

    def _take(self, blocks: list[bytes]) -> None:
        held = self._held
        for block in blocks:
            kept = self._pass(block)
            if kept:
                held.append(kept)
        if not self._committed and self._meaningful:
            self._commit()
        elif self._committed and held:
            self._note_gap()
            self._reply.numbered = self._numbered
            self._write(b"".join(held))
            held.clear()

    def _pass(self, block: bytes) -> bytes:
        """Bytes to forward for this block, the other half of a CR LF split across reads included."""
        seams = self._seams
        if seams.late is None and block[-1:] != b"\r":
            return self._judge(block) if block else b""
        lead, block = seams.split(block)
        kept = self._judge(block) if block else b""
        seams.close(block, kept)
        return lead + kept if lead else kept

    def _judge(self, block: bytes) -> bytes:
        """The bytes to forward: the block itself, what a hook made of it, or ``b""`` for nothing.

        A comment loses its blank line after an event with an ``id`` (``seams.comment``), and an error that stands
        outside of any event becomes one.
        """
        if self._meaningful and block != self._tried and self.reader.plain(block):
            self._events += 1
            return block if self._hook is None else self._hooked(block)
        kind = self.reader.read(block, first=self._first)
        self._first = False
        if kind is EventKind.COMMENT:
            return self._keep_comment(block)
        if kind in _LEFT_OUT:
            return self._leave_out(kind)
        if kind is EventKind.UNFRAMED_ERROR:
            fault = fault_of(self.reader.error)
            block, kind = self._writer.error_event(fault, self.reader.sequence), EventKind.ERROR
        if kind is EventKind.ERROR:
            block = self._owner.redacted(block)
        epilogue = b""
        if kind is EventKind.DONE:
            self._owner.concluding()
            epilogue = self._epilogue()
        if not self._meaningful:
            self._look_for_content(kind, block)
        self._events += 1
        block = self._hooked(block)
        return epilogue + block if epilogue else block

    def _hooked(self, block: bytes) -> bytes:
        """What the hook made of an event, or the event itself; whether it has an ``id`` is noted."""
        if self._hook is not None:
            block = self._hook(self._exchange, block)
        if not self._numbered:
            self._numbered = has_id(block)
        return block

    def _keep_comment(self, block: bytes) -> bytes:
        if not self._meaningful:
            self._held_comments += len(block)
            if self._held_comments > HELD_COMMENTS:
                return b""
        return comment(block, numbered=self._numbered)

    def _leave_out(self, kind: EventKind) -> bytes:
        """Nothing of this event goes on. Raises BrokenAnswer while another answer can still be sent."""
        if kind is EventKind.MALFORMED:
            if self._ending:
                self._cut = True
                return b""
            if not self.reader.ended and self.reader.error is None:
                fault = BrokenAnswer("The provider sent an event that is not JSON.")
                if not self._meaningful:
                    raise fault
                self._reply.lose(fault)
                self._exchange.lost_events += 1
        if kind is not EventKind.USAGE:
            self._owner.dropped(kind)
        return b""

    def _epilogue(self) -> bytes:
        """The closing comment, once."""
        if self._told:
            return b""
        self._told = True
        epilogue = self._owner.epilogue()
        return comment(epilogue, numbered=self._numbered) if epilogue else b""

    def _look_for_content(self, kind: EventKind, block: bytes) -> None:
        if kind is EventKind.ERROR:
            raise fault_of(self.reader.error)
        if kind is EventKind.DONE:
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        self._held_events += len(block)
        self._meaningful = kind is EventKind.CONTENT or self._held_events > HELD_EVENTS

    def _commit(self) -> None:
        self._last = self._connection.last_read
        self._reply.numbered = self._numbered
        lines = self._owner.commit()
        data = b"".join(self._held)
        self._held.clear()
        if self._reply.begun:  # the status was committed by a ping
            if data:
                self._write(data)
        else:
            self._reply.begin(200, lines, data)
        self._committed = True  # not before: a hook that raises in ``begin`` still gets an HTTP status

    def _note_gap(self) -> None:
        now = self._connection.last_read
        self._longest_gap = max(self._longest_gap, now - self._last)
        self._last = now

    # -- endings ----------------------------------------------------------------------------------

    def end(self) -> None:
        """The provider's body ended as HTTP says it should. Raises UpstreamFault before the content commit."""
        last = self._finish_last_event()
        if last and not self._committed and self._meaningful:
            self._held.append(last)
            last = b""
            self._commit()
        if not self._committed:
            raise self._nothing_said()
        reader = self.reader
        whole = reader.complete or reader.open_ended
        if reader.error is not None or reader.ended or (whole and not self._cut):
            self._conclude(last)
        else:
            self.broken(StreamTruncated("The provider's answer was cut off before its end."), last)

    def broken(self, fault: GatewayError, last: bytes = b"") -> None:
        """The stream broke after the content commit: tell it in-band, so that it cannot look complete.

        One that has all that the client asked for, and lost only its end, is ended for the provider.
        """
        reader = self.reader
        if reader.error is not None:
            self._conclude(last)
            return
        whole = reader.ended or (reader.complete and not reader.lacks_usage)
        if whole and not self._held:  # else a hook raised in ``write``
            self._conclude(last, b"" if reader.ended else self._writer.terminal)
            return
        exchange = self._exchange
        exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", fault.detail
        exchange.fault = fault
        if last:
            self._write(last)
        self._reply.break_off(fault, self._remark() + self._writer.error_event(fault, reader.sequence))
        self._owner.delivered()

    def release(self) -> None:
        """Forget what was held back."""
        self._held.clear()
        self.note_counts()

    def note_counts(self) -> None:
        """Tell the exchange what was counted since the last time."""
        exchange = self._exchange
        exchange.events += self._events
        exchange.longest_gap = max(exchange.longest_gap, self._longest_gap)
        self._reply.count(self._forwarded)
        self._events = self._forwarded = 0

    def ping(self) -> None:
        """Between events only: whole blocks are all that is ever written."""
        if self._committed and not self._reply.ended:
            self._reply.write(self._seams.complete() + comment(self._writer.ping, numbered=self._numbered))

    @property
    def committed(self) -> bool:
        return self._committed

    @property
    def complete(self) -> bool:
        """Whether the client has all that matters: the terminal event, or the provider's error."""
        return self._committed and (self.reader.complete or self.reader.error is not None)

    def concluded(self) -> GatewayError | None:
        """Note how it ended, as all that matters is said; the provider's own word that there is no answer, if so."""
        exchange, error = self._exchange, self.reader.error
        if error is None:
            exchange.outcome = "ok"
            if exchange.lost_events:
                exchange.outcome, exchange.error = "damaged", "upstream_event_lost"
            return None
        fault = fault_of(error)
        exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", error.message
        exchange.fault = fault
        return fault

    def _conclude(self, last: bytes, closing: bytes = b"") -> None:
        """``closing`` is the terminal event, where the provider's did not come."""
        fault = self.concluded()
        if fault is None:
            self._reply.end(last + self._epilogue() + closing)
        else:
            self._reply.break_off(fault, last + self._remark())
        self._owner.delivered()

    def _remark(self) -> bytes:
        """The closing comment of a stream that ends with an error: only of lost events is anything to be said."""
        return self._epilogue() if self._exchange.lost_events else b""

    def _finish_last_event(self) -> bytes:
        """An event whose blank line never came would be dropped by the client: complete it if it is whole."""
        self._ending = True
        rest = self._framer.rest
        if not rest.strip(b"\r\n"):
            return self._pass(rest)
        return self._pass(rest + (b"\n" if rest.endswith(b"\n") else b"\n\n"))

    def _nothing_said(self) -> GatewayError:
        if self._held_events:
            return StreamTruncated("The provider's answer was cut off before it said anything.")
        return BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
