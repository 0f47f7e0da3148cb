"""The routes of what was counted: since the start, and second by second."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from proxy.control.activity.history import SECONDS, Second
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.samples import Spread
from proxy.control.activity.totals import Totals, totals_of
from proxy.control.deployments.blocked import blocked
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import Clock
from proxy.control.http.replies import send
from proxy.control.http.requests import query_of
from proxy.observe.metrics import Metrics
from proxy.routing.listing import available
from proxy.server.connection import Request


class TokenTotals(Struct):
    """Disjoint classes, as far as providers told them."""

    input: int
    cached: int
    output: int
    reasoning: int


class MetricsView(Struct, rename="camel"):
    """Calls to models since the start, ``uptime`` seconds ago: ``totalRequests`` = ``successfulRequests`` +
    ``failedRequests`` + ``disconnectedRequests`` (the client left before the end). ``avgLatency`` is in milliseconds;
    ``modelsAvailable`` counts the names that somebody would answer to now."""

    uptime: float
    total_requests: int
    successful_requests: int
    failed_requests: int
    disconnected_requests: int
    fallbacks_used: int
    avg_latency: float | None
    models_available: int
    active_connections: int
    tokens: TokenTotals


class SecondView(Struct, rename="camel"):
    """One second, which begins at ``at`` (Unix seconds): calls to models that ended in it, and the tokens that
    these had generated. ``active`` ran at its end."""

    at: int
    requests: int
    errors: int
    fallbacks: int
    tokens: int
    active: int
    latency_ms: Spread | None
    time_to_first_token_ms: Spread | None


class CountersView(SecondView, rename="camel"):
    """The same as the event ``counters``."""

    total_requests: int
    active_connections: int


class HistoryView(Struct, rename="camel"):
    """Oldest first, without gaps."""

    step_secs: int
    seconds: list[SecondView]


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    last: Annotated[int, Meta(ge=1, le=SECONDS)] = SECONDS


class Counters:
    def __init__(self, recorder: Recorder, metrics: Metrics, roster: DeploymentIndex, clock: Clock) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._roster = roster
        self._clock = clock

    async def metrics(self, request: Request) -> None:
        """GET /admin/metrics."""
        recorder = self._recorder
        totals = totals_of(self._metrics)
        view = MetricsView(
            uptime=round(self._clock.now() - recorder.began, 3),
            total_requests=totals.requests,
            successful_requests=totals.ok,
            failed_requests=totals.failed,
            disconnected_requests=totals.left,
            fallbacks_used=totals.fallbacks,
            avg_latency=round(totals.duration / totals.requests * 1000, 3) if totals.requests else None,
            models_available=self._available(),
            active_connections=recorder.active(),
            tokens=_tokens(totals),
        )
        send(request, 200, view)

    async def history(self, request: Request) -> None:
        """GET /admin/history?last=300."""
        seconds = self._recorder.seconds(query_of(request, Span).last)
        send(request, 200, HistoryView(1, [SecondView(*self._told(second)) for second in seconds]))

    def event(self, second: Second) -> CountersView:
        """The event of a second that is over."""
        return CountersView(*self._told(second), totals_of(self._metrics).requests, second.active)

    def _told(self, second: Second) -> tuple[int, int, int, int, int, int, Spread | None, Spread | None]:
        """The fields of ``SecondView`` in their order."""
        at, latency, first = self._clock.second(second.at), second.latency, second.first_token
        return at, second.requests, second.errors, second.fallbacks, second.tokens, second.active, latency, first

    def _available(self) -> int:
        """Names with a deployment that would get a request now."""
        now = self._roster.now()
        found = filter(available, self._roster.catalog.deployments)
        return len({each.name for each in found if blocked(each.live, each.provider.keys, now) is None})


def _tokens(totals: Totals) -> TokenTotals:
    return TokenTotals(totals.input, totals.cached, totals.output, totals.reasoning)
