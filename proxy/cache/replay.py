"""Sends a cached answer: the same events or the same body, with what belongs to the new request."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from proxy import router_metadata
from proxy.billing import cost_so_far
from proxy.cache.base import CachedAnswer
from proxy.cache.stream_recorder import blocks_of
from proxy.errors import ClientGone
from proxy.net.headers import ascii_value
from proxy.responder import Responder
from proxy.router_metadata import CacheMetadata, RouterMetadata

AT_ONCE: Final = 64  # events that are written in one turn of the loop
_AGE: Final = 987_654_321  # stands for the age where it is not known yet


async def replay(responder: Responder, answer: CachedAnswer, status: Literal["hit", "stale"], age: int) -> None:
    """Answer a request. Raises ClientGone."""
    exchange, request, facts = responder.exchange, responder.request, answer.facts
    exchange.provider, exchange.request_model = facts.provider, facts.upstream_model
    exchange.response_model = facts.response_model
    responder.release_request()
    if exchange.attempts:
        responder.forget_deployment()  # they failed
    kind = facts.content_type.partition(b";")[0].strip().lower()
    lines = [b"Content-Type: %b\r\nAge: %d\r\n" % (facts.content_type, age), facts.lines]
    lines.append(_named(facts.provider, facts.name))
    writer = exchange.endpoint.dialect.writer
    if writer.id_header:
        lines.append(b"%b: %b\r\n" % (writer.id_header, exchange.request_id.encode()))
    header_lines = responder.header_lines(kind, b"".join(lines))
    if request.gone:
        raise ClientGone
    wants_cost = request.rare and responder.wants_metadata
    if exchange.attempts or wants_cost:
        cost = cost_so_far(exchange) if wants_cost else UNSET
        document = router_metadata.from_cache(exchange, facts.name, CacheMetadata(status, age), cost)
    else:
        document = _usual_metadata(facts.provider, facts.name, status) % age
    if not facts.stream:
        body = writer.with_metadata(answer.body, b'"_router":' + document)
        responder.outlet.send(200, header_lines, body)
        return
    events = blocks_of(answer.body)
    if wants_cost:
        events.insert(len(events) - 1, writer.metadata_comment(document))
    await _play(responder, header_lines, events)


@lru_cache(maxsize=1024)
def _named(provider: str, name: str) -> bytes:
    """The header lines that name a deployment. Encoding them costs more than a whole hit."""
    return b"x-router-provider: %b\r\nx-router-model: %b\r\n" % (ascii_value(provider, 256), ascii_value(name, 256))


@lru_cache(maxsize=1024)
def _usual_metadata(provider: str, name: str, status: Literal["hit", "stale"]) -> bytes:
    """The metadata of an answer from the cache, without attempts, with a place for its age."""
    cache = CacheMetadata(status, _AGE)
    metadata = RouterMetadata(provider, name, 0, fallback_used=False, errors=[], cache=cache)
    encoded = msgspec.json.encode(metadata).replace(b"%", b"%%")
    return encoded.replace(b'"age":%d' % _AGE, b'"age":%d')


async def _play(responder: Responder, header_lines: bytes, events: list[bytes]) -> None:
    """Write a stream, event by event, as fast as the client reads it."""
    outlet, request = responder.outlet, responder.request
    last = events.pop() if events else b""
    for number, event in enumerate(events, 1):
        if not event:
            continue
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        if outlet.begun:
            outlet.write(event)
        else:
            outlet.begin(200, header_lines, event)
        await request.flush()
    if not outlet.begun:
        outlet.begin(200, header_lines)
    outlet.end(last)
