"""The storm's command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

import uvloop

from tests.storm.accounts import Ledger
from tests.storm.faults import GOOD
from tests.storm.money import Money
from tests.storm.run import storm

LIMIT = 300.0  # seconds
SHOWN = 30  # disagreements


def table(ledger: Ledger) -> str:
    """Format the counts."""
    providers = sorted({provider for provider, _ in ledger.faults})
    merged = Counter("vaults" if name.startswith("vault") else name for name, _ in ledger.faults.elements())
    kinds = Counter(kind for _, kind in ledger.attempts.elements())
    rows = [("clients", ledger.endings), ("gateway's log", ledger.outcomes), ("attempts", kinds), ("seen by", merged)]
    lines = [f"{title:<14} {sum(counted.values()):>6}  {_listed(counted)}" for title, counted in rows]
    faults = Counter(fault for _, fault in ledger.faults.elements() if fault != GOOD.name)
    lines.append(f"{'faults played':<14} {sum(faults.values()):>6}  {_listed(faults)}")
    for name in providers:
        if name in ("one", "two"):
            played = Counter({fault: n for (provider, fault), n in ledger.faults.items() if provider == name})
            share = 1 - (played[GOOD.name] + played["slow"]) / played.total()
            lines.append(f"{name:<14} {played.total():>6}  {share:.0%} faulty")
    fallbacks, twice = (ledger.metric(f"llm_{what}_total") for what in ("fallbacks", "possible_double_executions"))
    lines.append(f"fallbacks {fallbacks:.0f}, sent twice {twice:.0f}, late {ledger.late}, never read {ledger.unsent}")
    return "\n".join([*lines, *_money(ledger.money)])


def _money(money: Money) -> Iterator[str]:
    yield f"{'nano-USD':<14} {'billed':>16} {'known':>16} {'not read':>14} {'estimated':>16}  attempts by source"
    for provider in sorted({provider for provider, _ in money.sources}):
        sources = Counter({source: n for (name, source), n in money.sources.items() if name == provider})
        sums = money.billed[provider], money.known[provider], money.unread[provider], money.estimated[provider]
        yield f"{provider:<14} {sums[0]:>16} {sums[1]:>16} {sums[2]:>14} {sums[3]:>16}  {_listed(sources)}"


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.storm",
        description="Compare the records of clients, gateway and providers after a storm of faults.",
    )
    parser.add_argument("--requests", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--hedge", type=int, default=0, metavar="MS", help="delay of a hedged attempt (0: never)")
    chosen = parser.parse_args()
    began = time.monotonic()
    ledger = uvloop.run(storm(chosen.requests, chosen.seed, LIMIT, chosen.hedge))
    print(f"{chosen.requests} requests, seed {chosen.seed}, {time.monotonic() - began:.1f} s")
    print(table(ledger))
    for line in ledger.wrong[:SHOWN]:
        print(f"DISAGREE {line}")
    print(f"disagreements: {len(ledger.wrong)}")
    return 1 if ledger.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
