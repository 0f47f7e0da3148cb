"""From the broker into the database: each row once, by its key, and a message is accepted after the commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from math import inf
from typing import Final, NamedTuple, cast

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.reading import BrokerDelivery, LedgerSubscription
from proxy.ledger.consumer.messages import rows_of
from proxy.ledger.recorder.base import DatabaseUnavailable, LedgerDatabase, Notices, RowsRejected, TablesOutdated
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.health import HealthWords, WriteHealth
from proxy.ledger.recorder.values import cleaned
from proxy.ledger.row import Row

MOST_ROWS: Final = 500  # about so many in one transaction
BATCH_SECS: Final = 0.1  # that a batch may wait for more messages
QUIET_SECS: Final = 0.5  # without a message, after which ``once`` asks the broker whether any wait
GIVE_UP_SECS: Final = 30.0  # of failures, after which ``once`` ends

REPORT_SECS: Final = 10.0  # between two log lines of messages that are no rows

_POISON: Final = "Messages are no rows of the ledger. They are in the dead letters (sluice events dead)."
_DATABASE: Final = HealthWords(
    "The ledger's database takes no rows. They wait at the broker.", "The ledger's database takes rows again."
)
_BROKER: Final = HealthWords("The broker gives no rows.", "The broker gives rows again.")


class _Part(NamedTuple):
    """Messages whose rows are written in one transaction. ``owners``: for each row the place of its message."""

    deliveries: list[BrokerDelivery]
    rows: list[Row]
    owners: list[int]
    reasons: dict[int, str]
    """Why a message goes to the dead letters, by its place."""


class LedgerConsumer:
    """It has no state. Killed at any moment, its messages come again, and their rows are there already.

    ``upgrade`` runs the migrations and returns why that failed, or ``""``. ``wrote`` is called after each commit.
    ``most``: messages in a batch. ``bound``: of the outbox; nothing is written while it holds. ``once``: end when no
    message waits. ``now`` is monotonic.
    """

    def __init__(
        self,
        subscription: LedgerSubscription,
        database: LedgerDatabase,
        log: Notices,
        upgrade: Callable[[], Awaitable[str]],
        *,
        wrote: Callable[[], None] = lambda: None,
        most: int = MOST_ROWS,
        once: bool = False,
        bound: OutboxBound | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.database_health = WriteHealth(log, now, _DATABASE)
        self.broker_health = WriteHealth(log, now, _BROKER)
        self.rows = 0
        """Inserted."""
        self.refused = 0
        """Messages that went to the dead letters."""
        self.emptied = False
        """No message was left for ``once``."""
        self._subscription = subscription
        self._database = database
        self._log = log
        self._upgrade = upgrade
        self._upgraded = False  # since rows were written
        self._wrote = wrote
        self._most = most
        self._once = once
        self._now = now
        self._told = 0  # messages that were refused, and logged
        self._reported = -inf  # when
        self._bound = OutboxBound() if bound is None else bound
        self._sleep = sleep

    @property
    def gives_up(self) -> bool:
        """Whether ``once`` ends although messages may be left."""
        failing = max(self.broker_health.failing_secs, self.database_health.failing_secs)
        return self._once and failing >= GIVE_UP_SECS

    async def run(self) -> None:
        """Consume until it is canceled, or with ``once`` until nothing is left."""
        while not self.emptied and not self.gives_up:
            try:
                await self._consume()
            except BrokerUnavailable as error:
                self.broker_health.failed(str(error))
                await self._sleep(self.broker_health.pause)

    async def take(self, deliveries: Sequence[BrokerDelivery]) -> None:
        """Write the rows of these messages, and accept them; those that are no rows go to the dead letters.

        Raises BrokerUnavailable: then the messages come again, those whose rows were written, too.
        """
        for part in _parts(deliveries):
            for place, why in await self._write(part.rows):
                part.reasons.setdefault(part.owners[place], why)
            for number, why in sorted(part.reasons.items()):
                await self._refuse(part.deliveries[number], why)
            done = [each for number, each in enumerate(part.deliveries) if number not in part.reasons]
            if done:
                await self._subscription.accept(done)

    # -- from the broker ------------------------------------------------------------------------------

    async def _consume(self) -> None:
        # That it is a generator is known of both implementations, and it must not be left to the garbage collector.
        batches = self._subscription.batches(self._most, BATCH_SECS)
        async with aclosing(cast("AsyncGenerator[list[BrokerDelivery]]", batches)) as received:
            if self._once:
                await self._consume_once(received)
                return
            async for deliveries in received:
                self.broker_health.answered()
                await self.take(deliveries)

    async def _consume_once(self, received: AsyncGenerator[list[BrokerDelivery]]) -> None:
        """Until the broker says that nothing waits, and nothing that it sent before is on its way."""
        empty = False
        coming = asyncio.ensure_future(anext(received))
        try:
            while not self.gives_up:
                done, _ = await asyncio.wait((coming,), timeout=QUIET_SECS)
                if done:
                    deliveries = coming.result()
                    self.broker_health.answered()
                    await self.take(deliveries)
                    empty = False
                    coming = asyncio.ensure_future(anext(received))
                elif await self._subscription.waiting():
                    empty = False
                elif empty:
                    self.emptied = True
                    return
                else:
                    empty = True
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def _refuse(self, delivery: BrokerDelivery, why: str) -> None:
        await self._subscription.bury(delivery, why)
        self.refused += 1
        now = self._now()
        if now - self._reported >= REPORT_SECS:
            count, self._told, self._reported = self.refused - self._told, self.refused, now
            self._log.error(_POISON, messages=count, id=delivery.id, why=why)

    # -- into the database ----------------------------------------------------------------------------

    async def _write(self, rows: Sequence[Row]) -> list[tuple[int, str]]:
        """Write rows, however long that takes. Returns those that the database refuses: place and reason.

        Meanwhile no other message is taken, so the broker keeps what comes.
        """
        while rows:
            self._bound.log_forgetting(self._log)
            if self._bound.holds:
                await self._failed("the outbox of events is full (events.mostWaiting)")
                continue
            try:
                refused = await self._insert(rows, 0)
            except DatabaseUnavailable as error:
                await self._failed(str(error))
            except TablesOutdated:
                await self._run_migrations()
            else:
                self._upgraded = False
                self.database_health.answered()
                self._wrote()
                return refused
        return []

    async def _insert(self, rows: Sequence[Row], first: int) -> list[tuple[int, str]]:
        """Rows that are refused are found by halves. ``first``: place of the first of ``rows``."""
        try:
            self.rows += await self._database.write(rows)
        except RowsRejected as error:
            if len(rows) > 1:
                half = len(rows) // 2
                return await self._insert(rows[:half], first) + await self._insert(rows[half:], first + half)
            return await self._insert_cleaned(rows[0], first, error)
        return []

    async def _insert_cleaned(self, row: Row, place: int, error: RowsRejected) -> list[tuple[int, str]]:
        try:
            self.rows += await self._database.write((cleaned(row),))
        except RowsRejected:
            return [(place, f"the database refuses it: {error}")]
        return []

    async def _run_migrations(self) -> None:
        if self._upgraded:
            await self._failed("its tables lack columns that this version needs, although its migrations ran")
        elif why := await self._upgrade():
            await self._failed(why)
        else:
            self._upgraded = True

    async def _failed(self, why: str) -> None:
        """Raises BrokerUnavailable where ``once`` has tried for long enough: its messages go back."""
        self.database_health.failed(why)
        if self.gives_up:
            raise BrokerUnavailable(f"the database does not take the rows: {why}")
        await self._sleep(self.database_health.pause)


def _parts(deliveries: Sequence[BrokerDelivery]) -> Iterator[_Part]:
    """Messages with about ``MOST_ROWS`` rows at a time: one of them may be a batch of events."""
    part = _Part([], [], [], {})
    for delivery in deliveries:
        rows, poison = rows_of(delivery)
        number = len(part.deliveries)
        part.deliveries.append(delivery)
        part.rows.extend(rows)
        part.owners.extend([number] * len(rows))
        if poison:
            part.reasons[number] = poison
        if len(part.rows) >= MOST_ROWS:
            yield part
            part = _Part([], [], [], {})
    if part.deliveries:
        yield part
