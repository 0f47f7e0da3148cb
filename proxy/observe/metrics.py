"""What the gateway counts: settled once per exchange, read at a scrape.

Labels are names from the configuration or of our own making, never what a client wrote, and a metric has
at most ``max_label_sets`` of them: what comes later is counted under ``other``. An exchange that no
provider was asked for has provider and model ``none``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import get_args

from prometheus_client import CollectorRegistry, Histogram, Info, ProcessCollector

from proxy.errors import StreamTruncated
from proxy.exchange import Exchange, Outcome
from proxy.observe.family import OTHER, Count, Family, Row, Spread, single
from proxy.wire.usage import Usage

NONE = "none"

# Doubling from 10 ms as OpenTelemetry advises for gen_ai.client.operation.duration, and two steps further:
# reasoning models run for minutes (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
DURATION = tuple(0.01 * 2**step for step in range(16))
# The same page's gen_ai.server.time_to_first_token without what no network reaches (under 20 ms), and up to
# where load balancers give up on a silent answer (30, 60, 120 s).
FIRST_TOKEN = (0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0)
# From "fluent" (a token each 20 to 100 ms) over "it stutters" (1 s) to the clocks that can end a stream:
# 15 s is our ping, 60 s the usual idle clock.
GAP = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
# A dial is one to four round trips: 1 ms in the same place, 10 s the usual connect clock.
CONNECT = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

OUTCOMES: tuple[str, ...] = get_args(Outcome)
DIRECTIONS = ("input", "cached", "output", "reasoning")

# A kind is the code of an error, and a provider may have had a hand in that.
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KINDS = 100

_DEPLOYMENT = ("provider", "model")


class Series:
    """The cells of one (provider, model), each made when it is first used."""

    def __init__(self, metrics: Metrics, labels: tuple[str, str]) -> None:
        self._metrics = metrics
        self.labels = labels
        self.requests = Row(metrics.requests, labels)
        self.tokens = Row(metrics.tokens, labels)

    @cached_property
    def duration(self) -> Spread:
        return self._metrics.duration.cell(*self.labels)

    @cached_property
    def first_token(self) -> Spread:
        return self._metrics.first_token.cell(*self.labels)

    @cached_property
    def longest_gap(self) -> Spread:
        return self._metrics.longest_gap.cell(*self.labels)

    @cached_property
    def truncated(self) -> Count:
        return self._metrics.truncated.cell(*self.labels)


class Metrics:
    """All counters of one process.

    The plain numbers are for their owners to move; ``upstream_connections`` is asked at a scrape for the
    open connections by provider; ``registry`` holds what prometheus_client measures itself, among it
    ``connect_seconds`` for ``prometheus_async.aio.time`` around a dial.
    """

    def __init__(self, *, max_label_sets: int = 500, version: str = "unknown") -> None:
        self.in_flight = 0
        self.upstream_connections: Callable[[], Mapping[str, int]] = dict
        self.upstream_connections_opened = 0
        self.upstream_connections_reused = 0
        self.client_disconnects = 0
        self.dropped_events = 0
        self.possible_double_executions = 0

        self._bound = max_label_sets
        self._known: frozenset[tuple[str, str]] = frozenset()
        self._providers: frozenset[str] = frozenset()
        self._series: dict[tuple[str, str], Series] = {}

        self.requests = Family(
            "llm_requests_total",
            "counter",
            "Exchanges that ended, by how they ended.",
            (*_DEPLOYMENT, "outcome"),
            Count,
            bound=max_label_sets,
            closed=OUTCOMES,
        )
        self.errors = Family(
            "llm_requests_errors_total",
            "counter",
            "Exchanges that ended in an error, by its code, or by the class of the status that was relayed.",
            ("kind",),
            Count,
            bound=min(max_label_sets, _KINDS),
        )
        self.rejected = Family(
            "llm_requests_rejected_total",
            "counter",
            "Requests refused before a provider was asked.",
            ("reason",),
            Count,
            bound=min(max_label_sets, _KINDS),
        )
        self.duration = self._histogram(
            "llm_requests_duration_seconds", "From the request's head to the end of its answer.", DURATION
        )
        self.first_token = self._histogram(
            "llm_time_to_first_token_seconds",
            "From the request's head to the first content of a streamed answer.",
            FIRST_TOKEN,
        )
        self.longest_gap = self._histogram(
            "llm_stream_longest_gap_seconds", "The longest silence within each streamed answer.", GAP
        )
        self.tokens = Family(
            "llm_tokens_total",
            "counter",
            "Tokens as the providers reported them; the directions are disjoint.",
            (*_DEPLOYMENT, "direction"),
            Count,
            bound=max_label_sets,
            closed=DIRECTIONS,
        )
        self.truncated = Family(
            "llm_streams_truncated_total",
            "counter",
            "Answers that broke off after their first content.",
            _DEPLOYMENT,
            Count,
            bound=max_label_sets,
        )

        self.attempts = Family(
            "llm_upstream_attempts_total",
            "counter",
            "Attempts at providers, by why they failed; ok if they did not.",
            ("provider", "reason"),
            Count,
            bound=max_label_sets,
        )
        self.fallbacks = 0

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("sluice_build", "The version that runs.", registry=self.registry).info({"version": version})
        self.connect_seconds = Histogram(
            "llm_upstream_connect_seconds",
            "Name resolution, TCP, TLS and proxy handshake of each upstream connection.",
            buckets=CONNECT,
            registry=self.registry,
        )
        self.scrape_seconds = Histogram(
            "sluice_scrape_seconds",
            "Wall time of each scrape, the turns that it gave to others included.",
            buckets=CONNECT,
            registry=self.registry,
        )

    def know(self, deployments: Iterable[tuple[str, str]]) -> None:
        """The (provider, upstream model) pairs of the configuration: only these become labels.

        Called at start and at each reload. Counters of pairs that went away stay, as counters must.
        """
        self._known = frozenset(deployments)
        self._providers = frozenset(provider for provider, _ in self._known)

    def settle(self, exchange: Exchange) -> None:
        """Count one exchange that ended; every field is final. Once per exchange, about 1 us."""
        series = self._series.get((exchange.provider, exchange.request_model))
        if series is None:
            series = self._find(exchange.provider, exchange.request_model)
        outcome = exchange.outcome
        series.requests[outcome].value += 1
        if exchange.ended is not None:
            series.duration.observe(exchange.ended - exchange.began)
        if exchange.stream and exchange.first_content is not None:
            series.first_token.observe(exchange.first_content - exchange.began)
            series.longest_gap.observe(exchange.longest_gap)
        if exchange.usage is not None:
            _count_tokens(series.tokens, exchange.usage)
        for trial in exchange.trials:
            labels = (trial.deployment.provider.name, trial.failure or "ok")
            (self.attempts.cells.get(labels) or self.attempts.cell(*labels)).value += 1
        if exchange.fallback_used:
            self.fallbacks += 1
        if outcome != "ok":
            self._count_failure(series, exchange)

    def reject(self, reason: str) -> None:
        """Count a request that was refused before a provider was asked; ``reason`` is an error's code."""
        _named(self.rejected, reason).value += 1

    def families(self) -> Iterator[Family[Count] | Family[Spread]]:
        """Every metric but those of ``registry``, as it is now."""
        yield self.requests
        yield self.errors
        yield self.rejected
        yield single("llm_requests_in_flight", "gauge", "Exchanges that began and did not end yet.", self.in_flight)
        yield self.duration
        yield self.first_token
        yield self.longest_gap
        yield self.tokens
        yield self.attempts
        yield single("llm_fallbacks_total", "counter", "Exchanges that came to the fallback.", self.fallbacks)
        yield self._open_connections()
        yield single(
            "llm_upstream_connections_opened_total",
            "counter",
            "Connections made to providers.",
            self.upstream_connections_opened,
        )
        yield single(
            "llm_upstream_connections_reused_total",
            "counter",
            "Attempts that went over a connection kept alive.",
            self.upstream_connections_reused,
        )
        yield single(
            "llm_client_disconnects_total",
            "counter",
            "Exchanges whose client left before the end.",
            self.client_disconnects,
        )
        yield self.truncated
        yield single(
            "llm_events_dropped_total",
            "counter",
            "Events of providers that were no JSON and not relayed.",
            self.dropped_events,
        )
        yield single(
            "llm_possible_double_executions_total",
            "counter",
            "Requests sent again after a kept connection died under them: the provider may have run both.",
            self.possible_double_executions,
        )

    def _histogram(self, name: str, documentation: str, bounds: tuple[float, ...]) -> Family[Spread]:
        return Family(name, "histogram", documentation, _DEPLOYMENT, partial(Spread, bounds), bound=self._bound)

    def _find(self, provider: str, model: str) -> Series:
        # A pair from outside the configuration finds its series in two lookups every time, so that names
        # made up by clients leave nothing behind.
        if not provider:
            labels = (NONE, NONE)
        elif (provider, model) in self._known:
            labels = (provider, model)
        else:
            labels = (provider if provider in self._providers else OTHER, OTHER)
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series(self, labels)
        return series

    def _count_failure(self, series: Series, exchange: Exchange) -> None:
        if exchange.outcome == "client_gone":
            self.client_disconnects += 1
            return
        relayed = f"status_{exchange.status // 100}xx" if exchange.status else exchange.outcome
        _named(self.errors, exchange.error or relayed).value += 1
        if exchange.outcome == "broken" or exchange.error == StreamTruncated.code:
            series.truncated.value += 1

    def _open_connections(self) -> Family[Count]:
        family = Family(
            "llm_upstream_connections",
            "gauge",
            "Open connections to providers, busy or kept alive.",
            ("provider",),
            Count,
            bound=self._bound,
        )
        for provider, count in self.upstream_connections().items():
            family.cell(provider).value += count
        return family


def _count_tokens(row: Row, usage: Usage) -> None:
    # Unknown (None) is not 0. A provider that reports less than nothing must not turn a counter back.
    if usage.input is not None and usage.input >= 0:
        row["input"].value += usage.input
    if usage.cached is not None and usage.cached >= 0:
        row["cached"].value += usage.cached
    if usage.output is not None and usage.output >= 0:
        row["output"].value += usage.output
    if usage.reasoning is not None and usage.reasoning >= 0:
        row["reasoning"].value += usage.reasoning


def _named(family: Family[Count], name: str) -> Count:
    cell = family.cells.get((name,))
    return cell if cell is not None else family.cell(name if _KIND.fullmatch(name) else OTHER)
