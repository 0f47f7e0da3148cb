"""Sends the answers of one exchange: header lines, router metadata, errors, in every state of the reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec
from msgspec import UNSET, Struct
from multidict import istr

from proxy import router_metadata
from proxy.billing import cost_so_far
from proxy.client.head import EVENT_STREAM
from proxy.config.timeouts import PLAIN
from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo, Writer
from proxy.dialects.call import Call
from proxy.dialects.openai import codex
from proxy.dialects.table import CHAT
from proxy.errors import BrokenAnswer, ClientGone, GatewayError, ShuttingDown, Unauthorized, UpgradeRequired
from proxy.exchange import Exchange
from proxy.hooks import HookReply, ResponseHook
from proxy.net import headers as policy
from proxy.net.headers import NameMemo, ascii_value
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
_METADATA = istr("x-router-metadata")
_JSON = b"Content-Type: application/json\r\n"
_encode = msgspec.json.Encoder().encode
_FINAL = b"x-should-retry: false\r\n"  # read by the SDKs of OpenAI and Anthropic
_NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
_SANDBOX = b"Content-Security-Policy: sandbox\r\n"
BIG_BODY = 1024 * 1024  # bytes of a request body; larger ones take milliseconds to parse, and are released early
MAX_TYPE = 256  # bytes of a Content-Type that a hook gives
_GIVEN_UP = (408, 413)  # statuses after which the rest of the body is not read
_UNBUFFERED = b"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"


class _OwnLines(NameMemo[bytes]):
    """The gateway's own header lines for an answer of this media type."""

    def compute(self, key: bytes) -> bytes:
        if key == b"text/event-stream":
            return _NOSNIFF + _UNBUFFERED
        if key.endswith((b"/json", b"+json")):
            return _NOSNIFF
        return _NOSNIFF + _SANDBOX  # relayed content must never run as a page of the gateway


_own_lines: Final = _OwnLines().__getitem__


