"""Exchanges in responses. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import unquote

from msgspec import DecodeError, Struct, json, structs

from proxy.control.activity.record import ExchangeRecord
from proxy.control.clock import WallClock, milliseconds
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, CacheOutcome
from proxy.pricing.bill import UNKNOWN, UsageSource
from proxy.pricing.cost import CostSource
from proxy.pricing.rates import NANO

_DECISION = b"x-router-decision: "


class Tokens(Struct):
    """Disjoint classes of tokens."""

    input: int | None
    cached: int | None
    output: int | None
    reasoning: int | None


class RequestSummary(Struct, rename="camel"):
    """``at``: when the request arrived. ``dialect``: the client's, such as ``openai.chat``. ``client``: its id
    (``key:…``, ``address:…``), never a secret. ``owner``, ``team`` and ``project`` are those of its credential,
    ``labels`` also those of the request. ``run``: of an agent. ``""``: not known. ``status`` 0: no response was
    sent. ``costUsd``: of all attempts. ``cache``: what the cache of answers did, ``""`` while it is off. ``savedUsd``:
    what the cached answer once cost."""

    sequence: int
    id: str
    at: float
    endpoint: str
    dialect: str
    model: str
    provider: str
    response_model: str
    client: str
    address: str
    owner: str
    team: str
    project: str
    run: str
    labels: dict[str, str]
    stream: bool
    status: int
    outcome: str
    error: str
    attempts: int
    fallback_used: bool
    duration_ms: float
    time_to_first_token_ms: float | None
    tokens: Tokens | None
    cost_usd: float | None
    cache: CacheOutcome | Literal[""]
    saved_usd: float | None
    bytes_in: int
    bytes_out: int


class AttemptView(Struct, rename="camel"):
    """One attempt; times count from the start of the request.

    ``connectedMs``: when the request was sent. ``failure``: ``""`` for a success. ``decision``: why this deployment was
    chosen, if the client requested it with ``x-router-decision``. ``usageSource`` says where the tokens come from:
    ``provider``, ``estimated``, ``unknown`` or ``none`` (nothing was billed). ``costSource`` says it of the prices.
    """

    deployment: str
    provider: str
    model: str
    started_ms: float
    connected_ms: float | None
    headers_ms: float | None
    first_content_ms: float | None
    ended_ms: float | None
    failure: str
    reason: str
    usage_source: UsageSource
    tokens: Tokens
    cost_usd: float | None
    cost_source: CostSource
    decision: dict[str, Any] | None


class RequestDetail(RequestSummary, rename="camel"):
    """``prompt``: only with ``observe.capturePrompts``."""

    trials: list[AttemptView]
    longest_gap_ms: float
    events: int
    dropped_events: int
    prompt: str | None
    error_detail: str


class RequestListView(Struct):
    """Newest first. ``next``: the ``before`` of the next page, ``null`` on the last one."""

    capacity: int
    requests: list[RequestSummary]
    next: int | None


def request_summary(record: ExchangeRecord, clock: WallClock) -> RequestSummary:
    usage, first, caller = record.usage, record.first_content, record.caller
    return RequestSummary(
        sequence=record.sequence,
        id=record.request_id,
        at=clock.unix(record.began),
        endpoint=record.endpoint.alias or record.endpoint.path,
        dialect=record.endpoint.dialect.name,
        model=record.model,
        provider=record.provider,
        response_model=record.response_model,
        client=caller.id if caller is not None else "",
        address=record.address,
        owner=caller.owner if caller is not None else "",
        team=caller.team if caller is not None else "",
        project=caller.project if caller is not None else "",
        run=record.run,
        labels=dict(record.labels),
        stream=record.stream,
        status=record.status,
        outcome=record.outcome,
        error=record.error,
        attempts=record.attempts,
        fallback_used=record.fallback_used,
        duration_ms=milliseconds(record.duration),
        time_to_first_token_ms=milliseconds(first - record.began) if first is not None else None,
        tokens=None if usage is None else _tokens(usage),
        cost_usd=_in_usd(record.cost),
        cache=record.cache,
        saved_usd=_in_usd(record.saved),
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
    )


def request_detail(record: ExchangeRecord, clock: WallClock, mask: Callable[[str], str]) -> RequestDetail:
    """``mask`` removes secrets from text that providers and clients wrote."""
    return RequestDetail(
        **structs.asdict(request_summary(record, clock)),
        trials=[_attempt(attempt, record, mask) for attempt in record.trials],
        longest_gap_ms=milliseconds(record.longest_gap),
        events=record.events,
        dropped_events=record.dropped_events,
        prompt=mask(record.prompt) if record.prompt is not None else None,
        error_detail=mask(record.error_detail),
    )


def _tokens(usage: Usage) -> Tokens:
    usage = usage.summed()
    return Tokens(usage.input, usage.cache_read, usage.output, usage.reasoning)


def _in_usd(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO


def _attempt(attempt: Attempt, record: ExchangeRecord, mask: Callable[[str], str]) -> AttemptView:
    deployment, bill = attempt.deployment, attempt.bill or UNKNOWN
    return AttemptView(
        deployment.label,
        deployment.provider.name,
        deployment.upstream_model or record.model,
        _since(attempt.began, record) or 0.0,
        _since(attempt.connected, record),
        _since(attempt.headers, record),
        _since(attempt.first_content, record),
        _since(attempt.ended, record),
        attempt.failure,
        mask(attempt.reason),
        bill.source,
        _tokens(bill.usage),
        _in_usd(bill.cost.nano),
        bill.cost.source,
        _decision(attempt.decision),
    )


def _decision(line: bytes) -> dict[str, Any] | None:
    """Decode the header line; ``None`` if it was too long and therefore truncated."""
    if not line:
        return None
    try:
        return json.decode(unquote(line.removeprefix(_DECISION).decode("ascii").strip()), type=dict[str, Any])
    except DecodeError:
        return None


def _since(time: float | None, record: ExchangeRecord) -> float | None:
    return None if time is None else milliseconds(time - record.began)
