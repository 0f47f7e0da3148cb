"""Metadata for the client about who answered: header lines, the JSON member ``_router``, a comment in a stream.

It holds names of the configuration, kinds of failures and the gateway's own words, never an address or a key.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from proxy.exchange import Attempt, Exchange
from proxy.net.headers import ascii_value
from proxy.pricing.rates import NANO
from proxy.routing import rules
from proxy.routing.deployment import Deployment

MAX_ERRORS = 1024  # bytes of the header line that lists the failures
MAX_DECISION = 1280
MAX_DROPPED = 1024
_encode = msgspec.json.Encoder().encode


class Failure(Struct):
    """A failed attempt."""

    provider: str
    model_name: str
    error: str
    message: str


class Skipped(Struct):
    """A deployment that was not tried.

    ``model`` is ``provider/name``. ``reason`` is one of ``routing/plan.py``, ``limit`` for a limit of the gateway's
    own, ``budget`` or ``no_price`` for a budget, or ``keys_resting``.
    """

    model: str
    reason: str


class CacheMetadata(Struct):
    """What the cache did. ``age``: of the answer, in seconds. ``inputs``: of a call for embeddings, of which so many
    were ``cached``.
    """

    status: Literal["hit", "stale", "miss"]
    age: int | UnsetType = UNSET
    inputs: int | UnsetType = UNSET
    cached: int | UnsetType = UNSET


class RouterMetadata(Struct):
    """The member ``_router`` of a JSON answer.

    ``model_name`` is the configuration's name of the deployment. ``lost_events``: events of a stream that were left
    out because they are no JSON. ``skipped``: deployments that were not tried. ``dropped``: what a translation to
    another dialect lost, by path. ``cost_usd``: of all attempts, ``None`` if it is not known; only on request.
    ``cache``: only where it is on.
    """

    provider: str
    model_name: str
    attempts: int
    fallback_used: bool
    errors: list[Failure]
    lost_events: int | UnsetType = UNSET
    skipped: list[Skipped] | UnsetType = UNSET
    dropped: tuple[str, ...] | UnsetType = UNSET
    cost_usd: float | UnsetType | None = UNSET
    cache: CacheMetadata | UnsetType = UNSET


def failures(exchange: Exchange) -> list[Failure]:
    """Failed attempts, in order."""
    return [
        Failure(attempt.deployment.provider.name, attempt.deployment.name, attempt.failure, attempt.reason)
        for attempt in exchange.attempts
        if attempt.failure and attempt.failure not in rules.NEUTRAL
    ]


def header_lines(exchange: Exchange, deployment: Deployment | None) -> bytes:
    """The header lines ``x-router-...``, at most 2 KB, as far as is known now."""
    if deployment is None:
        return b"x-router-attempts: %d\r\n" % len(exchange.attempts)
    if len(exchange.attempts) == 1 and not exchange.fallback_used:
        return deployment.router_lines or _usual_lines(deployment)
    parts = [_named(deployment), b"x-router-attempts: %d\r\n" % len(exchange.attempts)]
    if exchange.fallback_used:
        parts.append(b"x-router-fallback-used: true\r\n")
    if len(exchange.attempts) > 1:
        errors = ", ".join(f"{each.provider}/{each.model_name}={each.error}" for each in failures(exchange))
        if errors:
            parts.append(b"x-router-errors: %b\r\n" % ascii_value(errors, MAX_ERRORS))
    return b"".join(parts)


def member(exchange: Exchange, deployment: Deployment) -> bytes:
    """``"_router": {...}`` as JSON bytes."""
    if len(exchange.attempts) == 1 and not (exchange.fallback_used or exchange.skipped or exchange.dropped):
        if not deployment.router_member:
            deployment.router_member = b'"_router":' + _document(exchange, deployment)
        return deployment.router_member
    return b'"_router":' + _document(exchange, deployment)


def member_with_cost(exchange: Exchange, deployment: Deployment, cost: int | None) -> bytes:
    """The same with the cost in nano-USD."""
    return b'"_router":' + _document(exchange, deployment, _in_usd(cost))


def comment(exchange: Exchange, deployment: Deployment, cost: int | UnsetType | None = UNSET) -> bytes:
    """The metadata as a comment of an event stream. ``cost``: in nano-USD, unset if it was not requested."""
    cache = CacheMetadata("miss") if exchange.cache == "miss" else UNSET
    document = _document(exchange, deployment, UNSET if cost is UNSET else _in_usd(cost), cache)
    return exchange.endpoint.dialect.writer.metadata_comment(document)


def from_cache(exchange: Exchange, name: str, cache: CacheMetadata, cost: int | UnsetType | None = UNSET) -> bytes:
    """The metadata of an answer from the cache, as JSON. ``name``: of the deployment that once gave it. ``cost``: of
    failed attempts, in nano-USD, unset if it was not requested.
    """
    cost_usd = UNSET if cost is UNSET else _in_usd(cost)
    errors = failures(exchange)
    return _encode(
        RouterMetadata(exchange.provider, name, len(exchange.attempts), False, errors, cost_usd=cost_usd, cache=cache)
    )


def decision(explained: dict[str, object]) -> bytes:
    """The header line ``x-router-decision`` for the explanation of a plan."""
    return b"x-router-decision: %b\r\n" % ascii_value(_encode(explained).decode(), MAX_DECISION)


def attempt_lines(attempt: Attempt) -> bytes:
    """Header lines about one attempt: the explanation of its choice, and what changed its request."""
    lines = attempt.decision
    if attempt.patches:
        lines += b"x-router-patched: %b\r\n" % ", ".join(attempt.patches).encode()
    if attempt.dropped:
        lines += b"x-router-dropped: %b\r\n" % ascii_value(", ".join(attempt.dropped), MAX_DROPPED)
    return lines


def _in_usd(cost: int | None) -> float | None:
    return None if cost is None else cost / NANO


def _document(
    exchange: Exchange,
    deployment: Deployment,
    cost: float | UnsetType | None = UNSET,
    cache: CacheMetadata | UnsetType = UNSET,
) -> bytes:
    return _encode(
        RouterMetadata(
            deployment.provider.name,
            deployment.name,
            len(exchange.attempts),
            exchange.fallback_used,
            failures(exchange),
            exchange.lost_events or UNSET,
            [Skipped(*each) for each in exchange.skipped] or UNSET,
            exchange.dropped or UNSET,
            cost,
            cache,
        )
    )


def _usual_lines(deployment: Deployment) -> bytes:
    """The header lines for a first attempt that succeeded, made once for each deployment."""
    deployment.router_lines = _named(deployment) + b"x-router-attempts: 1\r\n"
    return deployment.router_lines


def _named(deployment: Deployment) -> bytes:
    return b"x-router-provider: %b\r\nx-router-model: %b\r\n" % (
        ascii_value(deployment.provider.name, 256),
        ascii_value(deployment.name, 256),
    )
