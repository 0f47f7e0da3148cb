"""Following the store, so that every replica serves what was made at another one, and changing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from msgspec import Struct

from proxy.services.entries import Entries
from proxy.services.store.base import EntriesChanged, EntriesDown, EntryChange, EntryStore

EVERY: Final = 1.0  # seconds
JITTER: Final = 0.1  # of it, either way
TRIES: Final = 20  # of one change, while other replicas are faster


class FollowerState(Struct, frozen=True):
    """``version``: of the entries in force. ``error``: why they may be old; ``""``: they are not."""

    version: int
    error: str = ""

    @property
    def up(self) -> bool:
        return not self.error


class EntryFollower:
    """Looks for another version once a second, and calls ``apply`` with the entries then.

    While the store is away the last entries stay in force. ``warn`` and ``info`` take one line each when it stops
    answering and when it answers again.
    """

    def __init__(
        self,
        store: EntryStore,
        apply: Callable[[Entries], object],
        warn: Callable[[str], object],
        info: Callable[[str], object],
        *,
        every: float = EVERY,
        chance: Random | None = None,
    ) -> None:
        self._apply = apply
        self._warn = warn
        self._info = info
        self._every = every
        self._chance = chance or Random()
        self._turn = asyncio.Lock()
        self.store = store
        self.state = FollowerState(0)
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<EntryFollower version={self.state.version}{f' error={self.state.error!r}' * (not self.state.up)}>"

    def start(self) -> None:
        """Follow the store in a task, until ``close``."""
        self._task = asyncio.create_task(self.run(), name="services and routes of the store")

    async def close(self) -> None:
        """Stop following. Entries that are being read are read first: a canceled query may leave a connection open."""
        if self._task is None:
            return
        async with self._turn:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def run(self) -> None:
        """Run until canceled."""
        time = asyncio.get_running_loop().time
        while True:
            due = time() + self._every * self._chance.uniform(1 - JITTER, 1 + JITTER)
            await self.look()
            await asyncio.sleep(max(0.0, due - time()))

    async def look(self) -> None:
        """Bring the entries up to date. Never raises: the last ones stay."""
        try:
            if await self.store.version(self.state.version) != self.state.version:
                async with self._turn:
                    self._adopt(await self.store.load())
            self._note("")
        except EntriesDown as error:
            self._note(error.detail or str(error))
        except Exception as error:
            # It must go on, or what is made elsewhere would never be served here.
            self._note(f"unexpected {type(error).__name__}: {error}")

    async def change(self, plan: Callable[[Entries], Sequence[EntryChange]], by: str) -> Entries:
        """Store the changes that ``plan`` makes of the present entries, and put them in force here.

        ``plan`` checks them. It is called again if another replica was faster, so what it checked holds when the
        changes are made. Returns the entries with them. Raises what ``plan`` raises, and EntriesDown.
        """
        async with self._turn:  # a look that began before must not bring back what was there before
            for _ in range(TRIES):
                entries = await self.store.load()
                try:
                    await self.store.put(plan(entries), by, entries.version)
                except EntriesChanged:
                    await asyncio.sleep(self._chance.uniform(0, 0.02))
                    continue
                entries = await self.store.load()
                self._adopt(entries)
                return entries
        raise EntriesDown(f"other replicas changed it {TRIES} times meanwhile")

    def _adopt(self, entries: Entries) -> None:
        self._apply(entries)
        self.state = FollowerState(entries.version, self.state.error)

    def _note(self, error: str) -> None:
        before = self.state.error
        self.state = FollowerState(self.state.version, error)
        if error and not before:
            self._warn(f"The store of services and routes does not answer: {error}; the last ones stay in force.")
        elif before and not error:
            self._info("The store of services and routes answers again.")
