"""From the spool into the database: reads records, writes rows, removes segments that are done."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.recorder.base import DatabaseUnavailable, LedgerDatabase, Notices, RowsRejected, TablesOutdated
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.health import DATABASE, HealthWords, WriteHealth
from proxy.ledger.recorder.journal import SettledJournal
from proxy.ledger.recorder.values import cleaned
from proxy.ledger.row import Row
from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.reader import GatewayState, SpoolBatch

BATCH: Final = 250  # rows and events in one transaction
MOST_WAITING: Final = 250  # records; then no more records are read, so that the memory is bounded
READ_BYTES: Final = 64 << 10
GIVE_UP_SECS: Final = 30.0  # without a database, or with a full outbox, and without a gateway


class SpoolSource(Protocol):
    """``folders.SpoolFolders``. Methods raise OSError."""

    def read(self, most: int) -> Sequence[SpoolBatch]: ...

    def gateways(self) -> Mapping[str, GatewayState]: ...

    def forget(self, name: SegmentName) -> None: ...


class LedgerRecorder:
    """It has no state on the disk. Killed at any moment and started again, it ends with the same rows.

    ``upgrade`` runs the migrations and returns why that failed, or ``""``. ``once``: end also while gateways live.
    ``bound``: of the outbox; nothing is written while it holds. ``journal``: where the database cannot tell which
    attempts have their row. ``words``: log lines of its health. ``now`` is monotonic.
    """

    def __init__(
        self,
        spool: SpoolSource,
        database: LedgerDatabase,
        accounts: Accounts,
        log: Notices,
        upgrade: Callable[[], Awaitable[str]],
        *,
        once: bool = False,
        bound: OutboxBound | None = None,
        journal: SettledJournal | None = None,
        words: HealthWords = DATABASE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.accounts = accounts
        self.health = WriteHealth(log, now, words)
        self.rows = 0
        """Inserted."""
        self.written = 0
        """Records of rows and events that need not be written again."""
        self.rejected = 0
        """Attempts without a row, and events: the database refused them, or their record could not be read."""
        self.lost = 0
        """Attempts that were closed because their gateway had died."""
        self.done = False
        """Nothing is left, and no gateway lives that could write more."""
        self._spool = spool
        self._database = database
        self._log = log
        self._upgrade = upgrade
        self._upgraded = False  # since rows were written
        self._once = once
        self._bound = OutboxBound() if bound is None else bound
        self._journal = journal
        if journal is not None:
            accounts.apart = {}
        self._held_since: float | None = None  # by the bound
        self._now = now
        self._alone = False  # no gateway lives
        self._compared = False  # what was open at the start with the database

    @property
    def gives_up(self) -> bool:
        """Whether the rest is left to the next start: no gateway lives, and database or outbox take nothing."""
        held = 0.0 if self._held_since is None else self._now() - self._held_since
        return (self._alone or self._once) and max(self.health.failing_secs, held) >= GIVE_UP_SECS

    async def step(self) -> bool:
        """Read, write and remove what can be now. Returns whether there is more to do at once. Raises OSError."""
        drained = self._read()
        wrote = await self._write()
        if drained:
            if not self._compared:
                await self._compare()
            self._finish()
        elif not wrote:  # nothing more is read until some of it is written
            self._alone = not any(state.alive for state in self._spool.gateways().values())
        return not self.done and wrote and (not drained or self.accounts.waiting > 0)

    def _read(self) -> bool:
        """Returns whether all records were read that are there now."""
        accounts = self.accounts
        while accounts.waiting < MOST_WAITING:
            batches = self._spool.read(READ_BYTES)
            if not batches:
                return True
            for segment, records in batches:
                accounts.take(segment, records, self._now())
        return False

    # -- into the database --------------------------------------------------------------------------

    async def _write(self) -> bool:
        """Write what waits. Returns whether the database takes rows."""
        accounts = self.accounts
        while accounts.waiting and not self._is_held() and self.health.can_try:
            batch = accounts.batch(BATCH)
            self._note_unreadable()
            try:
                self.rows += await self._insert(batch.rows, batch.events)
            except DatabaseUnavailable as error:
                self.health.failed(str(error))
            except TablesOutdated:
                await self._run_migrations()
            else:
                accounts.written(batch.records)
                self.written += batch.records
                self._upgraded = False
                self.health.answered()
        return not self.health.failing and not self._is_held()

    def _is_held(self) -> bool:
        """Whether the outbox is full and rows have to wait. One log line a change."""
        bound = self._bound
        if bound.holds != (self._held_since is not None):
            if bound.holds:
                self._held_since = self._now()
                self._log.warning("The outbox of events is full. Rows of the ledger wait in the spool.")
            else:
                self._held_since = None
                self._log.info("The outbox of events has room again. Rows of the ledger are written.")
        bound.log_forgetting(self._log)
        return bound.holds

    async def _insert(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        """Returns how many rows were not there yet. What is refused is found by halves, and left out."""
        try:
            return await self._database.write(rows, events) if rows or events else 0
        except RowsRejected as error:
            if rows and events:
                return await self._insert(rows) + await self._insert((), events)
            if (count := len(rows) + len(events)) > 1:
                half = count // 2
                return await self._insert(rows[:half], events[:half]) + await self._insert(rows[half:], events[half:])
            if rows:
                return await self._insert_cleaned(rows[0], error)
            self.rejected += 1
            self._log.error("The database refuses an event.", id=events[0].id, type=events[0].type, why=str(error))
            return 0

    async def _insert_cleaned(self, row: Row, error: RowsRejected) -> int:
        try:
            return await self._database.write((cleaned(row),))
        except RowsRejected:
            self.rejected += 1
            self._log.error(
                "The ledger's database refuses an attempt, which has no row.",
                id=row.id,
                request_id=row.request_id,
                why=str(error),
            )
            return 0

    async def _run_migrations(self) -> None:
        if self._upgraded:
            self.health.failed("its tables lack columns that this version needs, although its migrations ran")
            return
        if why := await self._upgrade():
            self.health.failed(why)
        else:
            self._upgraded = True

    def _note_unreadable(self) -> None:
        if count := self.accounts.unreadable:
            self.accounts.unreadable = 0
            self.rejected += count
            self._log.error(
                "Records of the spool cannot be read; their attempts have no row, their events are lost.", records=count
            )

    async def _compare(self) -> None:
        """Find attempts that are open although they have their row: their close record is gone with its segment.

        That is so after a restart, and would keep the segments of their open records.
        """
        if self._journal is not None:
            self.accounts.settled(self._journal.load())
            self._compared = True
            return
        if not self.health.can_try:
            return
        keys = self.accounts.open_keys()
        try:
            for begin in range(0, len(keys), BATCH):
                self.accounts.settled(await self._database.present(keys[begin : begin + BATCH]))
        except (DatabaseUnavailable, RowsRejected) as error:
            self.health.failed(str(error))
        except TablesOutdated:
            self._compared = True  # there are no rows yet
        else:
            self._compared = True
            self.health.answered()

    # -- what is finished ---------------------------------------------------------------------------

    def _finish(self) -> None:
        """Close what dead gateways left open, and remove segments. All records were read."""
        states = self._spool.gateways()
        was_alone, self._alone = self._alone, not any(state.alive for state in states.values())
        for nonce, state in states.items():
            if not state.alive and state.drained:
                self._close_left(nonce)
            for segment in state.segments:
                if segment.drained and not self.accounts.is_needed(segment.name):
                    self._forget(segment.name)
        self._note_unreadable()
        # Twice: a gateway that died after the last look may have written until then.
        self.done = (self._once or (self._alone and was_alone)) and not self.accounts.waiting

    def _forget(self, segment: SegmentName) -> None:
        """Remove a segment that nothing needs."""
        journal, apart = self._journal, self.accounts.apart
        if journal is None or apart is None:
            self._spool.forget(segment)
            return
        apart.pop(segment, None)
        journal.note(apart)  # before their close records are gone with a segment, perhaps this one
        apart.clear()
        self._spool.forget(segment)
        journal.forget(segment)

    def _close_left(self, nonce: str) -> None:
        if count := self.accounts.end(nonce, self._now()):
            self.lost += count
            self._log.warning("A gateway died; the attempts that it left open count as lost.", attempts=count)