class Responder(Struct, eq=False):
    """One exchange with the client's request. Every answer to it is sent here, through ``outlet``.

    ``body`` reads the request's body, once that began; ``call`` is the decoded body of a JSON call. ``attempt_lines``
    are header lines about the present attempt: why its deployment was chosen, if the client asked for it, and the
    patches of its request.
    """

    exchange: Exchange
    request: Request
    outlet: Outlet
    route: Route | None = None  # known before the body is read
    _on_response: ResponseHook | None = None  # None once it has wrapped the outlet
    _deployment: Deployment | None = None
    body: BodyReader | None = None
    call: Call | None = None
    attempt_lines: bytes = b""

    def release_request(self) -> None:
        """Release the body and the call. No attempt may follow."""
        if self.call is not None:
            self.call.release()
        if self.body is not None:
            self.body.release()

    def set_deployment(self, deployment: Deployment) -> None:
        """The answer names this deployment from now on."""
        exchange = self.exchange
        exchange.provider = deployment.provider.name
        exchange.request_model = deployment.upstream_model or exchange.model
        self._deployment = deployment

    def forget_deployment(self) -> None:
        """The answer is of none of the deployments that were tried."""
        self._deployment, self.attempt_lines = None, b""

    @property
    def wants_decision(self) -> bool:
        """Whether the client asked for the header ``x-router-decision``."""
        return self.request.rare and self.request.headers.get(_DECISION, "").lower() == "true"

    @property
    def wants_metadata(self) -> bool:
        """Whether the client asked for the router metadata with the cost, and of a stream at all."""
        return self.request.rare and self.request.headers.get(_METADATA, "").lower() == "true"

    @property
    def client_stall(self) -> float:
        """Seconds after which a client that reads nothing is disconnected."""
        return (self._deployment.clocks if self._deployment is not None else PLAIN).client_stall

    def header_lines(self, kind: bytes, provider_lines: bytes = b"") -> bytes:
        """Header lines of an answer with the media type ``kind``, the provider's own ones first."""
        exchange, deployment = self.exchange, self._deployment
        if deployment is not None and len(exchange.attempts) == 1 and not exchange.fallback_used:
            router_lines = deployment.router_lines or router_metadata.header_lines(exchange, deployment)  # made once
        else:
            router_lines = router_metadata.header_lines(exchange, deployment)
        return b"".join(
            (
                provider_lines,
                _own_lines(kind),
                b"x-request-id: ",  # parts of the join cost less than ``%``
                exchange.request_id.encode(),
                b"\r\n",
                router_lines,
                b"" if exchange.reservation is None else exchange.reservation.header_lines(),
                self.attempt_lines,
                self.request.response_lines,
            )
        )

    def wrap_outlet(self) -> None:
        """Let the hooks wrap the outlet. Only the first call does."""
        on_response = self._on_response
        if on_response is not None:
            self._on_response = None
            self.outlet = on_response(self.exchange, self.outlet)

    async def send_hook_reply(self, reply: HookReply) -> None:
        """Raises ClientGone, and what the iterator of a streamed body raises."""
        content_type = b"Content-Type: %b\r\n" % ascii_value(reply.full_type, MAX_TYPE)
        header_lines = content_type + self.header_lines(reply.media_type)
        if isinstance(reply.body, bytes):
            self.outlet.send(reply.status, header_lines, reply.body)
            return
        try:
            await self._send_pieces(reply.status, header_lines, reply.body)
        finally:
            if isinstance(reply.body, AsyncGenerator):
                await reply.body.aclose()

    async def _send_pieces(self, status: int, header_lines: bytes, pieces: AsyncIterator[bytes]) -> None:
        """The head goes out with the first piece. What is raised before still becomes an HTTP status."""
        outlet, request = self.outlet, self.request
        async for piece in pieces:
            if not piece:
                continue
            if outlet.begun:
                outlet.write(piece)
            else:
                outlet.begin(status, header_lines, piece)
            await request.flush()
        if outlet.begun:
            outlet.end()
        else:
            outlet.send(status, header_lines)

    def read_answer(self, answer: CollectedAnswer, deployment: Deployment) -> AnswerInfo:
        """Usage and model of a collected answer with status 2xx. Raises UpstreamFault for what is no answer.

        ``deployment``: whose answer it is. In a race, ``set_deployment`` was called for the other one.
        """
        path = self.exchange.endpoint.path
        if self.outlet.begun and path not in deployment.translated:
            raise BrokenAnswer("The provider's answer is no event stream.")
        return deployment.dialects[path].reader.read_answer(answer.body)

    def send_events(self, answer: CollectedAnswer, info: AnswerInfo) -> None:
        """Send the events that the body of a translated answer became. Raises ClientGone, after the usage was noted."""
        self._note_answer(info)
        events = self.epilogue() + answer.body
        if self.outlet.begun:
            self.outlet.end(events)
        else:
            lines = EVENT_STREAM + policy.to_client(answer.headers, without_type=True)
            self.outlet.send(answer.status, self.header_lines(b"text/event-stream", lines), events)

    def send_answer(self, answer: CollectedAnswer, info: AnswerInfo) -> None:
        """Send an answer that was read. Raises ClientGone, after the usage was noted."""
        self._note_answer(info)
        exchange, deployment = self.exchange, self._deployment
        assert deployment is not None
        body = answer.body
        if info.strict:
            usual = len(exchange.attempts) == 1 and not (exchange.fallback_used or exchange.skipped or exchange.dropped)
            if self.request.rare and self.wants_metadata:
                member = router_metadata.member_with_cost(exchange, deployment, cost_so_far(exchange))
            else:
                member = (usual and deployment.router_member) or router_metadata.member(exchange, deployment)
            writer = exchange.endpoint.dialect.writer
            if self.call is not None and self.call.aliased:
                body = writer.with_model(body, _encode(exchange.model))
            body = writer.with_metadata(body, member)
        else:
            exchange.lenient_events = 1
        self.outlet.send(answer.status, self.header_lines(answer.kind, answer.lines), body)

    def _note_answer(self, info: AnswerInfo) -> None:
        self.exchange.usage = info.usage
        self.exchange.response_model = info.model
        if self.request.gone:
            raise ClientGone

    def ping(self) -> None:
        """Send a comment to a client that waits for the content of a stream.

        The first one is the status commit: status 200 now, then the content or an in-band error.
        """
        outlet, ping = self.outlet, self.exchange.endpoint.dialect.writer.ping
        if self.request.gone or outlet.ended:
            return  # in this turn of the loop; the timer of the pings is stopped in the next
        if outlet.begun:
            ping = comment(ping, numbered=outlet.numbered)
            if ping:
                outlet.write(ping)
        else:
            self.exchange.early_status = True
            outlet.begin(200, self.header_lines(b"text/event-stream", EVENT_STREAM), ping)

    def epilogue(self) -> bytes:
        """A comment that goes before the terminal event: the router metadata, ``b""`` if the header has it already."""
        exchange = self.exchange
        wanted = exchange.early_status or exchange.lost_events or self.wants_metadata
        return self.closing_comment() if wanted else b""

    def closing_comment(self) -> bytes:
        """The router metadata as a comment of the stream."""
        if self._deployment is None:
            return b""
        cost = cost_so_far(self.exchange) if self.wants_metadata else UNSET
        return router_metadata.comment(self.exchange, self._deployment, cost)

    async def send_models(self, catalog: Catalog, name: str) -> None:
        """Answer GET models and models/{id}. Raises ClientFault (400, 404), ClientGone."""
        access, endpoint = self.exchange.access, self.exchange.endpoint
        pages = catalog.pages
        body = pages.object(endpoint, access, name) if name else pages.page(endpoint, access, self.request.query)
        if body is None:
            raise pages.unknown(name, access)
        self.wrap_outlet()
        await send(self.request, self.outlet, 200, _JSON + self.header_lines(b"application/json"), body)

    def refuse(self, fault: GatewayError) -> None:
        """Send an error: as an HTTP status, or in-band once the status was sent."""
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
            event, tail = writer.error_event(fault, -1), writer.error_tail(fault)
            if tail:
                outlet.write(event)
            outlet.break_off(fault, tail or event)
            return
        exchange.outcome = "cancelled" if isinstance(fault, ShuttingDown) else "error"
        if fault.status in _GIVEN_UP or self.request.body_withheld:
            self.request.reply.keep_alive = False
        lines = self.header_lines(b"application/json")
        if writer.id_header:
            lines += b"%b: %b\r\n" % (writer.id_header, exchange.request_id.encode())
        quota = fault.kind == "quota_exceeded"
        if quota and exchange.endpoint.path == "responses" and codex.is_codex(self.request.headers):
            writer, lines = codex.QUOTA_WRITER, lines + codex.shown_line(fault)
        refuse(outlet, fault, lines, writer)

    def relay_error(self, answer: CollectedAnswer) -> None:
        """Send a provider's error that is the client's fault, without credentials and account names."""
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
            translated = deployment is not None and endpoint.path in deployment.translated
            body = writer.relayed_error(error, b"{}" if translated else body, answer.status)
        elif not is_json(body):
            body = writer.error_body(
                GatewayError(f"The provider answered with status {answer.status}.", code=f"upstream_{answer.status}")
            )
        lines = policy.to_client(answer.headers, without_type=True)
        if answer.status == 429 and b"x-should-retry" not in lines.lower():
            lines += _FINAL  # waiting does not lift this limit, or the error would not be relayed
        # A relayed 401 is about the gateway's key. To a client it would mean its own key.
        status = 403 if answer.status == 401 else answer.status
        self.outlet.send(status, _JSON + self.header_lines(b"application/json", lines), body)


def refuse(outlet: Outlet, fault: GatewayError, lines: bytes = _NOSNIFF, writer: Writer = CHAT.writer) -> None:
    """An error response. Without a ``writer`` in OpenAI's dialect."""
    retry = b"Retry-After: %d\r\n" % fault.retry_after if fault.retry_after is not None else b""
    allow = b"Allow: %b\r\n" % fault.allow.encode() if fault.allow else b""
    # RFC 9110 11.6.1: a 401 names the authentication scheme.
    ask = b'WWW-Authenticate: Bearer realm="%b"\r\n' % fault.realm.encode() if isinstance(fault, Unauthorized) else b""
    upgrade = b"Upgrade: HTTP/1.1\r\nConnection: Upgrade\r\n" if isinstance(fault, UpgradeRequired) else b""
    final = _FINAL if fault.should_retry is False else b""
    outlet.send(fault.status, b"".join((_JSON, retry, final, allow, ask, upgrade, lines)), writer.error_body(fault))
