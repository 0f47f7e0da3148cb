"""How an answer leaves: which header lines it carries, how an error is told, in every state of the reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from multidict import istr

from proxy import router_metadata
from proxy.client.head import EVENT_STREAM
from proxy.config.timeouts import PLAIN
from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo, Writer
from proxy.dialects.call import Call
from proxy.dialects.table import CHAT
from proxy.errors import BrokenAnswer, ClientGone, GatewayError, ShuttingDown, Unauthorized, UpgradeRequired
from proxy.exchange import Exchange
from proxy.hooks import HookReply, ResponseHook
from proxy.net import headers as policy
from proxy.net.headers import Memo, ascii_value
from proxy.relay.body import CollectedAnswer
from proxy.relay.seams import comment
from proxy.routing.catalog import Catalog
from proxy.routing.deployment import Deployment
from proxy.routing.routes import Route
from proxy.server.body import BodyReader
from proxy.server.flush import send
from proxy.server.outlet import Outlet
from proxy.server.request import Request
from proxy.wire.document import is_json

_DECISION = istr("x-router-decision")
_JSON = b"Content-Type: application/json\r\n"
_FINAL = b"x-should-retry: false\r\n"  # read by the SDKs of OpenAI and Anthropic
_NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
_SANDBOX = b"Content-Security-Policy: sandbox\r\n"
BIG_BODY = 1024 * 1024  # bytes of a request: from here on reading it takes milliseconds, and nobody may keep it long
MAX_TYPE = 256  # bytes of a Content-Type that a hook gives
_GIVEN_UP = (408, 413)  # the rest of the body is not waited for
_UNBUFFERED = b"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"


class _Own(Memo[bytes]):
    """The gateway's own lines for an answer of this media type."""

    def judge(self, name: bytes) -> bytes:
        if name == b"text/event-stream":
            return _NOSNIFF + _UNBUFFERED
        if name.endswith((b"/json", b"+json")):
            return _NOSNIFF
        return _NOSNIFF + _SANDBOX  # relayed content must never run as a page of ours


_own_lines: Final = _Own().__getitem__  # what a pure function said before


