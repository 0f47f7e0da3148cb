"""Metrics of the present state, made for each scrape.

Sampling the breakers of 10,000 deployments takes milliseconds, so it is done in portions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, get_args

from msgspec import Struct

from proxy.breakers.table import State
from proxy.observe.family import OTHER, Count, Family, single
from proxy.observe.lag import Lag

STATES: tuple[State, ...] = get_args(State)
PORTION: Final = 500  # deployments: some 0.3 ms

_BUDGET_SPENT: Final = "Spent in the counters of a budget that this process uses, by all processes."
_BUDGET_HELD: Final = "Held by this process for calls that are not billed yet."
_BUDGET_USED: Final = "The highest part of its cap that a counter of a budget has spent."

_EVENTS_WAITING: Final = "Events in the outbox that wait for a receiver."
_EVENTS_OLDEST: Final = "How long ago the first of them happened."
_EVENTS_SENT: Final = "Events that a receiver has, since the recorder started."
_EVENTS_FAILED: Final = "Tries to send an event, or several at once, that failed, since the recorder started."
_EVENTS_DEAD: Final = "Events that were given up. They can be sent again."
_EVENTS_FORGOTTEN: Final = "Events that were not put into the full outbox (events.onFull), since the recorder started."


class BreakerSample(NamedTuple):
    """State of a deployment's breaker. ``deployment``: its ID; ``model``: upstream model name."""

    deployment: str
    provider: str
    model: str
    state: State


class CacheSample(NamedTuple):
    """What the cache of answers did: requests by result, and what hits have saved, in USD and tokens.

    ``answers``, ``size`` (bytes): in the memory of this process; -1 if they are elsewhere.
    """

    results: Mapping[str, int]
    usd: float
    input: int
    output: int
    evicted: int
    answers: int = -1
    size: int = -1


class RecorderSample(NamedTuple):
    """What waits for the ledger's database: rows, the oldest for so many seconds, and bytes of the spool.

    ``receivers``: of events. ``forgotten_events``: since the recorder started, as the outbox was full.
    """

    rows: int
    seconds: float
    spool_bytes: int
    receivers: Sequence[ReceiverSample] = ()
    dead_letters: int = -1  # at the broker; -1: not known
    forgotten_events: int = 0


class ReceiverSample(NamedTuple):
    """Events of a receiver: what waits, the oldest for so many seconds; what was sent and what failed; what is dead."""

    name: str
    waiting: int
    seconds: float
    sent: int
    failed: int
    dead: int


class BudgetSample(Struct):
    """What the counters of a budget say together. ``unit``: ``usd`` or ``tokens``, of the amounts.

    ``cap``: of each counter; ``None``: they have no common one. ``used``: the highest part of a cap that is spent.
    """

    name: str
    unit: str
    cap: float | None
    spent: float = 0.0
    held: float = 0.0
    used: float = 0.0


_Row = dict[State, Count]


def breaker_states(standing: Iterable[BreakerSample], most: int) -> Generator[None, None, Family[Count]]:
    """A cell for each state of each deployment: 1 for its present state. Yields after every ``PORTION``.

    The first ``most`` deployments have cells of their own; the others, and those with the same labels, are counted
    together.
    """
    labels = ("deployment", "provider", "model", "state")
    documentation = "Deployments whose circuit breaker is in this state: 0 or 1; for other, their number."
    family = Family("circuit_breaker_state", "gauge", documentation, labels, Count, bound=(most + 1) * len(STATES))
    rows: dict[tuple[str, str, str], _Row] = {}
    for number, (deployment, provider, model, state) in enumerate(standing, 1):
        key = deployment, provider, model
        row = rows.get(key)
        if row is None:
            if len(rows) >= most:
                key = OTHER, OTHER, OTHER
            row = rows.get(key) or _entered(key, rows, family)
        row[state].value += 1
        if not number % PORTION:
            yield
    return family


def _entered(key: tuple[str, str, str], rows: dict[tuple[str, str, str], _Row], family: Family[Count]) -> _Row:
    row: _Row = {state: Count() for state in STATES}
    rows[key] = row
    for state, count in row.items():
        family.cells[*key, state] = count
    return row


def components_up(components: Mapping[str, bool], bound: int) -> Family[Count]:
    documentation = "Whether a component (limiter, database, breakers, ledger, recorder, events) can be reached."
    family = Family("gateway_component_up", "gauge", documentation, ("component",), Count, bound=bound)
    for name, up in components.items():
        family.cell(name).value = int(up)
    return family


def open_connections(by_provider: Mapping[str, int], bound: int) -> Family[Count]:
    documentation = "Open connections to providers, busy or kept alive."
    family = Family("llm_upstream_connections", "gauge", documentation, ("provider",), Count, bound=bound)
    for provider, count in by_provider.items():
        family.cell(provider).value += count
    return family


