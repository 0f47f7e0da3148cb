"""What events cost the recorder: rows into the database with and without receivers. ``python -m tests.bench.outbox``.

CPU is that of this process: with PostgreSQL, without its server's.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from proxy.database.address import Address
from proxy.database.migrate import upgrade
from proxy.events.base import EventReceiver
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.recorder import BATCH
from proxy.ledger.row import Row
from tests.bench.recorder import attempt
from tests.database.databases import KINDS, address, new_database


async def write(where: Address, receivers: int, rows: Sequence[Row]) -> tuple[float, float]:
    """Seconds of CPU, and of the clock, for a row."""
    names = tuple(EventReceiver(f"receiver-{number}") for number in range(receivers))
    ledger = open_ledger(where, 0, names)
    await ledger.present([(0.0, "")])  # connects
    cpu, clock = time.process_time(), time.monotonic()
    for begin in range(0, len(rows), BATCH):
        await ledger.write(rows[begin : begin + BATCH])
    spent = (time.process_time() - cpu) / len(rows), (time.monotonic() - clock) / len(rows)
    await ledger.close()
    return spent


async def measure(kind: str, count: int, counters: int, receivers: Sequence[int], rounds: int) -> None:
    found: dict[int, list[tuple[float, float]]] = {each: [] for each in receivers}
    with tempfile.TemporaryDirectory() as name:
        async with new_database(kind, Path(name)) as url:
            where = address(url)
            await upgrade(where)
            for number in range(rounds):
                for each in receivers:
                    nonce = f"{number:08}{each:08}"
                    rows = [attempt(place, nonce, 20, counters) for place in range(count)]
                    found[each].append(await write(where, each, rows))
    for each, spent in found.items():
        cpu, clock = (median(values) for values in zip(*spent, strict=True))
        print(f"{kind:<11} {each} receivers: {cpu * 1e6:5.1f} us CPU a row, {1 / clock:7,.0f} rows/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counters", type=int, default=0, help="budget counters of each row; the first is a balance")
    parser.add_argument("--receivers", type=int, action="append")
    parser.add_argument("--database", choices=KINDS, action="append")
    given = parser.parse_args()
    for kind in given.database or KINDS:
        asyncio.run(measure(kind, given.rows, given.counters, given.receivers or (0, 1, 2), given.rounds))


if __name__ == "__main__":
    main()
