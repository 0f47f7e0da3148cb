"""An exchange as the operator sees it. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from msgspec import DecodeError, Struct, json, structs

from proxy.control.activity.record import Record
from proxy.control.deployments.views import Clock
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt

_DECISION = b"x-router-decision: "


class Tokens(Struct):
    """Disjoint classes."""

    input: int | None
    cached: int | None
    output: int | None
    reasoning: int | None


class Summary(Struct, rename="camel"):
    """``at`` is when the request came; ``client`` who asked (``key:…``, ``address:…``), never a secret; ``status`` 0 is
    one that was told nothing."""

    sequence: int
    id: str
    at: float
    endpoint: str
    model: str
    provider: str
    response_model: str
    client: str
    address: str
    stream: bool
    status: int
    outcome: str
    error: str
    attempts: int
    fallback_used: bool
    duration_ms: float
    time_to_first_token_ms: float | None
    tokens: Tokens | None
    bytes_in: int
    bytes_out: int


class TrialView(Struct, rename="camel"):
    """One attempt; its moments count from the request's beginning.

    ``connectedMs`` is when the request went out, ``failure`` ``""`` where it did not fail. ``decision`` explains the
    choice, where the client asked for that by ``x-router-decision``.
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
    decision: dict[str, Any] | None


class Detail(Summary, rename="camel"):
    """``prompt`` is there with ``observe.capturePrompts`` only."""

    trials: list[TrialView]
    longest_gap_ms: float
    events: int
    dropped_events: int
    prompt: str | None
    error_detail: str


class RequestsView(Struct):
    """Newest first. ``next`` is the ``before`` of what follows, ``null`` where nothing does."""

    capacity: int
    requests: list[Summary]
    next: int | None


def summary(record: Record, clock: Clock) -> Summary:
    usage, first = record.usage, record.first_content
    return Summary(
        sequence=record.sequence,
        id=record.request_id,
        at=clock.told(record.began),
        endpoint=record.endpoint.alias or record.endpoint.path,
        model=record.model,
        provider=record.provider,
        response_model=record.response_model,
        client=record.caller.id if record.caller is not None else "",
        address=record.address,
        stream=record.stream,
        status=record.status,
        outcome=record.outcome,
        error=record.error,
        attempts=record.attempts,
        fallback_used=record.fallback_used,
        duration_ms=_ms(record.duration),
        time_to_first_token_ms=_ms(first - record.began) if first is not None else None,
        tokens=None if usage is None else _tokens(usage),
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
    )


def detail(record: Record, clock: Clock, mask: Callable[[str], str]) -> Detail:
    """``mask`` strikes secrets out of what providers and clients wrote."""
    return Detail(
        **structs.asdict(summary(record, clock)),
        trials=[_attempt(attempt, record, mask) for attempt in record.trials],
        longest_gap_ms=_ms(record.longest_gap),
        events=record.events,
        dropped_events=record.dropped_events,
        prompt=mask(record.prompt) if record.prompt is not None else None,
        error_detail=mask(record.error_detail),
    )


def _tokens(usage: Usage) -> Tokens:
    usage = usage.summed()
    return Tokens(usage.input, usage.cache_read, usage.output, usage.reasoning)


def _attempt(attempt: Attempt, record: Record, mask: Callable[[str], str]) -> TrialView:
    deployment = attempt.deployment
    return TrialView(
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
        _decision(attempt.decision),
    )


def _decision(line: bytes) -> dict[str, Any] | None:
    """What the header line tells; it is cut where it would have been too long, and then tells nothing here."""
    if not line:
        return None
    try:
        return json.decode(unquote(line.removeprefix(_DECISION).decode("ascii").strip()), type=dict[str, Any])
    except DecodeError:
        return None


def _since(moment: float | None, record: Record) -> float | None:
    return None if moment is None else _ms(moment - record.began)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
