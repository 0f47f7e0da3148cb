"""What rows add to budget counters, and what they charge to accounts. Pure."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from proxy.database.columns import BALANCE_COUNTER, FUNDING, OPENING, TOKENS, USAGE
from proxy.ledger.recorder.hours import MOST
from proxy.ledger.row import Row
from proxy.ledger.spool.format import NONCE_BYTES

COLUMNS: Final = {
    "budget_spend": ("counter", "process", "nano", "tokens", "last"),
    "accounts": ("id", "credits", "charges", "opened_at", "sequence"),
    "transfers": (
        *("id", "at", "debit", "credit", "amount", "description", "request_id", "usd_rate"),
        *("sequence", "balance"),
    ),
    "idempotency": ("key", "at"),
}

_tokens: Final = attrgetter(*TOKENS)

_CHAT: Final = "Chat completion"
_CALLS: Final = {  # by endpoint
    **dict.fromkeys(("chat/completions", "messages", "responses", "generateContent", "streamGenerateContent"), _CHAT),
    "completions": "Completion",
    **dict.fromkeys(("embeddings", "embedContent", "batchEmbedContents"), "Embeddings"),
    "moderations": "Moderation",
    **dict.fromkeys(("images/generations", "images/edits"), "Images"),
    "audio/speech": "Speech",
    "audio/transcriptions": "Transcription",
    "audio/translations": "Translation",
}


class Spend(NamedTuple):
    """What the rows of a process add to a counter, in nano-USD and in tokens. ``last``: when the last of them ended."""

    counter: str
    process: str
    nano: int
    tokens: int
    last: float


class AccountCharge(NamedTuple):
    """A transfer from an account, for one row, whose ``id`` it has. ``amount``: nano-USD, above 0."""

    id: str
    at: float
    account: str
    amount: int
    description: str
    request_id: str
    usd_rate: float | None


class AccountState(NamedTuple):
    """An account after charges, in nano-USD. ``sequence``: of its last transfer."""

    account: str
    credits: int
    charges: int
    sequence: int


class AccountTransfer(NamedTuple):
    """A transfer that was inserted. ``amount`` (nano-USD) is negative for a charge.

    ``sequence``: its number among those of its account. ``balance``: of the account after it.
    """

    id: str
    at: float
    account: str
    amount: int
    description: str
    request_id: str
    usd_rate: float | None
    balance: int
    sequence: int


def spends(rows: Iterable[Row]) -> list[Spend]:
    """In the order of the table's key, so that two recorders never wait for each other.

    Raises ValueError or OverflowError for numbers that are absurd.
    """
    found = merged(_spends(rows))
    for each in found:
        if not (-MOST <= each.nano <= MOST and -MOST <= each.tokens <= MOST):
            raise ValueError("a number is beyond what an attempt can have")
    return found


def _spends(rows: Iterable[Row]) -> Iterator[tuple[str, str, int, int, float]]:
    for row in rows:
        if row.counters:
            process, nano, tokens, ended = row.id[:NONCE_BYTES], row.cost or 0, tokens_of(row), ended_at(row)
            for counter in row.counters:
                yield counter, process, nano, tokens, ended


def merged(spent: Iterable[tuple[str, str, int, int, float]]) -> list[Spend]:
    """One for each counter and process, in the order of these. ``spent``: as ``Spend``."""
    totals: dict[tuple[str, str], list[Any]] = {}
    for counter, process, nano, tokens, last in spent:
        total = totals.get((counter, process))
        if total is None:
            totals[counter, process] = [nano, tokens, last]
        else:
            total[0] += nano
            total[1] += tokens
            if last > total[2]:
                total[2] = last
    return [Spend(*key, *totals[key]) for key in sorted(totals)]


def charges(rows: Iterable[Row]) -> list[AccountCharge]:
    """One for each row that cost something and has the counter of a balance."""
    found = []
    for row in rows:
        if row.counters and row.cost is not None and row.cost > 0:
            for counter in row.counters:
                account = _account(counter)
                if account:
                    charge = row.id, ended_at(row), account, row.cost, describe(row), row.request_id, row.usd_rate
                    found.append(AccountCharge(*charge))
    return found


def by_account(found: Sequence[AccountCharge]) -> list[tuple[str, int, float]]:
    """For each account the sum of its charges, and when the first was, in the order of their ids."""
    totals: dict[str, tuple[int, float]] = {}
    for each in found:
        amount, first = totals.get(each.account, (0, each.at))
        totals[each.account] = amount + each.amount, min(first, each.at)
    return [(account, *totals[account]) for account in sorted(totals)]


def opening(account: str, at: float, amount: int) -> AccountTransfer:
    """The transfer that an account begins with."""
    return AccountTransfer(new_id(), at, account, amount, OPENING, "", None, amount, 1)


def numbered(found: Iterable[AccountCharge], states: Iterable[AccountState]) -> list[AccountTransfer]:
    """The charges as transfers of their accounts, in their order. ``states``: of the accounts after all of them."""
    by_name: dict[str, list[AccountCharge]] = {}
    for each in found:
        by_name.setdefault(each.account, []).append(each)
    transfers = []
    for state in states:
        of_account = by_name[state.account]
        balance = state.credits - state.charges + sum(each.amount for each in of_account)
        for sequence, each in enumerate(of_account, state.sequence - len(of_account) + 1):
            balance -= each.amount
            transfers.append(
                AccountTransfer(
                    *(each.id, each.at, each.account, -each.amount, each.description, each.request_id, each.usd_rate),
                    *(balance, sequence),
                )
            )
    return transfers


def not_among(known: Container[str], found: Iterable[AccountCharge]) -> list[AccountCharge]:
    """The charges whose ids are not known, one of each id."""
    return [*{each.id: each for each in found if each.id not in known}.values()]


def columns_of(transfer: AccountTransfer) -> tuple[Any, ...]:
    """The row of its table: the values of ``COLUMNS["transfers"]``."""
    id, at, account, amount, *words, balance, sequence = transfer  # noqa: A001 - the column's name
    debit, credit = (FUNDING, account) if amount > 0 else (account, USAGE)
    return id, at, debit, credit, abs(amount), *words, sequence, balance


def new_id() -> str:
    """Of a transfer that is not for a row."""
    return os.urandom(16).hex()


def describe(row: Row) -> str:
    """What the owner of the account reads."""
    model = row.model or row.upstream_model or row.provider
    if row.end == "lost":
        return f"Lost call with {model}"
    if not row.answered:
        return f"Unused answer of {model}"
    return f"{_CALLS.get(row.endpoint, 'Call')} with {model}"


def tokens_of(row: Row) -> int:
    """Of all classes; one that is not known counts as 0."""
    return sum(filter(None, _tokens(row)))


def _account(counter: str) -> str:
    """Whose balance it is; ``""``: nobody's, or that of an account of the gateway's own, which a row cannot have."""
    account = counter[len(BALANCE_COUNTER) :] if counter.startswith(BALANCE_COUNTER) else ""
    return "" if account.startswith(":") else account


def ended_at(row: Row) -> float:
    """Unix seconds."""
    return row.at if row.ended_ms is None else row.at + row.ended_ms / 1000
