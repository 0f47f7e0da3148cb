"""How an answer leaves: which header lines it carries, how an error is told, in every state of the reply."""

from __future__ import annotations

from msgspec import json

from proxy.config.timeouts import PLAIN
from proxy.errors import BrokenAnswer, ClientGone, GatewayError, ShuttingDown, UpstreamAuthFailed
from proxy.exchange import Exchange
from proxy.routing.catalog import Catalog, Deployment
from proxy.transport import headers as policy
from proxy.transport.collect import Answer
from proxy.transport.reply import Reply
from proxy.transport.server import Request
from proxy.wire import openai_error
from proxy.wire.answer import check
from proxy.wire.dialects import told_in
from proxy.wire.document import is_json

_JSON = b"Content-Type: application/json\r\n"
_NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
_SANDBOX = b"Content-Security-Policy: sandbox\r\n"
_GIVEN_UP = (408, 413)  # the rest of the body is not waited for
_UNBUFFERED = b"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"


class Delivery:
    """One exchange together with the client's request: whoever handles it answers here."""

    __slots__ = ("_deployment", "cors", "exchange", "request")

    def __init__(self, exchange: Exchange, request: Request) -> None:
        self.exchange = exchange
        self.request = request
        self._deployment: Deployment | None = None
        self.cors = b""

    def chose(self, deployment: Deployment) -> None:
        """The deployment that is being asked: the answer will name it."""
        self._deployment = deployment

    @property
    def client_stall(self) -> float:
        """The clock of a client that takes nothing, in seconds."""
        return (self._deployment.clocks if self._deployment is not None else PLAIN).client_stall

    def lines(self, kind: bytes, provider_lines: bytes = b"") -> bytes:
        """The header lines of a relayed answer; ``kind`` is its media type."""
        if kind == b"text/event-stream":
            own = _NOSNIFF + _UNBUFFERED
        elif kind.endswith((b"/json", b"+json")):
            own = _NOSNIFF
        else:
            own = _NOSNIFF + _SANDBOX  # relayed content must never run as a page of ours
        return b"".join((provider_lines, own, self._router_lines(), self.cors))

    def send(self, status: int, body: bytes, lines: bytes = b"") -> None:
        """A JSON answer of our own making."""
        self.request.reply.send(status, b"".join((_JSON, lines, _NOSNIFF, self._router_lines(), self.cors)), body)

    def deliver(self, answer: Answer | None) -> None:
        """A collected answer, or ``None`` if it is delivered already.

        Raises UpstreamFault for what is none, ClientGone once its usage is noted if nobody takes it any more.
        """
        if answer is None:
            return
        exchange = self.exchange
        if answer.status >= 400:
            self._deliver_error(answer)
            return
        if self.request.reply.begun:
            raise BrokenAnswer("The provider's answer is no event stream.")
        told = check(answer.body)
        exchange.usage = told.usage
        exchange.response_model = told.model
        if self.request.gone:
            raise ClientGone
        lines = policy.to_client(answer.headers)
        self.request.reply.send(answer.status, self.lines(answer.kind, lines), answer.body)

    def models(self, catalog: Catalog, name: str) -> None:
        """GET models and models/{id}."""
        body = catalog.find(name) if name else catalog.listing
        if body is None:
            raise catalog.unknown(name)
        self.send(200, body)

    def refuse(self, fault: GatewayError) -> None:
        """Tell a failure: as an HTTP status, in-band once the status is out, or by a cut."""
        exchange, reply = self.exchange, self.request.reply
        exchange.error = fault.code or fault.type
        exchange.error_detail = fault.detail or exchange.error_detail
        if self.request.gone:
            exchange.outcome = "client_gone"
            return
        if reply.ended:
            return
        if reply.begun:
            exchange.outcome = "broken"
            reply.end(told_in(exchange.endpoint.dialect, fault))
            return
        exchange.outcome = "cancelled" if isinstance(fault, ShuttingDown) else "error"
        if fault.status in _GIVEN_UP or self.request.body_withheld:
            reply.keep_alive = False
        refuse(reply, fault, self._router_lines() + self.cors)

    def _deliver_error(self, answer: Answer) -> None:
        error = openai_error.read(answer.body)
        if answer.status in (401, 402, 403):
            raise UpstreamAuthFailed("The provider refused the gateway's credential.", detail=f"status {answer.status}")
        if self.request.reply.begun or self.request.gone:
            raise openai_error.fault_of(error)
        exchange = self.exchange
        exchange.outcome = "error"
        exchange.error = f"upstream_{answer.status}"
        exchange.error_detail = error.message if error else ""
        body = answer.body
        if error is None and not is_json(body):
            body = openai_error.body(
                GatewayError(f"The provider answered with status {answer.status}.", code=f"upstream_{answer.status}")
            )
        lines = policy.to_client(answer.headers, without_type=True)
        self.request.reply.send(answer.status, _JSON + self.lines(b"application/json", lines), body)

    def _router_lines(self) -> bytes:
        exchange, deployment = self.exchange, self._deployment
        named = b"" if deployment is None else _named(deployment)
        return b"x-request-id: %b\r\n%bx-router-attempts: %d\r\n" % (
            exchange.request_id.encode(),
            named,
            exchange.attempts,
        )


def refuse(reply: Reply, fault: GatewayError, lines: bytes = b"") -> None:
    """An error answer in OpenAI's shape."""
    retry = b"Retry-After: %d\r\n" % fault.retry_after if fault.retry_after is not None else b""
    allow = b"Allow: %b\r\n" % fault.allow.encode() if fault.allow else b""
    reply.send(fault.status, b"".join((_JSON, retry, allow, _NOSNIFF, lines)), _document(fault))


def _named(deployment: Deployment) -> bytes:
    lines = deployment.router_lines
    if not lines:
        lines = deployment.router_lines = b"x-router-provider: %b\r\nx-router-model: %b\r\n" % (
            policy.ascii_value(deployment.provider.name),
            policy.ascii_value(deployment.name),
        )
    return lines


def _document(fault: GatewayError) -> bytes:
    if isinstance(fault, ShuttingDown):
        return json.encode({"statusCode": 503, "message": fault.message, "error": "Service Unavailable"})
    return openai_error.body(fault)
