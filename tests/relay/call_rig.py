"""An upstream call without sockets: the connection, the pool and the attempt are doubles, all else is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

from proxy.client.dial import Origin
from proxy.client.head import read_head
from proxy.client.parser import Sink
from proxy.config.provider_schema import Tls
from proxy.config.timeouts import PLAIN
from proxy.errors import ConnectFailed
from proxy.exchange import Exchange
from proxy.net.budget import Budget
from proxy.net.clocks import NEVER, Ticker
from proxy.relay.context import TransportContext
from proxy.relay.upstream_call import UpstreamCall
from proxy.relay.upstream_request import UpstreamRequest
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS, Endpoint
from proxy.server.reply import Reply
from tests.support.pump import Outlet

JSON = (b"Content-Type", b"application/json")
EVENTS = (b"Content-Type", b"text/event-stream")
CONTENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
FINISHED = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


class Connection:
    """A connection to the provider; the test plays the provider with ``head``, ``body`` and ``end``."""

    def __init__(self, uses: int = 0) -> None:
        self.uses = uses
        self.sink: Sink | None = None
        self.sent = b""
        self.last_read = 0.0
        self.on_frame = None
        self.forwarding = None
        self.sending = self.paused = self.aborted = False

    def send(self, segments: Sequence[bytes | memoryview], sink: Sink, now: float, no_body: bool = False) -> None:
        self.uses += 1
        self.last_read = now
        self.sent += b"".join(segments)
        self.sink = sink

    def write(self, piece: bytes | memoryview) -> None:
        self.sent += piece

    async def drain(self) -> None: ...

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.sink = None
        self.aborted = True

    # the provider

    def head(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        assert self.sink is not None
        self._take = self.sink.head(read_head(status, list(headers)))

    def body(self, *reads: bytes) -> None:
        for read in reads:
            self._take(read)

    def end(self) -> None:
        sink, self.sink = self.sink, None
        assert sink is not None
        sink.end()

    def answer(self, body: bytes) -> None:
        """A whole JSON answer in one read."""
        self.head(JSON, (b"Content-Length", b"%d" % len(body)))
        self.body(body)
        self.end()


class Pool:
    """``idle`` connections are taken first, then ``fresh`` ones are opened."""

    def __init__(self, *idle: Connection) -> None:
        self.idle = list(idle)
        self.fresh: list[Connection] = []
        self.released: list[Connection] = []

    def take(self, origin: Origin, now: float) -> Connection | None:
        return self.idle.pop() if self.idle else None

    async def open(self, origin: Origin, timeout: float) -> Connection:
        if not self.fresh:
            raise ConnectFailed("The provider could not be reached.", code="upstream_unreachable")
        return self.fresh.pop()

    def release(self, connection: Connection) -> None:
        self.released.append(connection)


class CallRig:
    """One call, and what it was made with."""

    def __init__(
        self,
        *idle: Connection,
        stream: bool = False,
        body: bytes = b"{}",
        upload: AsyncIterator[bytes] | None = None,
        replayable: bool = True,
        on_disconnect: str = "abort",
        pings: bool = False,
        endpoint: Endpoint = ENDPOINTS[0],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pool = Pool(*idle)
        self.ticker, self.budget = Ticker(loop), Budget(10**6)
        self.counters = SimpleNamespace(possible_double_executions=0, dropped_events=0)
        self.client = Outlet()
        self.reply = Reply(self.client, http10=True, head_only=False, keep_alive=True)
        self.request = SimpleNamespace(gone=False, writing_paused=False, unsent=0, reply=self.reply)
        self.exchange = Exchange(endpoint, cast(Catalog, None), "id", 0.0, stream=stream)
        self.pings = self.commits = 0
        redact = SimpleNamespace(body=lambda block: block, value=lambda value: value)
        provider = SimpleNamespace(redact=redact, settings=SimpleNamespace(on_disconnect=on_disconnect))
        self.attempt_context = SimpleNamespace(
            attempt=SimpleNamespace(deployment=SimpleNamespace(provider=provider)),
            deadline=NEVER,
            pings=pings,
            event_hook=None,
            replayable=replayable,
            clocks=PLAIN,
            ping=self._ping,
            reader=lambda: endpoint.dialect.reader(1, False, False),
            header_lines=lambda kind, lines: lines,
            committed=self._committed,
            epilogue=lambda: b"",
            translation=lambda: None,
            translates=False,
        )
        context = TransportContext(
            loop, self.ticker, cast(Any, self.pool), self.budget, cast(Any, self.counters), 1000, 0.0, 0.0
        )
        self.upstream_request = UpstreamRequest(
            b"POST / HTTP/1.1\r\n\r\n", (body,), len(body), cast(Any, self.attempt_context), upload
        )
        self.call = UpstreamCall(
            context,
            cast(Any, self.request),
            self.exchange,
            Origin("http", "up", 80, Tls()),
            self.upstream_request,
            self.reply,
        )

    def _ping(self) -> None:
        self.pings += 1

    def _committed(self) -> None:
        self.commits += 1

    @property
    def body(self) -> bytes:
        """What the client has of the body."""
        return b"".join(self.client.writes).partition(b"\r\n\r\n")[2]
