"""What the gateway counts: each exchange once, when it has ended; read at a scrape.

``llm_requests_...`` and ``llm_tokens_...`` are calls to models. All other requests are in
``gateway_other_requests_total``.

Labels are names from the configuration or of our own making, never what a client wrote or who it is, and a metric
has at most ``max_label_sets`` of them: what comes later is counted under ``other``. An exchange that no provider was
asked for has provider and model ``none``. What is only looked at when somebody scrapes is in ``gauges.py``.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Final, get_args

from msgspec import UNSET
from prometheus_client import CollectorRegistry, Histogram, Info, ProcessCollector

from proxy.dialects.usage import Usage
from proxy.errors import StreamTruncated
from proxy.exchange import Attempt, Exchange, Outcome
from proxy.observe.bounds import CONNECT, DURATION, FIRST_TOKEN, GAP, INTER_TOKEN, OVERHEAD
from proxy.observe.facts import own_share, streamed_tokens
from proxy.observe.family import OTHER, Column, Count, Family, Row, Spread, single
from proxy.observe.gauges import BreakerSample, breaker_states, components_up, lag, open_connections
from proxy.observe.lag import Lag
from proxy.observe.listed import ListedModels

NONE = "none"

OUTCOMES: tuple[str, ...] = get_args(Outcome)
DIRECTIONS = ("input", "cached", "output", "reasoning")
# Whose limits can refuse a request (``limits.base.Level``), and what stands for all of them where none did.
LEVELS = ("global", "client", "address", "model", "provider")
EVERY_LEVEL: Final = "all"

# A kind is the code of an error, and a provider may have had a hand in that.
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KINDS = 100

_DEPLOYMENT = ("provider", "model")
# Requests that are no calls to a model, by the kind of their endpoint; unrouted ones as what became of them.
OTHERS = ("models", "passthrough", "page", "preflight", "refused")
_FOLD: Final = 256  # exchanges: to fold what was observed of them takes 0.2 to 0.6 ms


class Series:
    """The cells of one (provider, model), each made when it is first used; of histograms their ``observe``."""

    def __init__(self, metrics: Metrics, labels: tuple[str, str]) -> None:
        self._metrics = metrics
        self.labels = labels
        self.requests = Row(metrics.requests, labels).__getitem__  # for a third of a subscript's cost
        self.tokens = Row(metrics.tokens, labels).__getitem__

    @cached_property
    def duration(self) -> Callable[[float], None]:
        return self._metrics.duration.cell(*self.labels).observe

    @cached_property
    def first_token(self) -> Callable[[float], None]:
        return self._metrics.first_token.cell(*self.labels).observe

    @cached_property
    def inter_token(self) -> Callable[[float], None]:
        return self._metrics.inter_token.cell(*self.labels).observe

    @cached_property
    def longest_gap(self) -> Callable[[float], None]:
        return self._metrics.longest_gap.cell(*self.labels).observe

    @cached_property
    def truncated(self) -> Count:
        return self._metrics.truncated.cell(*self.labels)


class Metrics:
    """All counters of one process.

    The plain numbers are for their owners to move. Asked at a scrape: ``upstream_connections`` for the open connections
    by provider, ``breakers`` for the state of each, ``components`` for whether each thing that the gateway leans on is
    up, ``lag`` for how late the event loop is. ``registry`` holds what prometheus_client measures itself, among it
    ``connect_seconds`` for ``prometheus_async.aio.time`` around a dial.
    """

    def __init__(self, *, max_label_sets: int = 500, version: str = "unknown") -> None:
        self.running: Callable[[], int] = int  # number of exchanges that run
        self.upstream_connections: Callable[[], Mapping[str, int]] = dict
        self.breakers: Callable[[], Iterable[BreakerSample]] = tuple
        self.components: Callable[[], Mapping[str, bool]] = dict
        self.lag: Lag | None = None
        self.upstream_connections_opened = 0
        self.upstream_connections_reused = 0
        self.client_disconnects = 0
        self.dropped_events = 0
        self.possible_double_executions = 0

        self._unfolded = 0  # exchanges, of which each histogram may have observed something
        self._bound = max_label_sets
        self._known: frozenset[tuple[str, str]] = frozenset()
        self._providers: frozenset[str] = frozenset()
        self.listed = ListedModels(max_label_sets // 2 // len(OUTCOMES))
        self._series: dict[tuple[str, str], Series] = {}
        self._standing: Family[Count] | None = None  # the breakers, as of the last ``gather``

        self.requests = Family(
            "llm_requests_total",
            "counter",
            "Calls to models that ended, by how they ended.",
            (*_DEPLOYMENT, "outcome"),
            Count,
            bound=max_label_sets,
            closed=OUTCOMES,
        )
        self.errors = Family(
            "llm_requests_errors_total",
            "counter",
            "Calls to models that ended in an error, by its code, or by the class of the status that was relayed.",
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
        self.others = Family(
            "gateway_other_requests_total",
            "counter",
            "Requests that are no calls to a model: the list of models, passthrough, pages, preflights, refused ones.",
            ("kind", "outcome"),
            Count,
            bound=len(OTHERS) * len(OUTCOMES) + 1,
        )
        self.duration = self._histogram(
            "llm_requests_duration_seconds", "From the request's head to the end of its answer.", DURATION
        )
        self.first_token = self._histogram(
            "llm_time_to_first_token_seconds",
            "From the request's head to the first content of a streamed answer.",
            FIRST_TOKEN,
        )
        self.inter_token = self._histogram(
            "llm_inter_token_seconds",
            "From one token to the next: the mean of each streamed answer that came to its end.",
            INTER_TOKEN,
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
        self._good_attempts = Column(self.attempts, "ok").__getitem__
        self.fallbacks = 0
        self.limits = Family(
            "rate_limit_requests_total",
            "counter",
            "Requests that the limits of the gateway let through, or refused, by the level whose limit it was.",
            ("level", "outcome"),
            Count,
            bound=len(LEVELS) + 3,
        )
        # There from the beginning, so that the first refusal is a rise.
        self._admitted = self.limits.cell(EVERY_LEVEL, "admitted")
        self._refused = {level: self.limits.cell(level, "refused") for level in LEVELS}
        overhead = Family(
            "gateway_overhead_seconds",
            "histogram",
            "The gateway's own share of an exchange: before a provider was asked, and after the last had answered.",
            (),
            partial(Spread, OVERHEAD),
            bound=1,
        )
        self.overhead: Family[Spread] = overhead
        self._overhead = overhead.cell()

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("gateway_build", "What runs.", registry=self.registry).info(
            {"version": version, "python": platform.python_version()}
        )
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

    def know(self, deployments: Iterable[tuple[str, str]], providers: Iterable[str] = ()) -> None:
        """The (provider, upstream model) pairs of the configuration, and all its providers, which become labels.

        Called at start and at each reload. Counters of pairs that went away stay, as counters must.
        """
        self._known = frozenset(deployments)
        self._providers = frozenset(provider for provider, _ in self._known) | frozenset(providers)

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Count exchanges that ended; every field is final. Each once."""
        known, good_attempts, overhead = self._series, self._good_attempts, self._overhead.observe
        for exchange in ended:
            if exchange.endpoint.kind != "call":
                self._count_other(exchange)
                continue
            series = known.get((exchange.provider, exchange.request_model)) or self._find(exchange)
            series.requests(exchange.outcome).value += 1
            end = exchange.ended
            if end is not None:
                series.duration(end - exchange.began)
            if exchange.stream:
                _count_stream(series, exchange)
            if (usage := exchange.usage) is not None:
                _count_tokens(series.tokens, usage if usage.details is UNSET else usage.summed())
            attempts = exchange.attempts
            for attempt in attempts:
                if attempt.failure:
                    self._count_attempt(attempt)
                else:
                    good_attempts(attempt.deployment.provider.name).value += 1
            if attempts:
                overhead(own_share(exchange, attempts))
            if exchange.fallback_used:
                self.fallbacks += 1
            if exchange.outcome != "ok":
                self._count_failure(series, exchange)
        self._unfolded += len(ended)
        if self._unfolded >= _FOLD:
            self._fold()

    @property
    def in_flight(self) -> int:
        return self.running()

    def page(self, status: int) -> None:
        """Count a page of the control plane that was answered with ``status``."""
        self.others.cell("page", "ok" if status < 400 else "error").value += 1

    def admitted(self) -> None:
        """Count a request that every limit let through; once per exchange."""
        self._admitted.value += 1

    def limited(self, level: str) -> None:
        """Count a request that a limit of this level refused; once per exchange."""
        cell = self._refused.get(level)
        (cell if cell is not None else self.limits.cell(OTHER, "refused")).value += 1

    def reject(self, reason: str) -> None:
        """Count a request that was refused before a provider was asked; ``reason`` is an error's code."""
        _named(self.rejected, reason).value += 1

    def gather(self) -> Generator[None]:
        """Look at the breakers for ``families``; the loop may have its turn at each step."""
        self._standing = yield from breaker_states(self.breakers(), self._bound)

    def families(self) -> Iterator[Family[Count] | Family[Spread]]:
        """Every metric but those of ``registry``, as it is now; of the breakers, as ``gather`` found them."""
        yield self.requests
        yield self.errors
        yield self.rejected
        yield self.others
        yield single("llm_requests_in_flight", "gauge", "Exchanges that began and did not end yet.", self.in_flight)
        yield self.duration
        yield self.first_token
        yield self.inter_token
        yield self.longest_gap
        yield self.tokens
        yield self.attempts
        yield single("llm_fallbacks_total", "counter", "Calls to models that came to the fallback.", self.fallbacks)
        yield self.limits
        yield self.overhead
        if self._standing is not None:
            yield self._standing
        yield components_up(self.components(), self._bound)
        if self.lag is not None:
            yield from lag(self.lag)
        yield open_connections(self.upstream_connections(), self._bound)
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
            "Calls to models whose client left before the end.",
            self.client_disconnects,
        )
        yield self.truncated
        yield single(
            "llm_events_dropped_total",
            "counter",
            "Events of providers that had no data, or data that no JSON parser reads, and were not relayed.",
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

    def _fold(self) -> None:
        self._unfolded = 0
        for family in (self.duration, self.first_token, self.inter_token, self.longest_gap, self.overhead):
            for spread in family.cells.values():
                spread.fold()

    def _find(self, exchange: Exchange) -> Series:
        provider, model = exchange.provider, exchange.request_model
        # A pair from outside the configuration finds its series in two lookups every time, so that names
        # made up by clients leave nothing behind.
        if not provider:
            labels = (NONE, NONE)
        elif (provider, model) in self._known or (provider, model) in self.listed:
            labels = (provider, model)
        else:
            labels = (provider if provider in self._providers else OTHER, OTHER)
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series(self, labels)
        return series

    def _count_other(self, exchange: Exchange) -> None:
        """A request that is no call to a model. Attempts are the provider's affair, whatever they were for."""
        kind = exchange.endpoint.kind
        name = ("preflight" if exchange.outcome == "ok" else "refused") if kind == "unrouted" else kind
        self.others.cell(name, exchange.outcome).value += 1
        for attempt in exchange.attempts:
            self._count_attempt(attempt)

    def _count_attempt(self, attempt: Attempt) -> None:
        self.attempts.cell(attempt.deployment.provider.name, attempt.failure or "ok").value += 1

    def _count_failure(self, series: Series, exchange: Exchange) -> None:
        if exchange.outcome == "client_gone":
            self.client_disconnects += 1
            return
        relayed = f"status_{exchange.status // 100}xx" if exchange.status else exchange.outcome
        _named(self.errors, exchange.error or relayed).value += 1
        if exchange.outcome == "broken" or exchange.error == StreamTruncated.code:
            series.truncated.value += 1


def _count_stream(series: Series, exchange: Exchange) -> None:
    first, end = exchange.first_content, exchange.ended
    if first is None:
        return
    series.first_token(first - exchange.began)
    series.longest_gap(exchange.longest_gap)
    if exchange.outcome == "ok" and end is not None and (tokens := streamed_tokens(exchange)) > 1:
        series.inter_token((end - first) / (tokens - 1))


def _count_tokens(cell: Callable[[str], Count], usage: Usage) -> None:
    # Unknown (None) is not 0. A provider that reports less than nothing must not turn a counter back.
    if (tokens := usage.input) is not None and tokens >= 0:
        cell("input").value += tokens
    if (tokens := usage.cache_read) is not None and tokens >= 0:
        cell("cached").value += tokens
    if (tokens := usage.output) is not None and tokens >= 0:
        cell("output").value += tokens
    if (tokens := usage.reasoning) is not None and tokens >= 0:
        cell("reasoning").value += tokens


def _named(family: Family[Count], name: str) -> Count:
    cell = family.cells.get((name,))
    return cell if cell is not None else family.cell(name if _KIND.fullmatch(name) else OTHER)
