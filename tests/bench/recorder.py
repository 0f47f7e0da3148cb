"""What the recorder takes: CPU per attempt, memory, attempts per second. ``python -m tests.bench.recorder [-h]``."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import structs

from proxy.database.address import Address
from proxy.database.migrate import upgrade
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.row import Opened, Row, encode
from proxy.ledger.spool.format import CLOSE
from proxy.ledger.spool.writer import SpoolWriter
from tests.database.databases import KINDS, address, new_database

NOW = 1_790_000_000.0
LIMIT = 8 << 30  # bytes of the spool


def attempt(number: int, nonce: str, models: int, counters: int) -> Row:
    """A usual one. Of its ``counters`` the first is that of a balance."""
    row = Row(
        *(f"{nonce}{number}", NOW + number / 1000, f"req-{number:020d}", 1, "chat/completions", True),
        *("openai.chat", "openai.chat", f"model-{number % models}", "openai", "openai/gpt-4o-mini", "gpt-4o-mini"),
        *(f"key:{number % 5}", f"k{number % 5}", "owner", "team", "project", {"feature": "search"}, "run-1"),
        *(2000, 5000, True, "ok", 200, "gpt-4o-mini-2024-07-18", 1.2, 100.2, 120.5, 1500.2, 20.1, "provider"),
        *(1000, 20, None, None, 300, 0, None, None, None, None, None, "default", 123456, "catalog", "1"),
    )
    owner = f"owner-{number % 100}"
    row.counters = [f"balance/total/{owner}", *(f"b{each}/2026-09-21/{owner}" for each in range(1, counters))][
        :counters
    ]
    return row


def fill(folder: Path, count: int, models: int, counters: int) -> None:
    spool = SpoolWriter(folder, limit_bytes=LIMIT, notice=print)
    for number in range(count):
        row = attempt(number, spool.nonce, models, counters)
        spool.open(encode(Opened(structs.replace(row, usage_source="unknown", cost=None), 150_000_000, 600_000_000)))
        spool.write([(CLOSE, encode(row))])
    spool.end()


class Usage(msgspec.Struct):
    """CPU seconds and megabytes (2**20 bytes) of a process."""

    cpu: float = 0.0
    peak: float = 0.0
    own: float = 0.0  # without the pages of files, which processes share

    def look(self, pid: int) -> None:
        try:
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            peak, own = (int(fields[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon"))
        except (OSError, KeyError):
            return  # it has ended
        self.cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        self.peak, self.own = max(self.peak, peak), max(self.own, own)


def record(settings: RecorderSettings, count: int) -> str:
    usage, idle = Usage(), Usage()
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "proxy.ledger.recorder"], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        time.sleep(1.0)  # its imports are not counted
        idle.look(child.pid)
        began = time.monotonic()
        child.stdin.write(msgspec.json.encode(settings))
        child.stdin.close()
        while child.poll() is None:
            usage.look(child.pid)
            time.sleep(0.005)
    seconds = time.monotonic() - began
    cpu = (usage.cpu - idle.cpu) / count * 1e6
    return (
        f"{cpu:5.1f} us CPU an attempt, {count / seconds:7,.0f} attempts/s, {usage.peak:.1f} MB at most,"
        f" {usage.own:.1f} MB of its own"
    )


async def measure(kind: str, count: int, models: int, counters: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with new_database(kind, folder) as url:
            where: Address = address(url)
            await upgrade(where)
            fill(folder / "spool", count, models, counters)
            line = await asyncio.to_thread(record, RecorderSettings(str(folder / "spool"), where), count)
            print(f"{kind:<11} {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=200_000)
    parser.add_argument("--models", type=int, default=20, help="sums by hour are five times as many")
    parser.add_argument("--counters", type=int, default=0, help="budget counters of each attempt, of 100 owners")
    parser.add_argument("--database", choices=KINDS, action="append")
    given = parser.parse_args()
    for kind in given.database or KINDS:
        asyncio.run(measure(kind, given.attempts, given.models, given.counters))


if __name__ == "__main__":
    main()
