"""A recorder whose PostgreSQL is cut off in the middle of its work."""

from __future__ import annotations

from pathlib import Path

from proxy.database.address import Address
from proxy.ledger.recorder import recorder
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.recorder.folders import SpoolFolders, has_segments
from proxy.ledger.recorder.postgres import PostgresLedger
from proxy.ledger.recorder.recorder import LedgerRecorder
from tests.database.databases import Forwarder
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.recorder.fakes import ListLog, WritingGateway


async def test_rows_and_sums_are_exact_after_every_cut(tmp_path: Path) -> None:
    gateway, log, now = WritingGateway(tmp_path / "spool", segment_bytes=1 << 16), ListLog(), 0.0

    async def upgrade() -> str:
        raise AssertionError("no table is missing")

    async with migrated("postgresql", tmp_path) as where, Forwarder(where.target) as way:
        spool = SpoolFolders(tmp_path / "spool", log.warning)
        ledger = PostgresLedger(Address("postgresql", way.url).target)
        recording = LedgerRecorder(spool, ledger, Accounts("estimate"), log, upgrade, now=lambda: now)
        written = 0
        for _ in range(4):
            for _ in range(recorder.BATCH + 10):
                gateway.close(gateway.open())
                written += 1
            await recording.step()
            await way.cut()
            gateway.close(gateway.open())
            written += 1
            for _ in range(2):
                now += 1.0
                await recording.step()
            assert not recording.health.up
            await way.restore()
            now += 10.0
            await recording.step()
            assert recording.health.up
        gateway.end()
        while not recording.done:
            now += 1.0
            await recording.step()
        await ledger.close()
        spool.close()
        assert await query(where, "SELECT count(*) FROM ledger") == [(written,)]
        assert await query(where, "SELECT sum(attempts)::int FROM ledger_hours") == [(written,)]
    assert not has_segments(tmp_path / "spool")
    assert [line.split()[0] for line in log.lines] == ["warning", "info"] * 4
