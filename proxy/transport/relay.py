"""The pump of an event stream: bytes from the provider's read callback straight into the client's socket.

No coroutine wakes per token. Events pass unchanged; the closed list of exceptions is in ``_judge``. Until
the *content commit* (the first meaningful event) everything is held back, so that a provider which
answers 200 and then fails can still be left for another, or become an honest HTTP status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.errors import BrokenAnswer, GatewayError, StreamTruncated
from proxy.exchange import Exchange
from proxy.transport.reply import Outlet
from proxy.wire.openai_error import fault_of
from proxy.wire.sse import BlockTooLarge, Framer
from proxy.wire.tap import Mark, Tap

HELD_COMMENTS = 16 * 1024
HELD_EVENTS = 256 * 1024
PING = b": ping\n\n"

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

    def concluding(self) -> bytes:
        """The terminal event came: the rest of the body should be over in a moment. Returns what goes before it."""

    def delivered(self) -> None:
        """The client has the whole answer, or was told in-band that it has not."""

    def dropped(self, mark: Mark) -> None:
        """An event was left out because no client could read it."""


class EventRelay:
    """Relays one event stream. ``feed``, ``end`` and ``broken`` come from the provider's side."""

    __slots__ = (
        "_committed",
        "_connection",
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
        "_owner",
        "_reply",
        "_seam",
        "_tap",
        "_write",
    )

    def __init__(
        self,
        owner: Owner,
        connection: Connection,
        reply: Outlet,
        exchange: Exchange,
        tap: Tap,
        hook: EventHook | None,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._reply = reply
        self._write = reply.write
        self._exchange = exchange
        self._tap = tap
        self._hook = hook
        self._framer = Framer()
        self._held: list[bytes] = []
        self._held_comments = 0
        self._held_events = 0
        self._first = True
        # After a block that ended with CR: what becomes of a LF that comes late, as the other half of its CR LF.
        self._seam: bytes | None = None
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
        if forward is None or not self._tap.plain(chunk):
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
        if self._flowing and self._tap.plain(chunk):
            self._events += 1
            now = self._connection.last_read
            if now - self._last > self._longest_gap:
                self._longest_gap = now - self._last
            self._last = now
            self._write(chunk)
        else:
            self._feed_slowly(chunk)

    # -- everything else --------------------------------------------------------------------------

    def _feed_slowly(self, chunk: bytes) -> None:
        try:
            self._take(self._framer.feed(chunk))
        except BlockTooLarge as exc:
            self._take(exc.blocks)
            raise BrokenAnswer("The provider sent an event that is too large.") from None
        self._flowing = self._committed and self._hook is None and not self._framer.partial and self._seam is None
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
            data = b"".join(held)
            held.clear()
            self._write(data)

    def _pass(self, block: bytes) -> bytes:
        """What goes on of the block, and of the line end before it that the network cut in two."""
        lead = b""
        if self._seam is not None and block.startswith(b"\n"):
            lead, block = self._seam, block[1:]
        kept = self._judge(block) if block else b""
        self._seam = (b"\n" if kept else b"") if block.endswith(b"\r") else None
        return lead + kept if lead else kept

    def _judge(self, block: bytes) -> bytes:
        """The block as it goes on: itself, what a hook made of it, or ``b""`` for nothing."""
        if self._meaningful and self._tap.plain(block):
            mark = Mark.CONTENT
        else:
            mark = self._tap.read(block, first=self._first)
            self._first = False
        if mark is Mark.COMMENT:
            return self._keep_comment(block)
        if mark is Mark.EMPTY or mark is Mark.GARBAGE:
            self._owner.dropped(mark)
            return b""
        if mark is Mark.USAGE:
            return b""
        epilogue = self._owner.concluding() if mark is Mark.DONE else b""
        if not self._meaningful:
            self._look_for_content(mark, block)
        self._events += 1
        if self._hook is not None:
            block = self._hook(self._exchange, block)
        return epilogue + block if epilogue else block

    def _keep_comment(self, block: bytes) -> bytes:
        if not self._meaningful:
            self._held_comments += len(block)
            if self._held_comments > HELD_COMMENTS:
                return b""
        return block

    def _look_for_content(self, mark: Mark, block: bytes) -> None:
        if mark is Mark.ERROR:
            raise fault_of(self._tap.error)
        if mark is Mark.DONE:
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        self._held_events += len(block)
        self._meaningful = mark is Mark.CONTENT or self._held_events > HELD_EVENTS

    def _commit(self) -> None:
        self._committed = True
        self._last = self._connection.last_read
        lines = self._owner.commit()
        data = b"".join(self._held)
        self._held.clear()
        if self._reply.begun:  # the status was committed by a ping
            if data:
                self._write(data)
        else:
            self._reply.begin(200, lines, data)

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
        if self._tap.complete or self._tap.open_ended or self._tap.error is not None:
            self._conclude(last)
        else:
            self.broken(StreamTruncated("The provider's answer was cut off before its end."), last)

    def broken(self, fault: GatewayError, last: bytes = b"") -> None:
        """The stream broke after the content commit: tell it in-band, so that it cannot look complete."""
        if self._tap.complete or self._tap.error is not None:
            self._conclude(last)  # only the framing after what mattered was lost
            return
        exchange = self._exchange
        exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", fault.detail
        exchange.fault = fault
        if last:
            self._write(last)
        self._reply.break_off(fault, self._tap.told(fault))
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
            self._reply.write(PING)

    @property
    def committed(self) -> bool:
        return self._committed

    @property
    def complete(self) -> bool:
        """Whether the client has all that matters: the terminal event, or the provider's error."""
        return self._committed and (self._tap.complete or self._tap.error is not None)

    def concluded(self) -> GatewayError | None:
        """Note how it ended, as all that matters is said; the provider's own word that there is no answer, if so."""
        exchange, error = self._exchange, self._tap.error
        if error is None:
            exchange.outcome = "ok"
            return None
        fault = fault_of(error)
        exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", error.message
        exchange.fault = fault
        return fault

    @property
    def tap(self) -> Tap:
        return self._tap

    def _conclude(self, last: bytes) -> None:
        fault = self.concluded()
        if fault is None:
            self._reply.end(last)
        else:
            self._reply.break_off(fault, last)
        self._owner.delivered()

    def _finish_last_event(self) -> bytes:
        """An event whose blank line never came would be dropped by the client: complete it if it is whole."""
        rest = self._framer.rest
        if not rest.strip(b"\r\n"):
            return self._pass(rest)
        return self._pass(rest + (b"\n" if rest.endswith(b"\n") else b"\n\n"))

    def _nothing_said(self) -> GatewayError:
        if self._held_events:
            return StreamTruncated("The provider's answer was cut off before it said anything.")
        return BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
