from __future__ import annotations

from typing import Any

from proxy.budgets.base import BALANCE, Shortfall
from proxy.budgets.listeners import count_refusals, to_events, to_log, to_metrics
from proxy.budgets.reports import report_of
from proxy.events.base import GatewayEvent
from proxy.observe.metrics import Metrics
from tests.budgets.rig import NOON
from tests.budgets.test_reports import counter_of

NANO = 1_000_000_000


class KeptEvents:
    """Keeps what it is offered."""

    def __init__(self) -> None:
        self.events: list[GatewayEvent] = []

    def offer(self, event: GatewayEvent) -> None:
        self.events.append(event)


def test_the_log_names_the_budget_and_its_amounts() -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    listen = to_log(lambda message, **fields: lines.append((message, fields)))
    listen(report_of(counter_of(), 80, 4_100_000_000, NOON))
    listen(report_of(counter_of(), 100, 5 * NANO, NOON))
    listen(report_of(counter_of(), 100, 4_700_000_000, NOON))
    listen(report_of(counter_of(soft=True), 100, 5 * NANO, NOON))
    listen(report_of(counter_of(name=BALANCE), 90, 4_900_000_000, NOON))
    listen(report_of(counter_of(name=BALANCE), 100, 5 * NANO, NOON))
    assert [message for message, _ in lines] == [
        "A budget has reached a threshold.",
        "A budget is used up.",
        "A budget does not cover a call.",
        "A budget has reached a threshold.",
        "A balance does not cover a call.",
        "A balance is used up.",
    ]
    assert lines[0][1] == {
        "budget": "daily",
        "per": "owner",
        "subject": "a/b",
        "window": "2026-11-29",
        "threshold": 80,
        "used": 82,
        "unit": "usd",
        "spent": 4.1,
        "cap": 5.0,
        "renews": "2026-11-30T00:00:00Z",
    }


def test_an_event_has_the_counter_as_its_subject() -> None:
    announcer, report = KeptEvents(), report_of(counter_of(), 80, 4 * NANO, NOON)
    to_events(announcer)(report)
    assert announcer.events == [GatewayEvent(report.id, "budget_threshold", NOON, "daily/2026-11-29/a/b", report)]


def test_refusals_are_counted_by_budget() -> None:
    metrics, seen = Metrics(), list[Shortfall]()
    refused = count_refusals(metrics, seen.append)
    shortfalls = [Shortfall(counter_of(name=name), 2, 1) for name in ("daily", "daily", BALANCE)]
    for short in shortfalls:
        refused(short)
    assert seen == shortfalls
    counts = {labels: cell.value for labels, cell in metrics.families.refusals.cells.items()}
    assert counts == {("daily",): 2, (BALANCE,): 1}


def test_thresholds_are_counted_by_budget_and_percent() -> None:
    metrics = Metrics()
    for percent in (50, 80, 80):
        to_metrics(metrics)(report_of(counter_of(), percent, 4 * NANO, NOON))
    counts = {labels: cell.value for labels, cell in metrics.families.thresholds.cells.items()}
    assert counts == {("daily", "50"): 1, ("daily", "80"): 2}
