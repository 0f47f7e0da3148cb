"""Counters of calls to models: since the start, and per second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from proxy.control.activity.history import SECONDS, SecondStats
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.totals import Totals, totals_of
from proxy.control.clock import WallClock
from proxy.control.deployments.blocked import blocked
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.samples import Percentiles
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.observe.metrics import Metrics
from proxy.routing.listing import available
from proxy.server.request import Request


class TokenTotals(Struct):
    """Disjoint classes, as far as providers report them."""

    input: int
    cached: int
    output: int
    reasoning: int


class MetricsView(Struct, rename="camel"):
    """Calls to models since the start, ``uptime`` seconds ago. ``totalRequests`` = ``successfulRequests`` +
    ``failedRequests`` + ``disconnectedRequests`` (the client disconnected before the end). ``avgLatency`` is in
    milliseconds. ``modelsAvailable``: names with a deployment that gets requests now. ``ledger``: whether
    GET /analytics/usage has what was used. ``currency``: in which costs are shown, at ``usdRate`` of it for one USD."""

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
    ledger: bool
    currency: str
    usd_rate: float


class SecondView(Struct, rename="camel"):
    """The second that begins at ``at`` (Unix seconds): calls to models that ended in it, and the tokens of their
    answers. ``active``: calls in progress at its end."""

    at: int
    requests: int
    errors: int
    fallbacks: int
    tokens: int
    active: int
    latency_ms: Percentiles | None
    time_to_first_token_ms: Percentiles | None


class CountersView(SecondView, rename="camel"):
    """The event ``counters``: a second, with totals since the start."""

    total_requests: int
    active_connections: int


class HistoryView(Struct, rename="camel"):
    """Oldest first, without gaps."""

    step_secs: int
    seconds: list[SecondView]


class HistoryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """``last``: how many seconds."""

    last: Annotated[int, Meta(ge=1, le=SECONDS)] = SECONDS


class CounterHandlers:
    """``clock`` converts times of the loop's clock."""

    def __init__(
        self, live: LiveConfig, recorder: Recorder, metrics: Metrics, index: DeploymentIndex, clock: WallClock
    ) -> None:
        self._live = live
        self._recorder = recorder
        self._metrics = metrics
        self._index = index
        self._clock = clock

    def routes(self) -> Sequence[ControlRoute]:
        totals = Operation("operator", "Show the counters since the start", MetricsView)
        history = Operation("operator", "Show the counters of each second", HistoryView, query=HistoryQuery)
        return (
            ControlRoute("GET", "/admin/metrics", "admin", self.totals, totals),
            ControlRoute("GET", "/admin/history", "admin", self.history, history),
        )

    async def totals(self, request: Request) -> None:
        """GET /admin/metrics."""
        recorder = self._recorder
        totals, config = totals_of(self._metrics), self._live.config
        view = MetricsView(
            uptime=round(self._clock.now() - recorder.began, 3),
            total_requests=totals.requests,
            successful_requests=totals.ok,
            failed_requests=totals.failed,
            disconnected_requests=totals.disconnected,
            fallbacks_used=totals.fallbacks,
            avg_latency=round(totals.duration / totals.requests * 1000, 3) if totals.requests else None,
            models_available=self._available(),
            active_connections=recorder.active(),
            tokens=_tokens(totals),
            ledger=config.has_ledger,
            currency=config.billing.currency,
            usd_rate=config.billing.rate,
        )
        send_json(request, 200, view)

    async def history(self, request: Request) -> None:
        """GET /admin/history?last=300."""
        seconds = self._recorder.seconds(parse_query(request, HistoryQuery).last)
        send_json(request, 200, HistoryView(1, [SecondView(**self._fields(second)) for second in seconds]))

    def event(self, second: SecondStats) -> CountersView:
        """The event ``counters`` for a second that is over."""
        total = totals_of(self._metrics).requests
        return CountersView(**self._fields(second), total_requests=total, active_connections=second.active)

    def _fields(self, second: SecondStats) -> dict[str, Any]:
        """The fields of ``SecondView``."""
        return {
            "at": self._clock.unix_second(second.at),
            "requests": second.requests,
            "errors": second.errors,
            "fallbacks": second.fallbacks,
            "tokens": second.tokens,
            "active": second.active,
            "latency_ms": second.latency,
            "time_to_first_token_ms": second.first_token,
        }

    def _available(self) -> int:
        now = self._index.now()
        found = filter(available, self._index.catalog.deployments)
        return len({each.name for each in found if blocked(each.live, each.provider.keys, now) is None})


def _tokens(totals: Totals) -> TokenTotals:
    return TokenTotals(totals.input, totals.cached, totals.output, totals.reasoning)
