"""A recorder between a spool on the disk and a ledger in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.ledger.lost import lost
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.folders import SpoolFolders
from proxy.ledger.recorder.recorder import LedgerRecorder
from proxy.ledger.row import Opened, Row
from tests.ledger.recorder.fakes import ListLog, MemoryLedger, finish


class ManualClock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Machine:
    """A folder, a ledger and a recorder that can be killed."""

    def __init__(self, folder: Path, *, once: bool = False) -> None:
        self.folder = folder
        self.ledger = MemoryLedger()
        self.log = ListLog()
        self.clock = ManualClock()
        self.upgrades: list[str] = []  # what the next migrations return
        self.ran = 0  # migrations
        self.once = once
        self.bound = OutboxBound()
        self.restart()

    def restart(self) -> None:
        """As after ``kill -9``: nothing of the one before is left."""
        if hasattr(self, "spool"):
            self.spool.close()
        self.spool = SpoolFolders(self.folder, self.log.warning)
        self.recorder = LedgerRecorder(
            self.spool,
            self.ledger,
            Accounts("estimate"),
            self.log,
            self.upgrade,
            once=self.once,
            bound=self.bound,
            now=self.clock,
            **self.more(),
        )

    def more(self) -> dict[str, Any]:
        """Further arguments of a recorder."""
        return {}

    async def upgrade(self) -> str:
        self.ran += 1
        return self.upgrades.pop(0) if self.upgrades else ""

    def step(self, seconds: float = 10.0) -> bool:
        self.clock.at += seconds
        return finish(self.recorder.step())

    def drain(self, steps: int = 50) -> None:
        for _ in range(steps):
            self.step()
            if self.recorder.done:
                return
        raise AssertionError("it does not end")

    @property
    def rows(self) -> dict[str, Row]:
        return {row.id: row for row in self.ledger.rows.values()}


def as_lost(row: Row) -> Row:
    return lost(Opened(row, 1_000_000, 2_000_000), "estimate")
