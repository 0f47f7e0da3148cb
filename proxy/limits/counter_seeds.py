"""Reading of budget counters that Redis does not have, or of which a process ended without a word, from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from proxy.budgets.base import BudgetCounter
from proxy.limits.counter_sums import SharedCounter
from proxy.limits.shared_counters import CounterSeed

MOST_PER_READ: Final = 500
TIMEOUT: Final = 5.0  # seconds of a read


class SpendReader(Protocol):
    """The ledger."""

    async def read(self, counters: Sequence[BudgetCounter]) -> Mapping[str, Mapping[str, int]]:
        """What was spent by counter's key and process, in nano-USD or tokens as the counter's budget is.

        A process's amount may be less than it spent, never more. Raises any error if it cannot be read.
        """


class CounterSeeds:
    """Reads each counter once at a time. ``read``: called with each result; ``failed``: with counters and the reason.

    ``reader`` may be set later; ``None``: nothing was spent before.
    """

    def __init__(
        self,
        read: Callable[[CounterSeed], None],
        failed: Callable[[Iterable[SharedCounter], str], None],
        reader: SpendReader | None = None,
    ) -> None:
        self.reader = reader
        self._read = read
        self._failed = failed
        self._asked: dict[SharedCounter, int] = {}  # with the number of deaths
        self._queue: list[SharedCounter] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, counters: Iterable[SharedCounter], deaths: int) -> None:
        """Read these, unless they are being read. ``deaths``: of the reply that misses them."""
        if self.reader is None:
            for shared in counters:
                self._read(CounterSeed(shared, deaths, {}))
            return
        for shared in counters:
            if shared not in self._asked:
                self._asked[shared] = deaths
                self._queue.append(shared)
        if self._queue and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(self.reader), name="budgets from the ledger")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, reader: SpendReader) -> None:
        try:
            while self._queue:
                counters, self._queue = self._queue[:MOST_PER_READ], self._queue[MOST_PER_READ:]
                await self._read_some(reader, counters)
        finally:
            self._task = None

    async def _read_some(self, reader: SpendReader, counters: list[SharedCounter]) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                found = await reader.read([shared.counter for shared in counters])
        except Exception as error:  # whatever a database raises
            for shared in counters:
                del self._asked[shared]
            reason = f"no answer within {TIMEOUT:g} s" if isinstance(error, TimeoutError) else type(error).__name__
            self._failed(counters, reason)
            return
        for shared in counters:
            self._read(CounterSeed(shared, self._asked.pop(shared), found.get(shared.counter.key, {})))
