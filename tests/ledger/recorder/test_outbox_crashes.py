"""Whatever is cut off whenever: each row, each transfer and each announced event is put into the outbox once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec import structs

from proxy.database.address import Address
from proxy.events.base import EventReceiver, OutboxEvent
from proxy.ledger.recorder import sqlite_outbox
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import DatabaseUnavailable
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.folders import SpoolFolders, has_segments
from proxy.ledger.recorder.postgres import PostgresLedger
from proxy.ledger.recorder.recorder import LedgerRecorder
from proxy.ledger.recorder.sqlite import SqliteLedger
from proxy.ledger.row import Row
from tests.ledger.recorder.databases import make_file, migrated, query
from tests.ledger.recorder.fakes import ListLog, WritingGateway, finish
from tests.ledger.rows import ROW

RECEIVERS = (EventReceiver("broker"), EventReceiver("webhook:a:1", ("transaction_created", "budget_threshold")))
DEFAULT = 5_000  # nano-USD

Told = tuple[str, str, str, str]
"""Id, receiver, type and body of a row of the outbox."""


def check(told: Sequence[Told], rows: Iterable[Row], events: Iterable[OutboxEvent]) -> None:
    """Compare all that ever was in the outbox with what it tells."""
    charged = [row for row in rows if row.counters and row.cost]
    once = Counter((id, receiver) for id, receiver, *_ in told)  # noqa: A001 - the column's name
    assert max(once.values(), default=1) == 1
    by_type: dict[tuple[str, str], set[str]] = {}
    for id, receiver, type_, _ in told:  # noqa: A001
        by_type.setdefault((receiver, type_), set()).add(id)
    openings: set[str] = set()
    numbers: dict[str, list[int]] = {}
    for _, receiver, type_, body in told:
        if type_ == "transaction_created" and receiver == "broker":
            data = json.loads(body)["data"]
            numbers.setdefault(data["account"], []).append(data["sequence"])
            if data["sequence"] == 1:
                assert (data["amount"], data["description"]) == (DEFAULT, "Opening balance")
                openings.add(f"txn_{data['id']}")
    accounts = Counter(row.counters[0].removeprefix("balance/total/") for row in charged)
    assert {name: sorted(found) for name, found in numbers.items()} == {
        name: list(range(1, count + 2)) for name, count in accounts.items()
    }
    transfers, announced = openings | {f"txn_{row.id}" for row in charged}, {event.id for event in events}
    expected = {
        ("broker", "ai_usage"): {row.id for row in rows},
        **{(each.name, "transaction_created"): transfers for each in RECEIVERS},
        **{(each.name, "budget_threshold"): announced for each in RECEIVERS},
    }
    assert by_type == {key: ids for key, ids in expected.items() if ids}


class OutboxCrashes(RuleBasedStateMachine):
    """A spool on the disk, the recorder, a SQLite file, and somebody who sends what waits and deletes it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.file = self.folder / "ledger.db"
        asyncio.run(make_file(self.file))
        self.gateways: list[WritingGateway] = []
        self.open: list[tuple[WritingGateway, Row]] = []
        self.rows: set[str] = set()
        self.events: list[OutboxEvent] = []
        self.sent: list[Told] = []
        self.bound = OutboxBound()
        self.at = 0.0
        self.start_recorder()

    def start_recorder(self) -> None:
        self.spool = SpoolFolders(self.folder / "spool", lambda text: None)
        self.ledger = open_ledger(Address("sqlite", str(self.file)), DEFAULT, RECEIVERS, bound=self.bound)
        self.recorder = LedgerRecorder(
            self.spool, self.ledger, Accounts("estimate"), ListLog(), _nothing, bound=self.bound, now=lambda: self.at
        )

    def step(self) -> None:
        self.at += 10.0
        finish(self.recorder.step())

    @precondition(lambda self: len(self.gateways) < 3)
    @rule()
    def start_gateway(self) -> None:
        self.gateways.append(WritingGateway(self.folder / "spool", segment_bytes=2048))

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), account=st.sampled_from(("", "ann", "bob")))
    def open_attempt(self, which: int, account: str) -> None:
        gateway = self.gateways[which % len(self.gateways)]
        row = gateway.open(counters=[f"balance/total/{account}"] if account else [])
        self.open.append((gateway, row))
        self.rows.add(row.id)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0))
    def close_attempt(self, which: int) -> None:
        gateway, row = self.open.pop(which % len(self.open))
        gateway.close(row)

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), same=st.booleans())
    def announce(self, which: int, same: bool) -> None:
        """``same``: what another gateway announced, too."""
        gateway = self.gateways[which % len(self.gateways)]
        if same and self.events:
            gateway.announce(event=self.events[which % len(self.events)])
        else:
            self.events.append(gateway.announce())

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), clean=st.booleans())
    def stop_gateway(self, which: int, clean: bool) -> None:
        gateway = self.gateways.pop(which % len(self.gateways))
        self.open = [each for each in self.open if each[0] is not gateway]
        gateway.end() if clean else gateway.die()

    @rule()
    def record(self) -> None:
        self.step()

    @rule()
    def record_and_fail_before_the_commit(self) -> None:
        def cut(*args: Any) -> int:
            add(*args)
            raise sqlite3.OperationalError("cut off")

        add = sqlite_outbox.add
        with mock.patch.object(sqlite_outbox, "add", cut):
            self.step()

    @rule()
    def record_and_fail_after_the_commit(self) -> None:
        async def cut(ledger: SqliteLedger, *args: Any) -> int:
            await write(ledger, *args)
            raise DatabaseUnavailable("cut off")

        write = SqliteLedger.write
        with mock.patch.object(SqliteLedger, "write", cut):
            self.step()

    @rule()
    def kill_recorder(self) -> None:
        self.spool.close()
        finish(self.ledger.close())
        self.start_recorder()

    @rule(full=st.booleans())
    def fill_or_empty_the_outbox(self, full: bool) -> None:
        self.bound.full = full

    @rule(most=st.integers(1, 5))
    def send(self, most: int) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            found = connection.execute("SELECT seq, id, receiver, type, body FROM outbox ORDER BY seq LIMIT ?", (most,))
            for seq, *told in found.fetchall():
                self.sent.append((told[0], told[1], told[2], told[3]))
                connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))

    def teardown(self) -> None:
        for gateway in self.gateways:
            gateway.die()
        self.bound.full = False
        for _ in range(50):
            self.step()
            if self.recorder.done:
                break
        assert self.recorder.done
        assert not has_segments(self.folder / "spool")
        self.send(10**6)
        with closing(sqlite3.connect(self.file)) as connection:
            found = connection.execute("SELECT id, counters, cost FROM ledger").fetchall()
        rows = [
            structs.replace(ROW, id=id, counters=json.loads(counters or "[]"), cost=cost)
            for id, counters, cost in found  # noqa: A001
        ]
        assert {row.id for row in rows} == self.rows
        check(self.sent, rows, self.events)
        self.spool.close()
        finish(self.ledger.close())
        shutil.rmtree(self.folder)