class Responder:
    """One exchange together with the client's request: whoever handles it answers here."""

    __slots__ = (
        "_deployment",
        "_on_response",
        "body",
        "call",
        "decision",
        "exchange",
        "outlet",
        "request",
        "route",
    )

    def __init__(
        self,
        exchange: Exchange,
        request: Request,
        route: Route | None = None,
        on_response: ResponseHook | None = None,
    ) -> None:
        self.exchange = exchange
        self.request = request
        self.route = route  # known before the body is read
        self.outlet: Outlet = request.reply  # where every answer of the exchange goes
        self._on_response = on_response  # until it has wrapped the outlet
        self._deployment: Deployment | None = None
        self.body: BodyReader | None = None  # where the request's body is read, once that began
        self.call: Call | None = None  # what it says, where it is one
        self.decision = b""  # the header line that explains the choice, where the client asked for it

    def forget_request(self) -> None:
        """Release what the client sent. No attempt may follow."""
        if self.call is not None:
            self.call.release()
        if self.body is not None:
            self.body.release()

    def chose(self, deployment: Deployment) -> None:
        """The deployment that is being asked: the answer will name it."""
        exchange = self.exchange
        exchange.provider = deployment.provider.name
        exchange.request_model = deployment.upstream_model or exchange.model
        self._deployment = deployment

    @property
    def explains(self) -> bool:
        """Whether the client wants the choice explained."""
        return self.request.rare and self.request.headers.get(_DECISION, "").lower() == "true"

    @property
    def client_stall(self) -> float:
        """The clock of a client that takes nothing, in seconds."""
        return (self._deployment.clocks if self._deployment is not None else PLAIN).client_stall

    def lines(self, kind: bytes, provider_lines: bytes = b"") -> bytes:
        """The header lines of a relayed answer; ``kind`` is its media type."""
        exchange, deployment = self.exchange, self._deployment
        if deployment is not None and len(exchange.attempts) == 1 and not exchange.fallback_used:
            router_lines = deployment.router_lines or router_metadata.lines(exchange, deployment)  # made once
        else:
            router_lines = router_metadata.lines(exchange, deployment)
        return b"".join(
            (
                provider_lines,
                _own_lines(kind),
                b"x-request-id: %b\r\n" % exchange.request_id.encode(),
                router_lines,
                b"" if exchange.reservation is None else exchange.reservation.header_lines(),
                self.decision,
                self.request.response_lines,
            )
        )

    def wrap_outlet(self) -> None:
        """Let the hooks see the answer. They are asked once."""
        on_response = self._on_response
        if on_response is not None:
            self._on_response = None
            self.outlet = on_response(self.exchange, self.outlet)

    async def send(self, reply: HookReply) -> None:
        """Send the answer of a hook. Raises ClientGone."""
        lines = b"Content-Type: %b\r\n%b" % (ascii_value(reply.full_type, MAX_TYPE), self.lines(reply.media_type))
        if isinstance(reply.body, bytes):
            self.outlet.send(reply.status, lines, reply.body)
            return
        try:
            await self._send_pieces(reply.status, lines, reply.body)
        finally:
            if isinstance(reply.body, AsyncGenerator):
                await reply.body.aclose()

    async def _send_pieces(self, status: int, lines: bytes, pieces: AsyncIterator[bytes]) -> None:
        """The head goes out with the first piece: what is raised before still becomes an HTTP status."""
        outlet, request = self.outlet, self.request
        async for piece in pieces:
            if not piece:
                continue
            if outlet.begun:
                outlet.write(piece)
            else:
                outlet.begin(status, lines, piece)
            await request.flush()
        if outlet.begun:
            outlet.end()
        else:
            outlet.send(status, lines)

    def checked(self, answer: CollectedAnswer) -> AnswerInfo:
        """What a collected answer of status 2xx tells. Raises UpstreamFault for what is none."""
        if self.outlet.begun:
            raise BrokenAnswer("The provider's answer is no event stream.")
        assert self._deployment is not None
        return self._deployment.dialects[self.exchange.endpoint.path].reader.read_answer(answer.body)

    def deliver(self, answer: CollectedAnswer, told: AnswerInfo) -> None:
        """An answer that was ``checked``. Raises ClientGone once its usage is noted if nobody takes it any more."""
        exchange, deployment = self.exchange, self._deployment
        exchange.usage = told.usage
        exchange.response_model = told.model
        if self.request.gone:
            raise ClientGone
        assert deployment is not None
        body = answer.body
        if told.strict:
            body = exchange.endpoint.dialect.writer.with_metadata(body, router_metadata.member(exchange, deployment))
        else:
            exchange.lenient_events = 1
        self.outlet.send(answer.status, self.lines(answer.kind, answer.lines), body)

    def ping(self) -> None:
        """Tell a client that waits for a stream's content that we wait, too.

        The first one is the status commit: 200 now, the content later, or an error in-band.
        """
        outlet, ping = self.outlet, self.exchange.endpoint.dialect.writer.ping
        if self.request.gone or outlet.ended:
            return  # it happened in this turn of the loop, and what sends the pings is stopped in the next
        if outlet.begun:
            outlet.write(comment(ping, numbered=outlet.numbered))
        else:
            self.exchange.early_status = True
            outlet.begin(200, self.lines(b"text/event-stream", EVENT_STREAM), ping)

    def epilogue(self) -> bytes:
        """What goes before the terminal event of a stream: who answered, where the head could not or should not say,
        and how many of its events are missing."""
        exchange = self.exchange
        wanted = (
            exchange.early_status
            or exchange.lost_events
            or self.request.headers.get("x-router-metadata", "").lower() == "true"
        )
        return self.closing_comment() if wanted else b""

    def closing_comment(self) -> bytes:
        """The same, wanted or not."""
        return router_metadata.comment(self.exchange, self._deployment) if self._deployment is not None else b""

    async def models(self, catalog: Catalog, name: str) -> None:
        """GET models and models/{id}. Raises ClientFault (404), ClientGone."""
        access = self.exchange.access
        pages = catalog.pages
        body = pages.find(name, access) if name else pages.listed(access)
        if body is None:
            raise pages.unknown(name, access)
        self.wrap_outlet()
        await send(self.request, self.outlet, 200, self._json_lines(), body)

    def refuse(self, fault: GatewayError) -> None:
        """Tell a failure: as an HTTP status, in-band once the status is out, or by a cut."""
        self.wrap_outlet()
        exchange, outlet = self.exchange, self.outlet
        writer = exchange.endpoint.dialect.writer
        exchange.error = fault.code or fault.kind
        exchange.error_detail = fault.detail or exchange.error_detail
        if self.request.gone:
            exchange.outcome = "client_gone"
            return
        if outlet.ended:
            return
        if outlet.begun:
            exchange.outcome = "broken"
            outlet.break_off(fault, writer.error_event(fault, -1))
            return
        exchange.outcome = "cancelled" if isinstance(fault, ShuttingDown) else "error"
        if fault.status in _GIVEN_UP or self.request.body_withheld:
            self.request.reply.keep_alive = False
        refuse(outlet, fault, self.lines(b"application/json"), writer)

    def relay_error(self, answer: CollectedAnswer) -> None:
        """The provider's own error, which is the client's affair, without credentials and names of accounts."""
        deployment, endpoint = self._deployment, self.exchange.endpoint
        body = answer.body if deployment is None else deployment.provider.redact.body(answer.body)
        dialect, writer = endpoint.dialect, endpoint.dialect.writer
        error = (dialect if deployment is None else deployment.dialects[endpoint.path]).reader.read_error(body)
        if self.outlet.begun or self.request.gone:
            raise provider_error.fault_of(error)
        exchange = self.exchange
        exchange.outcome = "error"
        exchange.error = f"upstream_{answer.status}"
        if error is not None:
            body = writer.relayed_error(error, body, answer.status)
        elif not is_json(body):
            body = writer.error_body(
                GatewayError(f"The provider answered with status {answer.status}.", code=f"upstream_{answer.status}")
            )
        lines = policy.to_client(answer.headers, without_type=True)
        if answer.status == 429 and b"x-should-retry" not in lines.lower():
            lines += _FINAL  # a limit that waiting does not lift, or it would not be relayed
        # A 401 that is relayed says what the gateway's key may not do. To a client it would mean its own key.
        status = 403 if answer.status == 401 else answer.status
        self.outlet.send(status, _JSON + self.lines(b"application/json", lines), body)

    def _json_lines(self) -> bytes:
        return _JSON + self.lines(b"application/json")


def refuse(outlet: Outlet, fault: GatewayError, lines: bytes = _NOSNIFF, writer: Writer = CHAT.writer) -> None:
    """An error response. Without a ``writer`` in OpenAI's dialect."""
    retry = b"Retry-After: %d\r\n" % fault.retry_after if fault.retry_after is not None else b""
    allow = b"Allow: %b\r\n" % fault.allow.encode() if fault.allow else b""
    # RFC 9110 11.6.1: a 401 says how to prove who one is.
    ask = b'WWW-Authenticate: Bearer realm="%b"\r\n' % fault.realm.encode() if isinstance(fault, Unauthorized) else b""
    upgrade = b"Upgrade: HTTP/1.1\r\nConnection: Upgrade\r\n" if isinstance(fault, UpgradeRequired) else b""
    final = _FINAL if fault.should_retry is False else b""
    outlet.send(fault.status, b"".join((_JSON, retry, final, allow, ask, upgrade, lines)), writer.error_body(fault))
