"""The request of one attempt: the provider's version of a JSON call, or of a body that streams through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy import router_metadata
from proxy.dialects.patches.base import EDITED, change_of
from proxy.dialects.patches.table import ALWAYS, always
from proxy.dispatch.translate import translate
from proxy.net.headers import provider_verdicts, serialize
from proxy.providers.issuers import issuers_of
from proxy.relay.upstream_request import Segments, UpstreamRequest
from proxy.routing.endpoints import OPAQUE
from proxy.server.form import chunked
from proxy.server.query import forwarded
from proxy.wire.patch import Edit, parse, size

if TYPE_CHECKING:
    from proxy.config.patches import AnyPatchName
    from proxy.dialects.call import Call
    from proxy.dialects.patches.base import Patch
    from proxy.dispatch.attempt import AttemptRun
    from proxy.exchange import Attempt
    from proxy.responder import Responder
    from proxy.routing.routes import Route
    from proxy.wire.trace_context import Trace

TRACE_LINES: Final = frozenset((b"traceparent", b"tracestate"))
# For an attempt: the pieces of the body, and its length where that is known.
UploadBody = Callable[["Attempt"], tuple[AsyncIterator[bytes], int | None]]


def call_request(run: AttemptRun) -> UpstreamRequest:
    """The upstream request of a JSON call. Its body is changed only where needed.

    Raises ClientFault if it has to be translated, and cannot be.
    """
    responder, attempt = run.responder, run.attempt
    call, exchange, deployment = responder.call, responder.exchange, attempt.deployment
    assert call is not None
    endpoint, provider = exchange.endpoint, deployment.provider
    if endpoint.path in deployment.translated:
        return _translated_request(run)
    changes: dict[str, bytes | None] = {}
    if not endpoint.in_path:
        if not call.verbatim or call.model != deployment.upstream_model:
            changes["model"] = deployment.model_json or None
        if endpoint.force_stream:
            changes["stream"] = b"true"
    elif deployment.upstream_model is not None:
        changes |= endpoint.dialect.requests.model_changes(call, deployment.upstream_model)
    if call.stream and _adds_usage(run, call):
        attempt.asks_usage = True
        changes["stream_options"] = endpoint.dialect.requests.with_usage(call)
    for field in call.router_fields:
        changes[field] = None
    if run.changes is not None:
        changes.update(run.changes)
    body: Segments = (call.body,)
    length = len(call.body)
    patches = deployment.patches.get(endpoint.path, ()) if deployment.patches else ()
    if endpoint.path in ALWAYS:
        patches += always(call, endpoint.path)
    if patches:
        body = _patched(run, call, patches, changes, run.changes)
        length = size(body)
    elif changes:
        body = call.segments(changes)
        length = size(body)
    request, trace = responder.request, exchange.trace
    query = forwarded(request.query) if request.query else ""
    verdicts = provider_verdicts(provider.forwarded, provider.configured_json, False, trace is not None)
    lines = serialize(request.raw_headers, verdicts)
    if trace is not None:
        lines += _traced(trace, attempt)
    head = deployment.call_head(endpoint.path, attempt.key, query)
    end = b"\r\nContent-Length: %d\r\n\r\n" % length
    head = b"".join((head, lines, provider.before_id, exchange.request_id.encode(), end))
    return UpstreamRequest(head, body, length, run)  # by position: keywords would double the cost


def _translated_request(run: AttemptRun) -> UpstreamRequest:
    """The upstream request of a JSON call in the provider's dialect."""
    responder, attempt = run.responder, run.attempt
    exchange, deployment = responder.exchange, attempt.deployment
    translated, provider = run.translated, deployment.provider
    if translated is None:
        run.translated = translated = translate(run)
        attempt.dropped = exchange.dropped = translated.dropped
        if translated.dropped:
            responder.attempt_lines = router_metadata.attempt_lines(attempt)
    path, changes = translated.endpoint.path, dict(translated.changes or {})
    body: Segments = (translated.body,)
    patches = deployment.patches.get(path, ())
    if patches or changes:
        body = _patched(run, translated.call, patches, changes, None)
    trace, length = exchange.trace, size(body)
    verdicts = provider_verdicts(
        provider.forwarded, provider.configured_json, False, trace is not None, translated=True
    )
    lines = serialize(responder.request.raw_headers, verdicts)
    if b"anthropic-version" not in provider.configured:
        lines += translated.header_lines
    if trace is not None:
        lines += _traced(trace, attempt)
    head = deployment.call_head(path, attempt.key)
    end = b"\r\nContent-Length: %d\r\n\r\n" % length
    head = b"".join((head, lines, provider.before_id, exchange.request_id.encode(), end))
    return UpstreamRequest(head, body, length, run)


