"""Comparison of the records of clients, gateway, providers and metrics for every request."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from proxy.ledger.row import Row
from tests.storm.caller import Account
from tests.storm.faults import AFTER_END, OK
from tests.storm.money import Money
from tests.storm.provider import SeenRequest
from tests.storm.traffic import UPSTREAM

DEAD = "dead"
GONE = "client_gone"
UNSEEN = (GONE, "slow", "outrun")  # the attempt may have been canceled before the provider read it
OUTCOMES = {"complete": "ok", "rejected": "error", "in-band error": "broken"}  # of clients that did not disconnect
Line = dict[str, Any]

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class UpstreamCall(Struct, frozen=True):
    """An attempt from the gateway's log; ``kind`` is ``OK`` for the successful one."""

    provider: str
    model: str  # as the provider names it
    kind: str


class Ledger:
    """All records of a run. ``audit`` adds a line to ``wrong`` per disagreement; the counters are for the table."""

    def __init__(
        self,
        accounts: Sequence[Account],
        lines: Sequence[Line],
        requests: Sequence[SeenRequest],
        page: str,
        rows: Sequence[Row],
        *,
        hedged: bool,
    ) -> None:
        self.wrong: list[str] = []
        self.endings = Counter(account.ending for account in accounts)
        self.outcomes = Counter(line["outcome"] for line in lines)
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.faults = Counter((each.provider, each.fault.name) for each in requests)
        self.sent_twice = 0  # certain: a stale connection failed and the request was sent again
        self.maybe_twice = 0
        self.unsent = 0  # the client disconnected before the gateway read a head
        self.late = 0  # responses after a timeout of the gateway
        self._accounts = accounts
        self._lines = lines
        self._requests = requests
        self.inputs = (accounts, lines, requests, page, rows)
        self.money = Money(rows, lines, requests)
        self._hedged = hedged
        self._metrics = _samples(page)

    def audit(self) -> None:
        lines, requests = self._by_name(self._lines), defaultdict(list)
        for each in sorted(self._requests, key=lambda each: each.number):
            requests[each.name].append(each)
            if each.hung:
                self.wrong.append(f"{each.name}: {each.provider} stalled, and the gateway did not close the connection")
        names = {account.name for account in self._accounts}
        self.wrong += [f"{name}: sent by no client" for name in (lines.keys() | requests.keys()) - names]
        for account in self._accounts:
            line = lines.get(account.name)
            if line is None and account.ending == "disconnected" and not requests[account.name]:
                self.unsent += 1
                continue
            if line is None:
                self.wrong.append(f"{account.name}: not in the log")
                continue
            if account.after_end and not any(each.fault.name == AFTER_END for each in requests[account.name]):
                self.wrong.append(f"{account.name}: an error after the end")
            faults = [*_client_mismatches(account, line), *self._attempt_mismatches(line, requests[account.name])]
            self.wrong += [
                f"{account.name}: {fault} | {_shown(account, line, requests[account.name])}" for fault in faults
            ]
        self._compare_totals()

    def _by_name(self, lines: Iterable[Line]) -> dict[str, Line]:
        found: dict[str, Line] = {}
        for line in lines:
            if line["request_id"] in found:
                self.wrong.append(f"{line['request_id']}: logged twice")
            found[line["request_id"]] = line
        return found

    # -- each request -----------------------------------------------------------------------------

    def _attempt_mismatches(self, line: Line, requests: list[SeenRequest]) -> list[str]:
        """Compare the attempts in the log with the requests that providers got."""
        wrong, left = [], list(requests)
        attempts = _attempts(line)
        if len(attempts) != line["attempts"]:
            wrong.append(f"{line['attempts']} attempts in the log, but {len(attempts)} are listed")
        # Those whose request may not have been read come last, where the order is unknown.
        ordered = sorted(attempts, key=lambda attempt: attempt.kind in UNSEEN) if self._hedged else attempts
        for attempt in ordered:
            self.attempts[attempt.provider, attempt.kind or "ok"] += 1
            wrong += self._request_mismatches(attempt, left, line["endpoint"] != "responses")
        return wrong + [f"{each.provider} got an attempt that is not in the log" for each in left]

    def _request_mismatches(self, attempt: UpstreamCall, left: list[SeenRequest], replayable: bool) -> list[str]:
        """Remove the attempt's requests from ``left``, and return the mismatches."""
        if attempt.provider == DEAD:
            return [] if attempt.kind in ("unreachable", *UNSEEN) else [f"{attempt.kind} at a closed port"]
        mine = self._take(attempt, left, replayable)
        if not mine:
            return [] if attempt.kind in UNSEEN else [f"{attempt.provider} got no request for an attempt"]
        last = mine[-1]
        if attempt.kind in last.kinds or attempt.kind in UNSEEN:
            return []
        if attempt.kind == "timeout" and last.last and last.closed:
            self.late += 1  # a busy event loop: the provider read the request after the timeout
            return []
        return [f"{last.fault.name} at {attempt.provider} was classified as {attempt.kind or 'a success'}"]

    def _take(self, attempt: UpstreamCall, left: list[SeenRequest], replayable: bool) -> list[SeenRequest]:
        mine: list[SeenRequest] = []
        while (found := self._next(attempt, left)) is not None:
            left.remove(found)
            mine.append(found)
            if not (replayable and found.maybe_repeated):
                break
            # On a busy loop a timeout may be handled before the end of the connection.
            self.sent_twice += attempt.kind not in (*UNSEEN, "timeout")
            self.maybe_twice += 1
        return mine

    def _next(self, attempt: UpstreamCall, left: list[SeenRequest]) -> SeenRequest | None:
        """Return the next request for ``attempt``; order matters unless attempts overlapped or timed out."""
        expected = (attempt.provider, attempt.model)
        found = left if self._hedged or attempt.kind == "timeout" else left[:1]
        mine = [each for each in found if (each.provider, each.model) == expected]
        if self._hedged:  # the other attempt there may have got another answer
            mine.sort(key=lambda each: not (each.maybe_repeated or attempt.kind in each.kinds))
        return mine[0] if mine else None

    # -- totals -----------------------------------------------------------------------------------

    def _compare_totals(self) -> None:
        stayed = Counter(OUTCOMES[ending] for ending in self.endings.elements() if ending in OUTCOMES)
        for outcome, count in self.outcomes.items():
            if not stayed[outcome] <= count <= stayed[outcome] + self.endings["disconnected"] + self.endings["invalid"]:
                self.wrong.append(
                    f"{outcome}: {count} in the log, {stayed[outcome]} clients, {self.endings['disconnected']} disconnected"
                )
        self._compare("llm_requests_total", self._by("llm_requests_total", "outcome"), self.outcomes)
        counted = self._by("llm_upstream_attempts_total", "provider", "reason")
        self._compare("llm_upstream_attempts_total", counted, self.attempts)
        fallbacks = sum(bool(line.get("fallback")) for line in self._lines)
        gone, tried = self.outcomes[GONE], sum(line["attempts"] for line in self._lines)
        for name, count in (
            ("llm_fallbacks_total", fallbacks),
            ("llm_client_disconnects_total", gone),
            ("llm_requests_in_flight", 0),
        ):
            self._compare(name, self.metric(name), count)
        twice = self.metric("llm_possible_double_executions_total")
        # For canceled attempts the log does not say whether the request was sent again.
        if not self.sent_twice <= twice <= self.maybe_twice:
            self.wrong.append(
                f"sent twice: {twice} in the metrics, {self.sent_twice} to {self.maybe_twice} at the providers"
            )
        silent = sum(count for (provider, _), count in self.attempts.items() if provider == DEAD)
        unseen = tried + int(twice) - len(self._requests) - silent
        ended = sum(count for (_, kind), count in self.attempts.items() if kind in UNSEEN)
        if not 0 <= unseen <= ended:
            self.wrong.append(f"{unseen} attempts without a request, but only {ended} were canceled")
        self._compare_money()

    def _compare_money(self) -> None:
        cost: Counter[str] = Counter()
        for name, labels, value in self._metrics:
            if name == "llm_cost_usd_total":
                cost[labels["provider"]] += value  # type: ignore[assignment]
        self.money.audit(cost, int(self.metric("llm_unknown_cost_attempts_total")))
        self.wrong += self.money.wrong

    def _compare(self, name: str, metrics: object, others: object) -> None:
        if metrics != others:
            self.wrong.append(f"{name}: {metrics} in the metrics, {others} in the other records")

    def metric(self, name: str) -> float:
        return sum(value for found, _, value in self._metrics if found == name)

    def _by(self, name: str, *labels: str) -> Counter[Any]:
        sums: Counter[Any] = Counter()
        for found, labelled, value in self._metrics:
            if found == name and value:
                key = tuple(labelled[label] for label in labels)
                sums[key if len(labels) > 1 else key[0]] += int(value)
        return sums


