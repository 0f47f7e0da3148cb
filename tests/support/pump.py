"""An event relay without sockets: from the chunks of a provider's body to the client's bytes and the outcome.

The reader, the relay and the reply are the real ones. Fast enough for every split of every stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from proxy.dialects.base import EventKind
from proxy.dialects.table import DIALECTS
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.dialects.usage import Usage
from proxy.errors import GatewayError, UpstreamFault
from proxy.exchange import Exchange
from proxy.relay.event_filter import EventFilter, EventHook
from proxy.relay.events import EventRelay
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS, Endpoint
from proxy.server.reply import Reply


@dataclass(frozen=True)
class Relayed:
    """The outcome of a stream. ``fault``: the exception before the content commit, when nothing was sent."""

    body: bytes
    fault: tuple[type[GatewayError], int, str | None, str] | None
    outcome: str
    error: str
    events: int
    usage: Usage | None
    response_model: str
    dropped: tuple[EventKind, ...]
    lost: int
    lenient: int
    concluding: bool


class Outlet(asyncio.Transport):
    """A fake of the client's socket."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))


class Pump:
    """One relay with both its neighbours; also its owner and the connection that it reads the time from.

    ``framed``: on both sides the body is chunked, and what is fed comes as one chunk in one read. ``client``: the
    client's dialect, if the stream is translated.
    """

    def __init__(
        self,
        dialect: str = "openai.chat",
        *,
        choices: int = 1,
        swallow: bool = False,
        wants_usage: bool = False,
        hook: EventHook | None = None,
        framed: bool = False,
        client: str = "",
    ) -> None:
        self.last_read = 0.0
        self.on_frame: Callable[[bytes, bytes], bool] | None = None
        self.outlet = Outlet()
        self.framed = framed
        # An HTTP/1.0 reply has no chunk framing between the bytes.
        self.reply = Reply(self.outlet, http10=not framed, head_only=False, keep_alive=False)
        reads = DIALECTS[dialect].reader
        translation = translated(dialect, client) if client else None
        dialect = client or dialect
        own = Endpoint(dialect, DIALECTS[dialect], True, True, "json", "json")  # for a dialect without endpoints
        endpoint = next((each for each in ENDPOINTS if each.dialect.name == dialect), own)
        self._exchange = Exchange(endpoint, cast(Catalog, None), "id", 0.0)
        self.reader = reads(choices, swallow, wants_usage)
        self.closing_comment = b""
        event_filter = EventFilter(
            self,
            self.reply,
            self._exchange,
            self.reader,
            hook,
            lambda block: block,
            lambda: self.closing_comment,
            translation,
        )
        self.relay = EventRelay(self, self, self.reply, self._exchange, event_filter, translation)
        self.dropped_marks: list[EventKind] = []
        self.commits = self.conclusions = self.deliveries = 0
        self.fault: UpstreamFault | None = None

    # Owner

    def commit(self) -> bytes:
        self.commits += 1
        return b""

    def concluding(self) -> None:
        self.conclusions += 1

    def delivered(self) -> None:
        self.deliveries += 1

    def dropped(self, kind: EventKind) -> None:
        self.dropped_marks.append(kind)

    # Attempt

    def feed(self, *chunks: bytes) -> Pump:
        try:
            for chunk in chunks:
                self.last_read += 1.0
                if not (self.framed and self.on_frame and self.on_frame(chunk, b"%x\r\n%b\r\n" % (len(chunk), chunk))):
                    self.relay.feed(chunk)
        except UpstreamFault as fault:
            self.broken(fault)
        return self

    def end(self) -> Pump:
        try:
            if self.fault is None and not self.reply.ended:
                self.relay.end()
        except UpstreamFault as fault:
            self.fault = fault
        return self

    def broken(self, fault: UpstreamFault) -> Pump:
        if self.relay.committed:
            self.relay.broken(fault)
        else:
            self.fault = fault
        return self

    @property
    def exchange(self) -> Exchange:
        self.relay.note_counts()
        return self._exchange

    @property
    def body(self) -> bytes:
        """Body bytes that the client got."""
        sent = b"".join(self.outlet.writes).partition(b"\r\n\r\n")[2]
        return b"".join(contents(sent)) if self.framed else sent

    @property
    def relayed(self) -> Relayed:
        fault, exchange = self.fault, self.exchange
        return Relayed(
            body=self.body,
            fault=None if fault is None else (type(fault), fault.status, fault.code, fault.message),
            outcome=exchange.outcome,
            error=exchange.error,
            events=exchange.events,
            usage=self.reader.usage,
            response_model=self.reader.response_model,
            dropped=tuple(self.dropped_marks),
            lost=exchange.lost_events,
            lenient=self.reader.lenient,
            concluding=bool(self.conclusions),
        )


def translated(provider: str, client: str) -> StreamTranslation:
    """A translation of a stream for a client that asked for the usage."""
    sides = DIALECTS[client].client, DIALECTS[provider].provider
    assert sides[0] is not None
    assert sides[1] is not None
    request = Conversation(client, [], stream=True, wants_usage=True)
    encoder = sides[0].encode_stream(AnswerContext(request, "id", 1_700_000_000))
    calls = CallParts(ToolNames(), "call_", sequential=encoder.sequential)
    return StreamTranslation(sides[1].decode_answer(), encoder, calls)


def contents(chunked: bytes) -> Iterator[bytes]:
    """Decode a chunked body (RFC 9112 7.1)."""
    while chunked:
        line, _, rest = chunked.partition(b"\r\n")
        size = int(line, 16)
        assert rest[size : size + 2] == b"\r\n"
        yield rest[:size]
        chunked = rest[size + 2 :]


def relayed(
    chunks: Iterable[bytes],
    dialect: str = "openai.chat",
    *,
    choices: int = 1,
    swallow: bool = False,
    framed: bool = False,
) -> Relayed:
    """Relay a stream that arrives in these chunks and ends cleanly."""
    return Pump(dialect, choices=choices, swallow=swallow, framed=framed).feed(*chunks).end().relayed


def split(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Split the data at these offsets; offsets beyond its end are ignored."""
    begin = 0
    for end in sorted({*cuts, len(data)}):
        if begin < end <= len(data):
            yield data[begin:end]
            begin = end
