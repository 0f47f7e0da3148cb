"""The storm's command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import uvloop

from tests.storm.accounts import Books
from tests.storm.faults import GOOD
from tests.storm.run import storm

LIMIT = 300.0  # seconds
SHOWN = 30  # disagreements


def table(books: Books) -> str:
    """The counts, for people."""
    providers = sorted({provider for provider, _ in books.faults})
    merged = Counter("vaults" if name.startswith("vault") else name for name, _ in books.faults.elements())
    kinds = Counter(kind for _, kind in books.attempts.elements())
    rows = [("clients", books.endings), ("gateway's log", books.outcomes), ("attempts", kinds), ("seen by", merged)]
    lines = [f"{title:<14} {sum(counted.values()):>6}  {_listed(counted)}" for title, counted in rows]
    faults = Counter(fault for _, fault in books.faults.elements() if fault != GOOD.name)
    lines.append(f"{'faults played':<14} {sum(faults.values()):>6}  {_listed(faults)}")
    for name in providers:
        if name in ("one", "two"):
            played = Counter({fault: n for (provider, fault), n in books.faults.items() if provider == name})
            share = 1 - (played[GOOD.name] + played["slow"]) / played.total()
            lines.append(f"{name:<14} {played.total():>6}  {share:.0%} faulty")
    fallbacks, twice = (books.metric(f"llm_{what}_total") for what in ("fallbacks", "possible_double_executions"))
    lines.append(f"fallbacks {fallbacks:.0f}, asked twice {twice:.0f}, late {books.late}, left unheard {books.unheard}")
    return "\n".join(lines)


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description="Do all accounts of a storm agree?")
    parser.add_argument("--requests", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--hedge", type=int, default=0, metavar="MS", help="a second attempt after so long (0: never)")
    chosen = parser.parse_args()
    began = time.monotonic()
    books = uvloop.run(storm(chosen.requests, chosen.seed, LIMIT, chosen.hedge))
    print(f"{chosen.requests} requests, seed {chosen.seed}, {time.monotonic() - began:.1f} s")
    print(table(books))
    for line in books.wrong[:SHOWN]:
        print(f"DISAGREE {line}")
    print(f"disagreements: {len(books.wrong)}")
    return 1 if books.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