def waiting_rows(sample: RecorderSample) -> Iterator[Family[Count]]:
    yield single("llm_ledger_waiting_rows", "gauge", "Attempts that wait for the ledger's database.", sample.rows)
    yield single("llm_ledger_behind_seconds", "gauge", "How long the oldest of them has waited.", sample.seconds)
    yield single("llm_ledger_spool_bytes", "gauge", "Size of the ledger's spool on the disk.", sample.spool_bytes)


def cached_answers(sample: CacheSample) -> Iterator[Family[Count]]:
    documentation = "Calls to models by what the cache of answers did."
    requests = Family(
        "cache_requests_total", "counter", documentation, ("result",), Count, bound=len(sample.results) + 1
    )
    for result, number in sample.results.items():
        requests.cell(result).value = number
    yield requests
    documentation = "Tokens that answers from the cache once took, as far as they are known."
    tokens = Family("cache_saved_tokens_total", "counter", documentation, ("direction",), Count, bound=3)
    tokens.cell("input").value, tokens.cell("output").value = sample.input, sample.output
    yield tokens
    documentation = "What answers from the cache once cost, as far as it is known."
    yield single("cache_saved_usd_total", "counter", documentation, sample.usd)
    yield single("cache_evicted_total", "counter", "Answers removed for want of room.", sample.evicted)
    if sample.answers >= 0:
        yield single("cache_answers", "gauge", "Answers in the memory of this process.", sample.answers)
        yield single("cache_bytes", "gauge", "Size of these answers.", sample.size)


def receiver_events(sample: RecorderSample, bound: int) -> Iterator[Family[Count]]:
    """Families of the receivers of events; none without receivers."""
    if not sample.receivers:
        return
    labels = ("receiver",)
    waiting = Family("events_waiting", "gauge", _EVENTS_WAITING, labels, Count, bound=bound)
    oldest = Family("events_oldest_seconds", "gauge", _EVENTS_OLDEST, labels, Count, bound=bound)
    sent = Family("events_sent_total", "counter", _EVENTS_SENT, labels, Count, bound=bound)
    failed = Family("events_failed_total", "counter", _EVENTS_FAILED, labels, Count, bound=bound)
    dead = Family("events_dead", "gauge", _EVENTS_DEAD, labels, Count, bound=bound)
    for each in sample.receivers:
        waiting.cell(each.name).value += each.waiting
        cell = oldest.cell(each.name)
        cell.value = max(cell.value, each.seconds)
        sent.cell(each.name).value += each.sent
        failed.cell(each.name).value += each.failed
        dead.cell(each.name).value += each.dead
    yield from (waiting, oldest, sent, failed, dead)
    yield single("events_forgotten_total", "counter", _EVENTS_FORGOTTEN, sample.forgotten_events)
    if sample.dead_letters >= 0:
        documentation = "Messages in the dead letters of the message broker."
        yield single("events_dead_letters", "gauge", documentation, sample.dead_letters)


def user_balances(balances: Mapping[str, float]) -> Family[Count]:
    """``balances``: by user, which the caller bounds."""
    documentation = "Balances in billing.currency, of the users whose calls ended last."
    family = Family("user_balance", "gauge", documentation, ("user",), Count, bound=len(balances) + 1)
    for user, balance in balances.items():
        family.cell(user).value = balance
    return family


def budget_amounts(samples: Sequence[BudgetSample], bound: int) -> Iterator[Family[Count]]:
    """Families with a cell for each budget."""
    labels = ("budget", "unit")
    spent = Family("budget_spent", "gauge", _BUDGET_SPENT, labels, Count, bound=bound)
    held = Family("budget_held", "gauge", _BUDGET_HELD, labels, Count, bound=bound)
    cap = Family("budget_cap", "gauge", "The cap of each counter of a budget.", labels, Count, bound=bound)
    used = Family("budget_used_ratio", "gauge", _BUDGET_USED, ("budget",), Count, bound=bound)
    for sample in samples:
        spent.cell(sample.name, sample.unit).value += sample.spent
        held.cell(sample.name, sample.unit).value += sample.held
        used.cell(sample.name).value = sample.used
        if sample.cap is not None:
            cap.cell(sample.name, sample.unit).value = sample.cap
    yield from (spent, held, cap, used)


def lag(loop: Lag) -> Iterator[Family[Count]]:
    """The lag of the event loop: the latest, and the highest since the previous scrape."""
    yield single("gateway_event_loop_lag_seconds", "gauge", "How late the event loop's last timer ran.", loop.last)
    yield single(
        "gateway_event_loop_lag_max_seconds",
        "gauge",
        "How late the event loop's timers ran at most since the previous scrape.",
        loop.taken(),
    )