def _client_mismatches(account: Account, line: Line) -> list[str]:
    """Compare the outcome that the client saw with the log."""
    if account.ending == "invalid":
        return [f"invalid response: {account.why}"]
    outcome = line["outcome"]
    if account.ending == "disconnected":
        return [] if outcome in (*OUTCOMES.values(), GONE) else [f"a client disconnected, but the outcome is {outcome}"]
    wrong = []
    if outcome != OUTCOMES[account.ending]:
        wrong.append(f"{outcome} in the log, {account.ending} for the client")
    if line["status"] != account.status:
        wrong.append(f"status {line['status']} in the log, {account.status} for the client")
    if account.attempts is not None and account.attempts != line["attempts"]:
        wrong.append(f"{line['attempts']} attempts in the log, {account.attempts} for the client")
    return wrong


def _attempts(line: Line) -> list[UpstreamCall]:
    """Return the failed attempts in order, then the successful one."""
    found = []
    for failure in line.get("failures") or []:
        label, _, kind = failure.partition(" ")
        provider, _, name = label.partition("/")
        found.append(UpstreamCall(provider, UPSTREAM.get(label, name), kind))
    answered = line["outcome"] == "ok" or (line["outcome"] == GONE and len(found) == line["attempts"] - 1)
    return [*found, UpstreamCall(line["provider"], line["upstream_model"], OK)] if answered else found


def _shown(account: Account, line: Line, requests: Sequence[SeenRequest]) -> str:
    logged = {key: line.get(key) for key in ("endpoint", "model", "provider", "status", "outcome", "error", "attempts")}
    seen = [f"{each.provider}: {each.fault.name}{' (kept)' if each.kept else ''}" for each in requests]
    return f"{account.ending} {account.status}, {logged}, failures {line.get('failures')}, seen {seen}"


def _samples(page: str) -> list[tuple[str, dict[str, str], float]]:
    return [(name, dict(_LABEL.findall(labels or "")), float(value)) for name, labels, value in _SAMPLE.findall(page)]
