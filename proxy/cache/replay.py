"""Gives a cached answer: the same events or the same body, with what is of the request that gets it."""

from __future__ import annotations

from typing import Literal

from proxy import router_metadata
from proxy.cache.base import CachedAnswer
from proxy.cache.recorder import blocks_of
from proxy.errors import ClientGone
from proxy.net.headers import ascii_value
from proxy.responder import Responder
from proxy.router_metadata import CacheMetadata

MOST_AT_ONCE = 64 * 1024  # bytes of a stream that are written before other requests run


async def replay(responder: Responder, answer: CachedAnswer, status: Literal["hit", "stale"], age: int) -> None:
    """Answer a request. Raises ClientGone."""
    exchange, request, facts = responder.exchange, responder.request, answer.facts
    exchange.provider, exchange.request_model = facts.provider, facts.upstream_model
    exchange.response_model = facts.response_model
    responder.release_request()
    kind = facts.content_type.partition(b";")[0].strip().lower()
    lines = [b"Content-Type: %b\r\nAge: %d\r\n" % (facts.content_type, age), facts.lines]
    if facts.provider:
        named = ascii_value(facts.provider, 256), ascii_value(facts.name, 256)
        lines.append(b"x-router-provider: %b\r\nx-router-model: %b\r\n" % named)
    writer = exchange.endpoint.dialect.writer
    if writer.id_header:
        lines.append(b"%b: %b\r\n" % (writer.id_header, exchange.request_id.encode()))
    header_lines = responder.header_lines(kind, b"".join(lines))
    if request.gone:
        raise ClientGone
    document = router_metadata.from_cache(
        exchange, facts.name, CacheMetadata(status, age), cost=responder.wants_metadata
    )
    if not facts.stream:
        body = writer.with_metadata(answer.body, b'"_router":' + document)
        responder.outlet.send(200, header_lines, body)
        return
    events = blocks_of(answer.body)
    if responder.wants_metadata:
        events.insert(len(events) - 1, writer.metadata_comment(document))
    await _play(responder, header_lines, events)


async def _play(responder: Responder, header_lines: bytes, events: list[bytes]) -> None:
    """Write a stream, event by event, as fast as the client reads it."""
    outlet, request = responder.outlet, responder.request
    last = events.pop() if events else b""
    for event in events:
        if not event:
            continue
        if outlet.begun:
            outlet.write(event)
        else:
            outlet.begin(200, header_lines, event)
        await request.flush()
    if not outlet.begun:
        outlet.begin(200, header_lines)
    outlet.end(last)
