"""How a dispatch asks: the heads of its requests, the wish that the gateway adds, what attempts may want to know."""

from __future__ import annotations

from proxy.config.timeouts import Clocks
from proxy.dialects.base import Reader
from proxy.dialects.table import reader_for
from proxy.dispatch.dispatch import Dispatch
from proxy.exchange import Attempt
from proxy.net import headers as policy
from proxy.providers.provider import Provider
from proxy.relay.collect import Answer
from proxy.relay.upstream_request import Listener
from proxy.responder import Responder
from proxy.routing.endpoints import Endpoint
from proxy.server.query import forwarded
from proxy.wire.call import Call
from proxy.wire.trace_context import Trace

TRACE_LINES = frozenset((b"traceparent", b"tracestate"))


class Asking(Dispatch):
    """A dispatch as its attempts see it (``AttemptContext``)."""

    listener: Listener | None = None

    @property
    def replayable(self) -> bool:
        return False

    def clocks(self, attempt: Attempt) -> Clocks:
        return attempt.deployment.clocks_of_media  # whatever is uploaded is media, or unknown

    @property
    def pings(self) -> bool:
        return self._pings

    @property
    def deadline(self) -> float:
        return self._deadline

    def ping(self) -> None:
        self._responder.ping()

    def reader(self, attempt: Attempt) -> Reader:
        return reader_for(self._exchange.endpoint.dialect, choices=1, swallow_usage=False)

    def lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        return self._responder.lines(kind, provider_lines)

    def committed(self, attempt: Attempt) -> None:
        self._committed(attempt)

    def epilogue(self) -> bytes:
        return self._responder.epilogue()


def call_head(responder: Responder, attempt: Attempt, path: str, length: int) -> bytes:
    """The head of a JSON call."""
    request, exchange, deployment = responder.request, responder.exchange, attempt.deployment
    provider, query, trace = deployment.provider, request.query, exchange.trace
    head = deployment.call_head(path, attempt.key, forwarded(query) if query else "")
    lines = policy.to_provider(
        request.raw_headers, provider.forwarded, own=provider.configured_json, traced=trace is not None
    )
    if trace is not None:
        lines += _traced(trace, attempt)
    name = exchange.request_id.encode()
    return provider.call_end % (head, lines, name, length)


def upload_head(responder: Responder, attempt: Attempt, path: str, framing: bytes, *, opaque: bool) -> bytes:
    """The head of a request whose body streams through, or that has none."""
    request, site, trace = responder.request, attempt.deployment.site, responder.exchange.trace
    provider = site.provider
    query = forwarded(request.query) if request.query else ""
    head = site.head(request.method, path, attempt.key, query, attempt.deployment.upstream_model)
    lines = policy.to_provider(
        request.raw_headers, provider.forwarded, own=provider.configured, opaque=opaque, traced=trace is not None
    )
    if trace is not None:
        lines += _traced(trace, attempt)
    name = responder.exchange.request_id.encode()
    return b"%b%b%bx-request-id: %b\r\n%b\r\n" % (head, lines, provider.via, name, framing)


def _traced(trace: Trace, attempt: Attempt) -> bytes:
    """The lines by which the provider's spans hang on this attempt's, unless the configuration has its own."""
    attempt.span = trace.new_span()
    return trace.lines(attempt.span) if TRACE_LINES.isdisjoint(attempt.deployment.provider.configured) else b""


def may_ask_usage(endpoint: Endpoint, call: Call, provider: Provider) -> bool:
    """Whether we add the wish for a stream's usage to what the client asked."""
    return (
        call.stream
        and not call.wants_usage
        and provider.learnt.asks_usage
        and endpoint.dialect in ("openai.chat", "openai.completions")
    )


def refused_options(answer: Answer) -> bool:
    """Whether it was our own wish that the provider minded."""
    return answer.status in (400, 422) and (b"stream_options" in answer.body or b"include_usage" in answer.body)
