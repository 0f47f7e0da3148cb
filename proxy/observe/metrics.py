"""Metrics of the gateway: each exchange is counted once, when it has ended.

``llm_requests_...`` and ``llm_tokens_...`` are calls to models. All other requests are in
``gateway_other_requests_total``.

Labels are configured names or our own words, never text of clients, except the users of ``user_balance``. A metric has
at most ``max_label_sets`` label sets; later ones are counted as ``other``. An exchange without attempts has provider
and model ``none``. Values that are only read at a scrape are in ``gauges.py``, the families in ``families.py``.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import UNSET
from prometheus_client import CollectorRegistry, Histogram, Info, ProcessCollector

from proxy.dialects.usage import Usage
from proxy.errors import StreamTruncated
from proxy.exchange import Attempt, Exchange
from proxy.observe.bounds import CONNECT
from proxy.observe.facts import own_share, streamed_tokens
from proxy.observe.families import EVERY_LEVEL, LEVELS, OUTCOMES, Families, Series
from proxy.observe.family import OTHER, CellsOfLast, Count, Family, HistogramCell, single
from proxy.observe.gauges import (
    BreakerSample,
    BudgetSample,
    CacheSample,
    RecorderSample,
    breaker_states,
    budget_amounts,
    cached_answers,
    components_up,
    lag,
    open_connections,
    receiver_events,
    user_balances,
    waiting_rows,
)
from proxy.observe.lag import Lag
from proxy.observe.listed import ListedModels
from proxy.observe.process_limits import ProcessLimits
from proxy.observe.service_metrics import ServiceMetrics
from proxy.pricing.bill import Bill
from proxy.pricing.rates import NANO

NONE: Final = "none"
_NOT_OF_PROVIDERS: Final = frozenset(("hit", "stale"))  # what the cache did where its answer was given

# Codes of errors, which providers can influence.
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FOLD: Final = 256  # exchanges between two folds of the histograms, which take 0.2 to 0.6 ms

# Families of one number without labels.
_SINGLES: Final[dict[str, tuple[Literal["counter", "gauge"], str]]] = {
    "llm_requests_in_flight": ("gauge", "Exchanges in progress."),
    "llm_fallbacks_total": ("counter", "Calls to models that used the fallback."),
    "llm_upstream_connections_opened_total": ("counter", "Connections opened to providers."),
    "llm_upstream_connections_reused_total": ("counter", "Attempts that reused a kept connection."),
    "llm_client_disconnects_total": ("counter", "Calls to models whose client left before the end."),
    "llm_events_dropped_total": (
        "counter",
        "Events of providers without data, or with data that no JSON parser reads; they were not relayed.",
    ),
    "llm_forgotten_attempts_total": ("counter", "Attempts that the ledger has no row of, as its spool was full."),
    "llm_forgotten_events_total": ("counter", "Events that no receiver gets, as the ledger's spool was full."),
    "llm_possible_double_executions_total": (
        "counter",
        "Requests sent again after a kept connection broke; the provider may have run both.",
    ),
}


class Metrics:
    """All metrics of one process.

    The plain numbers are incremented by their owners. Callables are called at each scrape: ``running`` (exchanges in
    progress), ``upstream_connections`` (by provider), ``breakers``, ``components`` (whether each is up), ``recorder``
    (of the ledger; ``None``: there is none), ``balances`` (of accounts; empty: there are none), ``budgets`` (it
    yields between portions). ``cache``: of answers; ``None``: it is off. ``services``: what is measured of services.
    ``registry`` has what prometheus_client measures, including ``connect_seconds`` for ``prometheus_async.aio.time``.
    """

    def __init__(self, *, max_label_sets: int = 500, version: str = "unknown") -> None:
        self.running: Callable[[], int] = int
        self.upstream_connections: Callable[[], Mapping[str, int]] = dict
        self.breakers: Callable[[], Iterable[BreakerSample]] = tuple
        self.components: Callable[[], Mapping[str, bool]] = dict
        self.recorder: Callable[[], RecorderSample | None] = lambda: None
        self.cache: Callable[[], CacheSample | None] = lambda: None
        self.balances: Callable[[], Mapping[str, float]] = dict
        self.budgets: Callable[[], Generator[None, None, Sequence[BudgetSample]]] = _no_budgets
        self.lag: Lag | None = None
        self.upstream_connections_opened = 0
        self.upstream_connections_reused = 0
        self.client_disconnects = 0
        self.dropped_events = 0
        self.possible_double_executions = 0
        self.forgotten_attempts = 0
        self.forgotten_events = 0
        self.fallbacks = 0

        self.families = families = Families(max_label_sets)
        self.services = ServiceMetrics(max_label_sets)
        self._unfolded = 0  # exchanges since the last fold
        self._bound = max_label_sets
        self._known: frozenset[tuple[str, str]] = frozenset()
        self._providers: frozenset[str] = frozenset()
        self.listed = ListedModels(max_label_sets // 2 // len(OUTCOMES))
        self._series: dict[tuple[str, str], Series] = {}
        self._breaker_states: Family[Count] | None = None  # from the last ``gather``
        self._budgets: Sequence[BudgetSample] = ()  # from the last ``gather``
        self._good_attempts = CellsOfLast(families.attempts, "ok").__getitem__
        # Made now, so that the first refusal is an increase.
        self.admitted = families.limits.cell(EVERY_LEVEL, "admitted")  # exchanges that all limits admitted
        self._refused = {level: families.limits.cell(level, "refused") for level in LEVELS}
        self._overhead = families.overhead.cell()

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(ProcessLimits())
        build = Info("gateway_build", "Version of the gateway and of Python.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})
        self.connect_seconds = Histogram(
            "llm_upstream_connect_seconds",
            "Name resolution, TCP, TLS and proxy handshake of each upstream connection.",
            buckets=CONNECT,
            registry=self.registry,
        )
        self.scrape_seconds = Histogram(
            "sluice_scrape_seconds",
            "Wall time of each scrape, including other work of the loop meanwhile.",
            buckets=CONNECT,
            registry=self.registry,
        )

    def set_labels(self, deployments: Iterable[tuple[str, str]], providers: Iterable[str] = ()) -> None:
        """Set the configured (provider, upstream model) pairs and providers, which become labels.

        Called at start and at each reload. Counters of removed pairs stay.
        """
        self._known = frozenset(deployments)
        self._providers = frozenset(provider for provider, _ in self._known) | frozenset(providers)

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Count exchanges that ended, each once."""
        known, good_attempts, overhead = self._series, self._good_attempts, self._overhead.observe
        for exchange in ended:
            if exchange.endpoint.kind != "call":
                self._count_other(exchange)
                continue
            if exchange.cache in _NOT_OF_PROVIDERS:
                series = self._find("", "")
            else:
                series = known.get((exchange.provider, exchange.request_model)) or self._find(
                    exchange.provider, exchange.request_model
                )
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
                if (bill := attempt.bill) is not None and bill.source != "none":
                    _count_cost(series if len(attempts) == 1 else self._series_of(exchange, attempt), bill)
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
        """Count a request for a page of the control plane."""
        self.families.others.cell("page", "ok" if status < 400 else "error").value += 1

    def limited(self, level: str) -> None:
        """Count an exchange that a limit of this level refused."""
        cell = self._refused.get(level)
        (cell if cell is not None else self.families.limits.cell(OTHER, "refused")).value += 1

    def not_covered(self, budget: str) -> None:
        """Count a call that a budget has refused."""
        self.families.refusals.cell(budget).value += 1

    def crossed(self, budget: str, threshold: int) -> None:
        """Count a threshold that a budget has reached, in percent."""
        self.families.thresholds.cell(budget, str(threshold)).value += 1

    def reject(self, reason: str) -> None:
        """Count a request that was refused before any attempt; ``reason`` is the code of the error."""
        _named(self.families.rejected, reason).value += 1

    def gather(self) -> Generator[None]:
        """Sample breakers, budgets and services for ``collect``; yields between portions."""
        self._breaker_states = yield from breaker_states(self.breakers(), self._bound)
        self._budgets = yield from self.budgets()
        yield from self.services.gather()

    def collect(self) -> Iterator[Family[Count] | Family[HistogramCell]]:
        """Current families, except those of ``registry``; breakers and budgets are from the last ``gather``."""
        families = self.families
        yield families.requests
        yield families.errors
        yield families.rejected
        yield families.others
        yield _single("llm_requests_in_flight", self.in_flight)
        yield families.duration
        yield families.first_token
        yield families.inter_token
        yield families.longest_gap
        yield families.tokens
        yield families.cost
        yield families.unknown_cost
        yield families.attempts
        yield _single("llm_fallbacks_total", self.fallbacks)
        yield families.limits
        yield families.thresholds
        yield families.refusals
        yield families.overhead
        if self._breaker_states is not None:
            yield self._breaker_states
        yield components_up(self.components(), self._bound)
        if self.lag is not None:
            yield from lag(self.lag)
        yield open_connections(self.upstream_connections(), self._bound)
        yield _single("llm_upstream_connections_opened_total", self.upstream_connections_opened)
        yield _single("llm_upstream_connections_reused_total", self.upstream_connections_reused)
        yield _single("llm_client_disconnects_total", self.client_disconnects)
        yield families.truncated
        yield _single("llm_events_dropped_total", self.dropped_events)
        yield _single("llm_forgotten_attempts_total", self.forgotten_attempts)
        yield _single("llm_forgotten_events_total", self.forgotten_events)
        yield _single("llm_possible_double_executions_total", self.possible_double_executions)
        if (sample := self.recorder()) is not None:
            yield from waiting_rows(sample)
            yield from receiver_events(sample, self._bound)
        if (cached := self.cache()) is not None:
            yield from cached_answers(cached)
        if self._budgets:
            yield from budget_amounts(self._budgets, self._bound)
        if balances := self.balances():
            yield user_balances(balances)
        yield from self.services.collect()

    def _fold(self) -> None:
        self._unfolded = 0
        for family in self.families.histograms():
            for cell in family.cells.values():
                cell.fold()

    def _series_of(self, exchange: Exchange, attempt: Attempt) -> Series:
        """The cells of one of several attempts."""
        deployment = attempt.deployment
        return self._find(deployment.provider.name, deployment.upstream_model or exchange.model)

    def _find(self, provider: str, model: str) -> Series:
        # Pairs that are not configured take two lookups each time, so that names of clients are not stored.
        if not provider:
            labels = (NONE, NONE)
        elif (provider, model) in self._known or (provider, model) in self.listed:
            labels = (provider, model)
        else:
            labels = (provider if provider in self._providers else OTHER, OTHER)
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series(self.families, labels)
        return series

    def _count_other(self, exchange: Exchange) -> None:
        """Count a request that is not a call to a model, and its attempts."""
        kind = exchange.endpoint.kind
        name = ("preflight" if exchange.outcome == "ok" else "refused") if kind == "unrouted" else kind
        self.families.others.cell(name, exchange.outcome).value += 1
        for attempt in exchange.attempts:
            self._count_attempt(attempt)

    def _count_attempt(self, attempt: Attempt) -> None:
        self.families.attempts.cell(attempt.deployment.provider.name, attempt.failure or "ok").value += 1

    def _count_failure(self, series: Series, exchange: Exchange) -> None:
        if exchange.outcome == "client_gone":
            self.client_disconnects += 1
            return
        relayed = f"status_{exchange.status // 100}xx" if exchange.status else exchange.outcome
        _named(self.families.errors, exchange.error or relayed).value += 1
        if exchange.outcome == "broken" or exchange.error == StreamTruncated.code:
            series.truncated.value += 1


