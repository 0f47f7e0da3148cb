"""Kills under load: ``python -m tests.events.kills [--kills 10] [--only NAME ...]``; exits with 1 if an event was lost.

RabbitMQ is one of its own. Each line is a scenario with so many kills, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.events.acceptance.rounds import SCENARIOS, Round, rounds
from tests.support.services import drop_databases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.events.kills", description="Kill -9 under load, and count.")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each scenario")
    parser.add_argument("--only", choices=SCENARIOS, action="append", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    chosen = parser.parse_args()
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the consumers of this script connect again and again
    print(
        f"{'under load':<34}{'kills':>6}{'calls':>8}{'rows':>8}{'received':>10}{'distinct':>10}{'lost':>6}{'twice':>7}"
        f"{'nUSD off':>10}{'seconds':>9}",
        flush=True,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True) as folder:
            found = asyncio.run(
                rounds(Path(folder), chosen.only or [*SCENARIOS], chosen.kills, chosen.seed, print_round)
            )
    finally:
        drop_databases()
    return 1 if any(each.wrong for each in found) else 0


def print_round(found: Round) -> None:
    counts = f"{found.kills:>6}{found.calls:>8}{found.rows:>8}{found.received:>10}{found.distinct:>10}"
    ends = f"{found.lost:>6}{found.doubled:>7}{found.off:>10}{found.secs:>9.1f}"
    print(f"{found.what:<34}{counts}{ends}{'  WRONG' if found.wrong else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
