"""The agreement: clients, gateway and providers must say the same of every request, and the metrics of them all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from tests.storm.caller import Account
from tests.storm.faults import OK
from tests.storm.provider import Heard
from tests.storm.traffic import UPSTREAM

DEAD = "dead"
GONE = "client_gone"
UNSEEN = (GONE, "slow", "outrun")  # an attempt that may have been ended before anybody saw it
OUTCOMES = {"whole": "ok", "refused": "error", "told": "broken"}  # of those who stayed
Line = dict[str, Any]

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class UpstreamCall(Struct, frozen=True):
    """As the gateway's log has it; ``kind`` is ``OK`` for the one that answered."""

    provider: str
    model: str  # as the provider names it
    kind: str


class Books:
    """``wrong`` holds a line for every disagreement once ``audit`` has run; the counters are for the table."""

    def __init__(
        self, accounts: Sequence[Account], lines: Sequence[Line], heard: Sequence[Heard], page: str, *, hedged: bool
    ) -> None:
        self.wrong: list[str] = []
        self.endings = Counter(account.ending for account in accounts)
        self.outcomes = Counter(line["outcome"] for line in lines)
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.faults = Counter((each.provider, each.fault.name) for each in heard)
        self.asked_twice = 0  # surely: a kept connection died under a request
        self.maybe_twice = 0
        self.unheard = 0  # their clients left before the gateway had read a head
        self.late = 0  # answers that a clock of the gateway did not wait for
        self._accounts = accounts
        self._lines = lines
        self._heard = heard
        self.material = (accounts, lines, heard, page)
        self._hedged = hedged
        self._metrics = _samples(page)

    def audit(self) -> None:
        lines, heard = self._by_name(self._lines), defaultdict(list)
        for each in sorted(self._heard, key=lambda each: each.number):
            heard[each.name].append(each)
            if each.hung:
                self.wrong.append(f"{each.name}: {each.provider} was silent, and nobody ended it")
        names = {account.name for account in self._accounts}
        self.wrong += [f"{name}: nobody asked that" for name in (lines.keys() | heard.keys()) - names]
        for account in self._accounts:
            line = lines.get(account.name)
            if line is None and account.ending == "left" and not heard[account.name]:
                self.unheard += 1
                continue
            if line is None:
                self.wrong.append(f"{account.name}: lost, the log does not know it")
                continue
            faults = [*_told(account, line), *self._followed(line, heard[account.name])]
            self.wrong += [
                f"{account.name}: {fault} | {_shown(account, line, heard[account.name])}" for fault in faults
            ]
        self._sums()

    def _by_name(self, lines: Iterable[Line]) -> dict[str, Line]:
        found: dict[str, Line] = {}
        for line in lines:
            if line["request_id"] in found:
                self.wrong.append(f"{line['request_id']}: settled twice")
            found[line["request_id"]] = line
        return found

    # -- each request -----------------------------------------------------------------------------

    def _followed(self, line: Line, heard: list[Heard]) -> list[str]:
        """Attempt for attempt, what the log says against what the providers saw."""
        wrong, left = [], list(heard)
        attempts = _attempts(line)
        if len(attempts) != line["attempts"]:
            wrong.append(f"{line['attempts']} attempts, but {len(attempts)} are accounted for")
        for attempt in attempts:
            self.attempts[attempt.provider, attempt.kind or "ok"] += 1
            wrong += self._seen(attempt, left, line["endpoint"] != "responses")
        return wrong + [f"{each.provider} saw an attempt that the log has not" for each in left]

    def _seen(self, attempt: UpstreamCall, left: list[Heard], replayable: bool) -> list[str]:
        """Take from ``left`` what the attempt's provider saw of it."""
        if attempt.provider == DEAD:
            return (
                [] if attempt.kind in ("unreachable", *UNSEEN) else [f"{attempt.kind} at a port where nobody listens"]
            )
        mine = self._take(attempt, left, replayable)
        if not mine:
            return [] if attempt.kind in UNSEEN else [f"{attempt.provider} never saw an attempt"]
        last = mine[-1]
        if attempt.kind in last.kinds or attempt.kind in UNSEEN:
            return []
        if attempt.kind == "timeout" and last.last and last.closed:
            self.late += 1  # a busy loop: the provider came to it late, and saw that it was hung up on
            return []
        return [f"{last.fault.name} at {attempt.provider} was taken for {attempt.kind or 'an answer'}"]

    def _take(self, attempt: UpstreamCall, left: list[Heard], replayable: bool) -> list[Heard]:
        mine: list[Heard] = []
        while (found := self._next(attempt, left)) is not None:
            left.remove(found)
            mine.append(found)
            if not (replayable and found.maybe_repeated):
                break
            # Nor is what a clock ended: a busy loop may hear the clock before the connection's end.
            self.asked_twice += attempt.kind not in (*UNSEEN, "timeout")
            self.maybe_twice += 1
        return mine

    def _next(self, attempt: UpstreamCall, left: list[Heard]) -> Heard | None:
        """One after the other, but where two attempts ran at once, or one was given up before its provider came to it."""
        asked = (attempt.provider, attempt.model)
        found = left if self._hedged or attempt.kind == "timeout" else left[:1]
        return next((each for each in found if (each.provider, each.model) == asked), None)

    # -- the sums ---------------------------------------------------------------------------------

    def _sums(self) -> None:
        stayed = Counter(OUTCOMES[ending] for ending in self.endings.elements() if ending in OUTCOMES)
        for outcome, count in self.outcomes.items():
            if not stayed[outcome] <= count <= stayed[outcome] + self.endings["left"] + self.endings["lied to"]:
                self.wrong.append(
                    f"{outcome}: {count} in the log, {stayed[outcome]} clients of {self.endings['left']} left"
                )
        self._same("llm_requests_total", self._by("llm_requests_total", "outcome"), self.outcomes)
        counted = self._by("llm_upstream_attempts_total", "provider", "reason")
        self._same("llm_upstream_attempts_total", counted, self.attempts)
        fallbacks = sum(bool(line.get("fallback")) for line in self._lines)
        gone, tried = self.outcomes[GONE], sum(line["attempts"] for line in self._lines)
        for name, count in (
            ("llm_fallbacks_total", fallbacks),
            ("llm_client_disconnects_total", gone),
            ("llm_requests_in_flight", 0),
        ):
            self._same(name, self.metric(name), count)
        twice = self.metric("llm_possible_double_executions_total")
        # Where others ended the attempt meanwhile, the log does not tell whether it had been asked again.
        if not self.asked_twice <= twice <= self.maybe_twice:
            self.wrong.append(f"asked twice: {twice} by the metrics, {self.asked_twice} to {self.maybe_twice} seen")
        silent = sum(count for (provider, _), count in self.attempts.items() if provider == DEAD)
        unseen = tried + int(twice) - len(self._heard) - silent
        ended = sum(count for (_, kind), count in self.attempts.items() if kind in UNSEEN)
        if not 0 <= unseen <= ended:
            self.wrong.append(f"{unseen} attempts that nobody saw, and only {ended} were ended by others")

    def _same(self, name: str, metrics: object, others: object) -> None:
        if metrics != others:
            self.wrong.append(f"{name}: {metrics} by the metrics, {others} by the others")

    def metric(self, name: str) -> float:
        return sum(value for found, _, value in self._metrics if found == name)

    def _by(self, name: str, *labels: str) -> Counter[Any]:
        sums: Counter[Any] = Counter()
        for found, labelled, value in self._metrics:
            if found == name and value:
                key = tuple(labelled[label] for label in labels)
                sums[key if len(labels) > 1 else key[0]] += int(value)
        return sums