def _no_budgets() -> Generator[None, None, Sequence[BudgetSample]]:
    yield from ()
    return ()


def _count_stream(series: Series, exchange: Exchange) -> None:
    first, end = exchange.first_content, exchange.ended
    if first is None:
        return
    series.first_token(first - exchange.began)
    series.longest_gap(exchange.longest_gap)
    if exchange.outcome == "ok" and end is not None and (tokens := streamed_tokens(exchange)) > 1:
        series.inter_token((end - first) / (tokens - 1))


def _count_tokens(cell: Callable[[str], Count], usage: Usage) -> None:
    # None is unknown, not 0. A negative value must not decrease a counter.
    if (tokens := usage.input) is not None and tokens >= 0:
        cell("input").value += tokens
    if (tokens := usage.cache_read) is not None and tokens >= 0:
        cell("cached").value += tokens
    if (tokens := usage.output) is not None and tokens >= 0:
        cell("output").value += tokens
    if (tokens := usage.reasoning) is not None and tokens >= 0:
        cell("reasoning").value += tokens


def _count_cost(series: Series, bill: Bill) -> None:
    nano, source = bill.cost.nano, bill.cost.source
    if nano is None:
        series.unknown_cost("usage" if bill.source == "unknown" else "price").value += 1
    else:
        series.cost("estimated" if bill.source == "estimated" else source).value += nano / NANO


def _named(family: Family[Count], name: str) -> Count:
    cell = family.cells.get((name,))
    return cell if cell is not None else family.cell(name if _CODE.fullmatch(name) else OTHER)


def _single(name: str, value: float) -> Family[Count]:
    kind, documentation = _SINGLES[name]
    return single(name, kind, documentation, value)
