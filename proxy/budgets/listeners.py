"""Who is told of thresholds: the log, the metrics, and what takes events."""

from __future__ import annotations

from collections.abc import Callable

from proxy.budgets.base import BALANCE, Shortfall
from proxy.budgets.book import Book
from proxy.budgets.reports import BudgetThreshold
from proxy.budgets.thresholds import Listener, SharedSpend, Thresholds
from proxy.budgets.totals import totals_by_budget
from proxy.events.base import Announcer, GatewayEvent
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics


def open_thresholds(
    book: Book, metrics: Metrics, log: Log, events: Announcer, shared: SharedSpend | None = None
) -> Thresholds:
    """Report the thresholds of the counters in ``book``, and show their sums as metrics.

    Others may be added to ``listeners``.
    """
    thresholds = Thresholds(book.wall, shared)
    thresholds.listeners += to_log(log.warning), to_metrics(metrics), to_events(events)
    book.crossed = thresholds.crossed
    book.refused = count_refusals(metrics, thresholds.refused)
    metrics.budgets = lambda: totals_by_budget(book, book.wall())
    return thresholds


def count_refusals(metrics: Metrics, then: Callable[[Shortfall], None]) -> Callable[[Shortfall], None]:
    """Count each refusal by its budget before ``then``."""

    def refused(short: Shortfall) -> None:
        metrics.not_covered(short.counter.budget.name)
        then(short)

    return refused


def to_log(warn: Callable[..., None]) -> Listener:
    """Write a line."""

    def listen(report: BudgetThreshold) -> None:
        warn(
            _message(report),
            budget=report.budget,
            per=report.per,
            subject=report.subject,
            window=report.window,
            threshold=report.threshold,
            used=report.used,
            unit=report.unit,
            spent=report.spent,
            cap=report.cap,
            renews=report.renews,
        )

    return listen


def to_metrics(metrics: Metrics) -> Listener:
    """Count by budget and threshold."""
    return lambda report: metrics.crossed(report.budget, report.threshold)


def to_events(announcer: Announcer) -> Listener:
    """Offer an event."""
    return lambda report: announcer.offer(GatewayEvent(report.id, "budget_threshold", report.at, report.key, report))


def _message(report: BudgetThreshold) -> str:
    if report.budget == BALANCE:
        return "A balance is used up." if report.used >= 100 else "A balance does not cover a call."
    if report.threshold >= 100 and not report.soft:
        return "A budget is used up." if report.used >= 100 else "A budget does not cover a call."
    return "A budget has reached a threshold."
