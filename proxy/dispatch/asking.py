"""What is asked of a provider: the client's request, changed only where it must be, with the provider's head."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from proxy.delivery import Delivery
from proxy.exchange import Trial
from proxy.providers.openai import Provider
from proxy.routing.endpoints import OPAQUE, Endpoint
from proxy.routing.routes import Route
from proxy.transport import headers as policy
from proxy.transport.attempt import Ask
from proxy.transport.clocks import NEVER
from proxy.transport.collect import Answer
from proxy.transport.upload import chunked
from proxy.wire.call import Call


def uploading(
    delivery: Delivery,
    route: Route,
    trial: Trial,
    pieces: AsyncIterator[bytes],
    length: int | None,
    committed: Callable[[], None],
    deadline: float = NEVER,
) -> Ask:
    """A request whose body streams through; ``length`` ``None`` means that only its end tells."""
    opaque = route.endpoint is OPAQUE
    upload: AsyncIterator[bytes] | None = pieces
    if length is not None:
        framing = b"Content-Length: %d\r\n" % length
    elif not opaque or "Transfer-Encoding" in delivery.request.headers:  # a compressed form has no known length
        framing, upload = b"Transfer-Encoding: chunked\r\n", chunked(pieces)
    else:
        framing, upload = b"", None
    return Ask(
        head=_upload_head(delivery, trial, route.path, framing, opaque=opaque),
        body=(),
        replayable=False,
        clocks=trial.deployment.clocks,
        dialect=route.endpoint.dialect,
        choices=1,
        swallow_usage=False,
        collects=route.endpoint.answer == "json",
        ping=None,
        lines=delivery.lines,
        epilogue=delivery.epilogue,
        committed=committed,
        deadline=deadline,
        upload=upload,
        no_body=delivery.request.method == "HEAD",
    )


def call_head(delivery: Delivery, trial: Trial, path: str, length: int) -> bytes:
    """The head of a JSON call."""
    request, site = delivery.request, trial.deployment.site
    provider = site.provider
    head = site.call_head(path, trial.key, policy.safe_query(request.query) if request.query else "")
    lines = policy.to_provider(request.raw_headers, provider.forwarded, own=provider.configured_json)
    return b"%b%bx-request-id: %b\r\nContent-Length: %d\r\n\r\n" % (
        head,
        lines,
        delivery.exchange.request_id.encode(),
        length,
    )


def _upload_head(delivery: Delivery, trial: Trial, path: str, framing: bytes, *, opaque: bool) -> bytes:
    """The head of a request whose body streams through, or that has none."""
    request, site = delivery.request, trial.deployment.site
    provider = site.provider
    query = policy.safe_query(request.query) if request.query else ""
    head = site.head(request.method, path, trial.key, query)
    lines = policy.to_provider(request.raw_headers, provider.forwarded, own=provider.configured, opaque=opaque)
    return b"%b%bx-request-id: %b\r\n%b\r\n" % (head, lines, delivery.exchange.request_id.encode(), framing)


def may_ask_usage(endpoint: Endpoint, call: Call, provider: Provider) -> bool:
    """Whether we add the wish for a stream's usage to what the client asked."""
    return (
        call.stream
        and not call.wants_usage
        and provider.asks_usage
        and endpoint.dialect in ("openai.chat", "openai.completions")
    )


def refused_options(answer: Answer) -> bool:
    """Whether it was our own wish that the provider minded."""
    return answer.status in (400, 422) and (b"stream_options" in answer.body or b"include_usage" in answer.body)
