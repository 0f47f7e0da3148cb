"""What is asked of a provider: the client's request, changed only where it must be, with the provider's head."""

from __future__ import annotations

from collections.abc import AsyncIterator

from proxy.delivery import Delivery
from proxy.providers.openai import Provider
from proxy.routing.catalog import Deployment
from proxy.routing.endpoints import OPAQUE, Endpoint
from proxy.routing.routes import Route
from proxy.transport import headers as policy
from proxy.transport.attempt import Ask, Segments
from proxy.transport.collect import Answer
from proxy.transport.upload import chunked
from proxy.wire.call import Call


def calling(delivery: Delivery, endpoint: Endpoint, deployment: Deployment, call: Call, *, asks_usage: bool) -> Ask:
    """The provider's version of the call: changed only where it must be."""
    changes: dict[str, bytes | None] = {}
    if deployment.upstream_model is not None and call.model != deployment.upstream_model:
        changes["model"] = deployment.model_json
    if endpoint.force_stream:
        changes["stream"] = b"true"
    if asks_usage:
        changes["stream_options"] = call.asking_usage()
    body: Segments = call.segments(changes) if changes else (call.body,)
    return Ask(
        head=_call_head(delivery, deployment.provider, endpoint.path, sum(map(len, body))),
        body=body,
        replayable=endpoint.replayable,
        clocks=deployment.stream_clocks if call.stream else deployment.clocks,
        dialect=endpoint.dialect,
        choices=call.choices,
        swallow_usage=asks_usage,
        collects=endpoint.answer == "json",
        pings=call.stream,
        lines=delivery.lines,
    )


def uploading(
    delivery: Delivery,
    route: Route,
    deployment: Deployment,
    pieces: AsyncIterator[bytes],
    length: int | None,
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
        head=_upload_head(delivery, deployment.provider, route.path, framing, opaque=opaque),
        body=(),
        replayable=False,
        clocks=deployment.clocks,
        dialect=route.endpoint.dialect,
        choices=1,
        swallow_usage=False,
        collects=route.endpoint.answer == "json",
        pings=False,
        lines=delivery.lines,
        upload=upload,
        no_body=delivery.request.method == "HEAD",
    )


def _call_head(delivery: Delivery, provider: Provider, path: str, length: int) -> bytes:
    """The head of a JSON call."""
    request = delivery.request
    head = provider.call_head(path, policy.safe_query(request.query) if request.query else "")
    lines = policy.to_provider(request.raw_headers, provider.forwarded, own=provider.configured_json)
    return b"%b%bx-request-id: %b\r\nContent-Length: %d\r\n\r\n" % (
        head,
        lines,
        delivery.exchange.request_id.encode(),
        length,
    )


def _upload_head(delivery: Delivery, provider: Provider, path: str, framing: bytes, *, opaque: bool) -> bytes:
    """The head of a request whose body streams through, or that has none."""
    request = delivery.request
    head = provider.head(request.method, path, policy.safe_query(request.query) if request.query else "")
    lines = policy.to_provider(request.raw_headers, provider.forwarded, own=provider.configured, opaque=opaque)
    return b"%b%bx-request-id: %b\r\n%b\r\n" % (head, lines, delivery.exchange.request_id.encode(), framing)


def may_ask_usage(endpoint: Endpoint, call: Call) -> bool:
    return call.stream and not call.wants_usage and endpoint.dialect in ("openai.chat", "openai.completions")


def refused_options(answer: Answer) -> bool:
    return answer.status in (400, 422) and (b"stream_options" in answer.body or b"include_usage" in answer.body)
