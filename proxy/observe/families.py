"""Table of the metric families, and their cells for one provider and model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Final, get_args

from proxy.exchange import Outcome
from proxy.observe.bounds import DURATION, FIRST_TOKEN, GAP, INTER_TOKEN, OVERHEAD
from proxy.observe.family import CellsOfPair, Count, Family, HistogramCell

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
DIRECTIONS: Final = ("input", "cached", "output", "reasoning")
# Where a cost comes from: prices of the configuration, the provider itself, the catalog; or by estimated tokens.
COST_SOURCES: Final = ("operator", "provider", "catalog", "estimated")
UNKNOWN_COSTS: Final = ("usage", "price")  # what is not known of them
# Levels whose limit can refuse a request (``limits.base.Level``), and the level of requests that none refused.
LEVELS: Final = ("global", "client", "address", "model", "provider", "route")
EVERY_LEVEL: Final = "all"
# Kinds of requests that are not calls to models; unrouted ones are preflights or refused.
OTHERS: Final = ("models", "passthrough", "page", "preflight", "refused")

_PAIR: Final = ("provider", "model")
_MOST_CODES: Final = 100  # error codes, as providers can influence them


def _counter(
    name: str, documentation: str, labels: tuple[str, ...], bound: int, closed: tuple[str, ...] = ()
) -> Family[Count]:
    return Family(name, "counter", documentation, labels, Count, bound=bound, closed=closed)


def _histogram(
    name: str, documentation: str, bounds: tuple[float, ...], bound: int, labels: tuple[str, ...] = _PAIR
) -> Family[HistogramCell]:
    return Family(name, "histogram", documentation, labels, partial(HistogramCell, bounds), bound=bound)


class Families:
    """The families that settlement counts in, with at most ``bound`` label sets each."""

    def __init__(self, bound: int) -> None:
        codes = min(bound, _MOST_CODES)
        # fmt: off
        self.requests = _counter("llm_requests_total",
            "Calls to models that ended, by outcome.", (*_PAIR, "outcome"), bound, OUTCOMES)
        self.errors = _counter("llm_requests_errors_total",
            "Calls to models that ended with an error, by its code, or by the class of the relayed status.",
            ("kind",), codes)
        self.rejected = _counter("llm_requests_rejected_total",
            "Requests refused before any attempt.", ("reason",), codes)
        self.others = _counter("gateway_other_requests_total",
            "Requests that are not calls to models: the list of models, passthrough, pages, preflights, refused ones.",
            ("kind", "outcome"), len(OTHERS) * len(OUTCOMES) + 1)
        self.duration = _histogram("llm_requests_duration_seconds",
            "From the head of the request to the end of its response.", DURATION, bound)
        self.first_token = _histogram("llm_time_to_first_token_seconds",
            "From the head of the request to the first content of a streamed response.", FIRST_TOKEN, bound)
        self.inter_token = _histogram("llm_inter_token_seconds",
            "Mean time between tokens of each complete streamed response.", INTER_TOKEN, bound)
        self.longest_gap = _histogram("llm_stream_longest_gap_seconds",
            "Longest time without data within each streamed response.", GAP, bound)
        self.tokens = _counter("llm_tokens_total",
            "Tokens as reported by providers; the directions are disjoint.", (*_PAIR, "direction"), bound, DIRECTIONS)
        self.cost = _counter("llm_cost_usd_total",
            "Cost of the attempts of calls to models, as far as it is known.", (*_PAIR, "source"), bound, COST_SOURCES)
        self.unknown_cost = _counter("llm_unknown_cost_attempts_total",
            "Attempts that cost an unknown amount, as their usage or its price is not known.",
            (*_PAIR, "reason"), bound, UNKNOWN_COSTS)
        self.truncated = _counter("llm_streams_truncated_total",
            "Responses that broke off after their first content.", _PAIR, bound)
        self.attempts = _counter("llm_upstream_attempts_total",
            "Attempts at providers, by reason of failure, or ok.", ("provider", "reason"), bound)
        self.limits = _counter("rate_limit_requests_total",
            "Requests that rate limits admitted or refused, by the level of the limit.",
            ("level", "outcome"), len(LEVELS) + 3)
        self.thresholds = _counter("budget_thresholds_total",
            "Thresholds of budgets, in percent, that what was spent has reached.", ("budget", "threshold"), bound)
        self.refusals = _counter("budget_refusals_total",
            "Calls that were refused, by the budget that did not cover them.", ("budget",), bound)
        self.overhead = _histogram("gateway_overhead_seconds",
            "The gateway's share of each exchange: before the first attempt, and after the last response.",
            OVERHEAD, 1, labels=())
        # fmt: on

    def histograms(self) -> tuple[Family[HistogramCell], ...]:
        return self.duration, self.first_token, self.inter_token, self.longest_gap, self.overhead


class Series:
    """Cells of one (provider, model), each made at first use; for histograms, their ``observe``."""

    def __init__(self, families: Families, labels: tuple[str, str]) -> None:
        self._families = families
        self.labels = labels
        self.requests = CellsOfPair(families.requests, labels).__getitem__  # a third of the cost of a subscript
        self.tokens = CellsOfPair(families.tokens, labels).__getitem__
        self.cost = CellsOfPair(families.cost, labels).__getitem__
        self.unknown_cost = CellsOfPair(families.unknown_cost, labels).__getitem__

    @cached_property
    def duration(self) -> Callable[[float], None]:
        return self._families.duration.cell(*self.labels).observe

    @cached_property
    def first_token(self) -> Callable[[float], None]:
        return self._families.first_token.cell(*self.labels).observe

    @cached_property
    def inter_token(self) -> Callable[[float], None]:
        return self._families.inter_token.cell(*self.labels).observe

    @cached_property
    def longest_gap(self) -> Callable[[float], None]:
        return self._families.longest_gap.cell(*self.labels).observe

    @cached_property
    def truncated(self) -> Count:
        return self._families.truncated.cell(*self.labels)