def _told(account: Account, line: Line) -> list[str]:
    """What the client heard against what the log says that it heard."""
    if account.ending == "lied to":
        return [f"the client was lied to: {account.why}"]
    outcome = line["outcome"]
    if account.ending == "left":
        return [] if outcome in (*OUTCOMES.values(), GONE) else [f"a client left, and it is called {outcome}"]
    wrong = []
    if outcome != OUTCOMES[account.ending]:
        wrong.append(f"{outcome} in the log, {account.ending} for the client")
    if line["status"] != account.status:
        wrong.append(f"status {line['status']} in the log, {account.status} for the client")
    if account.attempts is not None and account.attempts != line["attempts"]:
        wrong.append(f"{line['attempts']} attempts in the log, {account.attempts} for the client")
    return wrong


def _attempts(line: Line) -> list[UpstreamCall]:
    """The failures in order, and the one that answered."""
    found = []
    for failure in line.get("failures") or []:
        label, _, kind = failure.partition(" ")
        provider, _, name = label.partition("/")
        found.append(UpstreamCall(provider, UPSTREAM.get(label, name), kind))
    answered = line["outcome"] == "ok" or (line["outcome"] == GONE and len(found) == line["attempts"] - 1)
    return [*found, UpstreamCall(line["provider"], line["upstream_model"], OK)] if answered else found


def _shown(account: Account, line: Line, heard: Sequence[Heard]) -> str:
    told = {key: line.get(key) for key in ("endpoint", "model", "provider", "status", "outcome", "error", "attempts")}
    seen = [f"{each.provider}: {each.fault.name}{' (kept)' if each.kept else ''}" for each in heard]
    return f"{account.ending} {account.status}, {told}, failures {line.get('failures')}, seen {seen}"


def _samples(page: str) -> list[tuple[str, dict[str, str], float]]:
    return [(name, dict(_LABEL.findall(labels or "")), float(value)) for name, labels, value in _SAMPLE.findall(page)]
