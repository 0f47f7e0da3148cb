"""Comparison of the ledger with the books of the providers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.ledger.load.books import Books, Entry
from tests.ledger.load.prices import PROVIDERS, REPORTING
from tests.ledger.load.requests import MOST_OUTPUT
from tests.ledger.load.rows import LedgerRow, ProviderSums

# The gateway may not have read a usage that was sent to it.
ABANDONED = frozenset({"client_gone", "slow", "outrun", "timeout", "lost"})
# The provider may not have got a request.
UNSEEN = ABANDONED | {"unreachable", "ours", "none"}


class ProviderAccount(NamedTuple):
    """Of one provider. Costs in nano-USD; ``unread``: of usage that was sent to a gateway that had left, or was killed."""

    attempts: int
    none: int
    known: int
    estimated: int
    unknown: int
    billed: int
    cost: int
    unread: int
    cost_estimated: int


class Audit:
    """``missing``: requests that a provider got and that have no row. ``doubled``: rows beyond one for each attempt.

    ``lost``: rows that were closed after a kill. ``unseen``: rows of attempts that no provider got, as they were canceled.
    ``repeated``: requests that were sent again for the same attempt. ``wrong``: all disagreements.
    """

    def __init__(self, rows: Sequence[LedgerRow], books: Books) -> None:
        self.wrong: list[str] = []
        self.missing = 0
        self.doubled = 0
        self.unseen = 0
        self.repeated = 0
        self.rows = len(rows)
        self.lost = sum(row.end == "lost" for row in rows)
        self._rows = rows
        self._books = books
        self._unread = self._compare_costs()
        self._compare_counts()
        self.accounts = [self._account(provider) for provider in range(PROVIDERS)]

    @property
    def unread(self) -> int:
        """Number of usages that were sent and not read."""
        return self._unread.total()

    def compare_sums(self, sums: Mapping[int, ProviderSums]) -> None:
        """Compare the hours with the rows."""
        for provider, account in enumerate(self.accounts):
            expected = ProviderSums(
                account.attempts, account.estimated, account.unknown, account.cost, account.cost_estimated
            )
            found = sums.get(provider, ProviderSums(0, 0, 0, 0, 0))
            if found != expected:
                self.wrong.append(f"p{provider}: the hours say {found}, the rows {expected}")

    def _compare_counts(self) -> None:
        """Each request that a provider got has its row, and no attempt has two."""
        books = self._books
        attempts = Counter((row.request, row.attempt) for row in self._rows)
        self.doubled = len(self._rows) - len(attempts)
        self.wrong += (f"load-{n}: attempt {a} has {count} rows" for (n, a), count in attempts.items() if count > 1)
        rows = Counter((row.request, row.provider) for row in self._rows)
        canceled = Counter((row.request, row.provider) for row in self._rows if row.end in UNSEEN)
        for key in rows.keys() | books.received.keys():
            more = rows[key] - books.received[key]
            if more > canceled[key]:
                self.wrong.append(f"load-{key[0]}: {more} rows more than requests at p{key[1]}")
            elif more > 0:
                self.unseen += more
            else:
                missing = max(1, books.received[key] - books.repeated[key]) - rows[key]
                if missing > 0:
                    self.missing += missing
                    self.wrong.append(f"load-{key[0]}: {missing} attempts without a row at p{key[1]}")
                self.repeated -= more + max(0, missing)

    def _compare_costs(self) -> Counter[Entry]:
        """Known costs are those that were billed. Returns the usages that were billed and are not known."""
        known = Counter(
            Entry(row.request, row.provider, row.cost or 0) for row in self._rows if row.source == "provider"
        )
        billed = Counter(self._books.billed)
        self.wrong += (f"load-{n}: the ledger knows {c} nano-USD that p{p} did not bill" for n, p, c in known - billed)
        unread = billed - known
        if unread:
            left = Counter((row.request, row.provider) for row in self._rows if row.end in ABANDONED)
            for entry, count in unread.items():
                if left[entry.request, entry.provider] < count:
                    self.wrong.append(
                        f"load-{entry.request}: p{entry.provider} billed {entry.cost} nano-USD, not known"
                    )
        for row in self._rows:
            unpriced = row.source == "estimated" and row.provider == REPORTING
            if (row.cost is None) != (unpriced or row.source == "unknown") or (row.source == "none" and row.cost):
                self.wrong.append(f"load-{row.request}: {row.cost} nano-USD of {row.source} usage")
            if row.end == "lost" and row.endpoint == "messages" and (row.output or 0) > MOST_OUTPUT:
                self.wrong.append(f"load-{row.request}: a lost attempt with {row.output} tokens of {MOST_OUTPUT}")
        return unread

    def _account(self, provider: int) -> ProviderAccount:
        rows = [row for row in self._rows if row.provider == provider]
        sources = Counter(row.source for row in rows)
        billed = sum(entry.cost for entry in self._books.billed if entry.provider == provider)
        unread = sum(entry.cost * count for entry, count in self._unread.items() if entry.provider == provider)
        cost = sum(row.cost or 0 for row in rows if row.source == "provider")
        estimated = sum(row.cost or 0 for row in rows if row.source == "estimated")
        known, none = sources["provider"], sources["none"]
        if cost + unread != billed:
            self.wrong.append(f"p{provider} billed {billed} nano-USD, {cost} are known and {unread} were not read")
        if none + known + sources["estimated"] + sources["unknown"] != len(rows):
            self.wrong.append(f"p{provider}: {len(rows)} attempts, but {dict(sources)}")
        return ProviderAccount(
            *(len(rows), none, known, sources["estimated"], sources["unknown"]), billed, cost, unread, estimated
        )
