"""The budgets and accounts of the rounds, and whether they say afterwards what the rows say."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from proxy.auth.apikey import hash_of
from proxy.config.schema import Database
from proxy.database.tables import ACCOUNTS, BUDGET_SPEND, LEDGER, TRANSFERS
from proxy.database.upkeep.balances import mismatches
from proxy.database.upkeep.opened import opened, reading

OWNERS: Final = ("ann", "bob", "cid")
CREDIT: Final = 1_000_000 * 10**9  # nano-USD that each begins with: more than any round costs

_KEYS: Final = {owner: f"sk-sluice-{owner * 14}" for owner in OWNERS}

BUDGETS: Final[dict[str, Any]] = {
    "auth": {
        "mode": "keys",
        "keys": [{"name": owner, "owner": owner, "hash": hash_of(key)} for owner, key in _KEYS.items()],
    },
    "billing": {"enabled": True, "defaultBalance": CREDIT / 10**9, "onUnpriced": "allow"},
    "budgets": [
        {"name": "daily", "per": "owner", "usd": 1_000_000, "window": "day"},
        {"name": "tokens", "per": "model", "tokens": 10**9, "window": "month"},
        {"name": "providers", "per": "provider", "usd": 1_000_000, "window": "total"},
        {"name": "runs", "per": "run", "usd": 1_000_000},
    ],
}
COUNTERS: Final = 5  # of each attempt: its budgets, and the balance

HEADERS: Final = [
    f"Authorization: Bearer {key}\r\nx-router-run: {owner}-{run}\r\n".encode()
    for run in range(3)
    for owner, key in _KEYS.items()
]


async def wrong_money(database: Database, data_dir: Path) -> list[str]:
    """What ``sluice ledger verify`` finds, and what the sums of all rows say."""
    async with opened(database, data_dir) as engine:
        wrong = [str(each) for each in await mismatches(engine, 0, time.time())]
        async with reading(engine) as connection:
            rows = [*await connection.execute(select(LEDGER))]
            spend = [*await connection.execute(select(BUDGET_SPEND))]
            accounts = [*await connection.execute(select(ACCOUNTS))]
            transfers = [*await connection.execute(select(TRANSFERS))]
    costs = Counter[str]()
    spent = Counter[str]()
    for row in rows:
        if len(row.counters or ()) != COUNTERS:
            wrong.append(f"{row.request_id}: an attempt with the counters {row.counters}")
        costs[row.owner] += row.cost or 0
        for key in row.counters or ():
            spent[key] += row.cost or 0
    kept = Counter[str]()
    for each in spend:
        kept[each.counter] += each.nano
    if +kept != +spent:
        wrong.append(f"the counters say {+kept - spent} more and {+spent - kept} less than the rows")
    found = {each.id: (each.credits, each.charges) for each in accounts}
    if found != {owner: (CREDIT, costs[owner]) for owner in OWNERS}:
        wrong.append(f"the accounts are {found}, the rows cost {costs}")
    balances = Counter[str]()
    for each in transfers:
        balances[each.debit] -= each.amount
        balances[each.credit] += each.amount
    if any(balances[owner] != CREDIT - costs[owner] for owner in OWNERS) or sum(balances.values()):
        wrong.append(f"the transfers make the balances {balances}")
    return wrong
