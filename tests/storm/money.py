"""Comparison of the ledger's rows with the providers' bills, the log and the metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxy.ledger.row import Row
from tests.storm.bills import Bill, Tokens, cost_of
from tests.storm.provider import SeenRequest

ABANDONED = ("client_gone", "slow", "outrun", "timeout")  # the gateway may not have read what was sent
NANO = 10**9

_Key = tuple[str, str, str]  # request, provider, upstream model


class Money:
    """``audit`` adds a line to ``wrong`` per disagreement; the counters, by provider, are for the table."""

    def __init__(self, rows: Sequence[Row], lines: Sequence[dict[str, Any]], requests: Sequence[SeenRequest]) -> None:
        self.wrong: list[str] = []
        self.sources: Counter[tuple[str, str]] = Counter()  # attempts by provider and source of their usage
        self.known: Counter[str] = Counter()  # nano-USD of usage that was read
        self.estimated: Counter[str] = Counter()  # nano-USD
        self.billed: Counter[str] = Counter()  # nano-USD of usage that was sent
        self.unread: Counter[str] = Counter()  # nano-USD of usage that was sent to a gateway that had left
        self._rows = rows
        self._lines = lines
        self._requests = requests

    def audit(self, cost: Mapping[str, float], unknown: int) -> None:
        """``cost``: USD by provider, and ``unknown``: attempts without a cost, in the metrics."""
        self._compare_with_log()
        self._compare_with_bills()
        self._add_up()
        for provider in self.known.keys() | self.estimated.keys() | cost.keys():
            rows = (self.known[provider] + self.estimated[provider]) / NANO
            if abs(rows - cost.get(provider, 0.0)) > 0.1 / NANO:
                self.wrong.append(f"{provider}: {cost.get(provider)} USD in the metrics, {rows} in the ledger")
        without = sum(row.cost is None for row in self._rows)
        if unknown != without:
            self.wrong.append(f"{unknown} attempts without a cost in the metrics, {without} in the ledger")

    def _compare_with_log(self) -> None:
        """Each attempt of each exchange has one row, and their costs add up to what the log says."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows:
            rows[row.request_id].append(row)
        names = {line["request_id"] for line in self._lines}
        self.wrong += [f"{name}: has rows but no line in the log" for name in rows.keys() - names]
        for line in self._lines:
            name, mine = line["request_id"], rows[line["request_id"]]
            if sorted(row.attempt for row in mine) != [*range(1, line["attempts"] + 1)]:
                numbers = [row.attempt for row in mine]
                self.wrong.append(f"{name}: {line['attempts']} attempts in the log, rows for {numbers}")
            costs = [row.cost for row in mine]
            cost = None if not costs or None in costs else sum(filter(None, costs)) / NANO
            if line.get("cost_usd") != cost:
                self.wrong.append(f"{name}: {line.get('cost_usd')} USD in the log, {cost} in the ledger")

    def _compare_with_bills(self) -> None:
        seen: dict[_Key, list[SeenRequest]] = defaultdict(list)
        for each in sorted(self._requests, key=lambda each: each.number):
            seen[each.name, each.provider, each.model].append(each)
        rows: dict[_Key, list[Row]] = defaultdict(list)
        for row in sorted(self._rows, key=lambda row: row.attempt):
            rows[row.request_id, row.provider, row.upstream_model].append(row)
        for key in seen.keys() | rows.keys():
            self.wrong += (f"{' '.join(key)}: {fault}" for fault in self._mismatches(rows[key], seen[key]))

    def _mismatches(self, rows: Sequence[Row], seen: Sequence[SeenRequest]) -> Iterator[str]:
        for row in rows:
            yield from _own_mistakes(row)
        sent = Counter(each.bill for each in seen if each.bill is not None)
        read = Counter(_as_bill(row) for row in rows if row.usage_source == "provider")
        for bill in read - sent:
            yield f"{bill} is in the ledger, but was not sent"
        unread = sent - read
        self.unread[seen[0].provider if seen else ""] += _sum(bill.cost for bill in unread.elements())
        if unread.total() > sum(row.end in ABANDONED for row in rows):
            yield f"{[*unread]} was sent, but is not in the ledger: {[(row.end, row.usage_source) for row in rows]}"
        # A request that was sent again has one row.
        left = [each for each in seen if each.bill is not None or not each.maybe_repeated or len(seen) == len(rows)]
        if len(left) == len(rows):
            yield from _wrong_sources(zip(rows, left, strict=True))

    def _add_up(self) -> None:
        for row in self._rows:
            self.sources[row.provider, row.usage_source] += 1
            (self.estimated if row.usage_source == "estimated" else self.known)[row.provider] += row.cost or 0
        for each in self._requests:
            if each.bill is not None:
                self.billed[each.provider] += each.bill.cost or 0
        for provider in self.billed:
            if self.known[provider] + self.unread[provider] != self.billed[provider]:
                self.wrong.append(
                    f"{provider} billed {self.billed[provider]} nano-USD, the ledger knows {self.known[provider]},"
                    f" and {self.unread[provider]} were not read"
                )


def _own_mistakes(row: Row) -> Iterator[str]:
    """What is wrong in a row, whatever was sent."""
    tokens = _tokens(row)
    match row.usage_source:
        case "none":
            expected = (Tokens(0, None, 0, None), 0)
        case "unknown":
            expected = (Tokens(None, None, None, None), None)
        case _:
            expected = (tokens, cost_of(row.provider, tokens))
    if (tokens, row.cost) != expected:
        yield f"{row.usage_source}: {tokens} for {row.cost} nano-USD, expected {expected}"
    if (row.cost is None) != (row.cost_source == "unpriced"):
        yield f"{row.cost} nano-USD by {row.cost_source}"


def _wrong_sources(pairs: Iterable[tuple[Row, SeenRequest]]) -> Iterator[str]:
    for row, each in pairs:
        if each.bill is None and row.end not in ABANDONED and row.usage_source not in each.fault.sources:
            yield f"{each.fault.name} ended as {row.end}, but its usage is {row.usage_source}"


def _as_bill(row: Row) -> Bill:
    return Bill(_tokens(row), row.cost)


def _tokens(row: Row) -> Tokens:
    return Tokens(row.input, row.cached, row.output, row.reasoning)


def _sum(costs: Iterable[int | None]) -> int:
    return sum(cost or 0 for cost in costs)