class UploadRequests(Struct, eq=False):
    """Makes the upstream requests of an exchange whose body streams through, and is not kept.

    ``body`` is called for each attempt. ``begun``: reading has begun, so the body cannot be sent again.
    """

    route: Route
    body: UploadBody
    begun: bool = False

    def request(self, run: AttemptRun) -> UpstreamRequest:
        """The request for one attempt."""
        responder, route = run.responder, self.route
        body, length = self.body(run.attempt)
        pieces = self._watched(body)
        upload: AsyncIterator[bytes] | None = pieces
        opaque = route.endpoint is OPAQUE
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif not opaque or "Transfer-Encoding" in responder.request.headers:  # a compressed form has no known length
            framing, upload = b"Transfer-Encoding: chunked\r\n", chunked(pieces)
        else:
            framing, upload = b"", None
        return UpstreamRequest(
            head=_upload_head(responder, run.attempt, route.path, framing, opaque=opaque),
            body=(),
            size=0,
            attempt_context=run,
            upload=upload,
            no_body=responder.request.method == "HEAD",
        )

    async def _watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.begun = True
        async for piece in pieces:
            yield piece


def _adds_usage(run: AttemptRun, call: Call) -> bool:
    """Whether the gateway requests the usage of a stream although the client did not."""
    return (
        not call.wants_usage
        and run.attempt.deployment.provider.learnt.asks_usage
        and run.attempt.deployment.dialects[run.dispatch.exchange.endpoint.path].usage_option
    )


def _patched(
    run: AttemptRun,
    call: Call,
    patches: Iterable[Patch],
    changes: dict[str, bytes | None],
    edited: Mapping[str, bytes | None] | None,
) -> Segments:
    """The body with ``changes`` and those of the patches. Notes which patches changed it.

    ``edited``: those of the changes that a wrapper of the attempt made.
    """
    members, attempt, exchange = call.members, run.attempt, run.responder.exchange
    known = call.changes
    edits: list[Edit] = []
    names: list[AnyPatchName] = []
    if edited is not None and not EDITED.isdisjoint(edited):  # patches apply to the new values
        members, known = parse(b"".join(call.segments(edited)), is_text=True), None
        for name in edited:
            del changes[name]
    for patch in patches:
        change = change_of(patch, members) if known is None or patch not in known else known[patch]
        if patch.excludes and patch.excludes in changes:
            del changes[patch.excludes]
            attempt.asks_usage = False
        if change is not None and change.by_issuer is not None:
            change = change.by_issuer(issuers_of(attempt.deployment.sites[exchange.endpoint.path]))
        if change is not None:
            changes.update(change.members)
            edits += change.edits
            names.append(patch.name)
    if names:
        attempt.patches = tuple(names)
        exchange.patches = tuple(dict.fromkeys((*exchange.patches, *names)))
        run.responder.attempt_lines = router_metadata.attempt_lines(attempt)
    return members.splice(changes, edits) if changes or edits else (members.body,)


def _upload_head(responder: Responder, attempt: Attempt, path: str, framing: bytes, *, opaque: bool) -> bytes:
    exchange, request = responder.exchange, responder.request
    site, trace = attempt.deployment.sites[exchange.endpoint.path], exchange.trace
    provider = site.provider
    query = forwarded(request.query) if request.query else ""
    head = site.head(request.method, path, attempt.key, query, attempt.deployment.upstream_model)
    verdicts = provider_verdicts(provider.forwarded, provider.configured, opaque, trace is not None)
    lines = serialize(request.raw_headers, verdicts)
    if trace is not None:
        lines += _traced(trace, attempt)
    name = exchange.request_id.encode()
    return b"%b%b%bx-request-id: %b\r\n%b\r\n" % (head, lines, provider.via, name, framing)


def _traced(trace: Trace, attempt: Attempt) -> bytes:
    """Trace context lines: the provider's spans become children of this attempt's. ``b""`` if they are configured."""
    attempt.span = trace.new_span()
    return trace.lines(attempt.span) if TRACE_LINES.isdisjoint(attempt.deployment.provider.configured) else b""
