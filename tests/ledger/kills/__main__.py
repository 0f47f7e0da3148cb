"""The command line of the kills."""

from __future__ import annotations

import argparse
import sys

import uvloop

from tests.ledger.kills.run import Kills, Round, draw, kills
from tests.ledger.kills.site import VICTIMS

SHOWN = 20  # disagreements


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.ledger.kills", description="Kill -9 of gateway, recorder and database under load."
    )
    parser.add_argument("--rounds", type=int, default=50, metavar="N", help="of each database")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--database", choices=VICTIMS, action="append", help="default: both")
    chosen = parser.parse_args()
    wrong = 0
    for database in chosen.database or VICTIMS:
        print(f"{database:<44}{'requests':>9}{'rows':>9}{'lost':>7}{'doubled':>9}{'missing':>9}{'seconds':>9}")
        victims = draw(database, chosen.rounds, chosen.seed)
        found = uvloop.run(kills(database, victims, chosen.seed, _print_round))
        _print_end(found)
        wrong += len(found.audit.wrong)
    return 1 if wrong else 0


def _print_round(found: Round) -> None:
    counts = f"{found.requests:>9}{found.rows:>9}{found.lost:>7}{found.doubled:>9}{found.missing:>9}"
    print(f"{found.number:>4}  {found.killed:<38}{counts}{found.secs:>9.1f}", flush=True)


def _print_end(found: Kills) -> None:
    audit = found.audit
    known = sum(account.cost for account in audit.accounts)
    billed = sum(account.billed for account in audit.accounts)
    print(f"requests sent again {audit.repeated}, rows of attempts that no provider got {audit.unseen}")
    print(f"billed {billed} nano-USD, known {known}, sent to a gateway that had left or was killed {billed - known}")
    print(f"the hours are the sums of the rows; disagreements: {len(audit.wrong)}")
    for line in audit.wrong[:SHOWN]:
        print(f"DISAGREE {line}")


if __name__ == "__main__":
    sys.exit(main())
