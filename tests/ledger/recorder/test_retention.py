"""Old rows are deleted once an hour, some at a time."""

from __future__ import annotations

from proxy.ledger.recorder.base import DatabaseUnavailable
from proxy.ledger.recorder.expiry import DAY, Expiry
from proxy.ledger.recorder.retention import EVERY_SECS, FIRST_SECS, Retention
from tests.ledger.recorder.fakes import MemoryLedger, finish


class ExpiringLedger(MemoryLedger):
    def __init__(self) -> None:
        super().__init__()
        self.left = 0  # steps
        self.asked: list[Expiry] = []

    async def expire(self, before: Expiry) -> bool:
        self.asked.append(before)
        if self.mode == "down":
            raise DatabaseUnavailable("cut off")
        self.left -= 1
        return self.left > 0


def test_old_rows_go_in_steps_and_then_an_hour_later() -> None:
    ledger, now = ExpiringLedger(), 0.0
    retention = Retention(ledger, 90, 730, now=lambda: now, wall=lambda: 1000 * DAY)
    finish(retention.step())
    assert ledger.asked == []
    now, ledger.left = FIRST_SECS, 3
    for _ in range(10):
        finish(retention.step())
    days = (910, 270, 998, 907, 910, 993, 970, 969, 970)
    assert ledger.asked == [Expiry(*(day * DAY for day in days))] * 3
    now += EVERY_SECS
    finish(retention.step())
    assert len(ledger.asked) == 4


def test_a_database_that_fails_is_asked_again_an_hour_later() -> None:
    ledger, now = ExpiringLedger(), FIRST_SECS
    retention = Retention(ledger, 90, 730, now=lambda: now, wall=lambda: 1000 * DAY)
    now, ledger.mode = 2 * FIRST_SECS, "down"
    for _ in range(3):
        finish(retention.step())
    assert len(ledger.asked) == 1