TestOutboxCrashes = OutboxCrashes.TestCase
TestOutboxCrashes.settings = settings(stateful_step_count=30)


async def _nothing() -> str:
    return ""


# -- PostgreSQL ---------------------------------------------------------------------------------------------


class CutConnection:
    """A connection that is cut off before or after its ``left``-th operation; a commit is one."""

    def __init__(self, connection: Any, left: int) -> None:
        self._connection = connection
        self._left = left

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return self._counted(found) if name in ("execute", "executemany", "fetch", "copy_records_to_table") else found

    def _counted(self, operation: Any) -> Any:
        async def work(*args: Any, **more: Any) -> Any:
            self._count()
            result = await operation(*args, **more)
            self._count()
            return result

        return work

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._connection.terminate()
            raise asyncpg.InterfaceError("cut off")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield
            self._count()
        self._count()


class CutLedger(PostgresLedger):
    def __init__(self, dsn: str, cuts: Random) -> None:
        super().__init__(dsn, DEFAULT, EventRoutes(RECEIVERS))
        self._cuts = cuts

    async def _opened(self) -> Any:
        return CutConnection(await super()._opened(), self._cuts.randrange(1, 60))


@pytest.mark.parametrize("seed", range(4))
async def test_two_recorders_whose_connections_are_cut_tell_everything_once(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    rows = [
        structs.replace(
            ROW, id=f"{'1' * 16}{number}", at=1_790_000_000.0 + number, cost=chance.choice((100, 200, None)),
            counters=chance.choice(([], ["balance/total/ann"], ["balance/total/bob"])),
        )
        for number in range(60)
    ]  # fmt: skip
    events = [OutboxEvent(f"evt_{number}", "budget_threshold", 1.0, b'{"a":1}') for number in range(20)]
    cuts = Counter[str]()

    async def record(ledger: CutLedger, parts: list[tuple[list[Row], list[OutboxEvent]]]) -> None:
        for some, announced in parts:
            while True:
                try:
                    await ledger.write(some, announced)
                except DatabaseUnavailable:
                    cuts["all"] += 1
                else:
                    break

    def parts() -> list[tuple[list[Row], list[OutboxEvent]]]:
        """All of them in batches, some of which overlap."""
        order = [*range(0, 60, 6)]
        chance.shuffle(order)
        return [(rows[at : at + 9], events[at // 3 : at // 3 + 3]) for at in order]

    async with migrated("postgresql", tmp_path) as where:
        ledgers = [CutLedger(where.target, chance) for _ in range(2)]
        await asyncio.gather(*(record(ledger, parts()) for ledger in ledgers))
        for ledger in ledgers:
            await ledger.close()
        told = await query(where, "SELECT id, receiver, type, body FROM outbox")
        assert await query(where, "SELECT count(*) FROM ledger") == [(60,)]
    assert cuts["all"] > 5
    check([(*each,) for each in told], rows, events)  # type: ignore[misc]
