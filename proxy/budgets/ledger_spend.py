"""The database of the ledger, as budget counters read it. Nothing is imported or connected to before the first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.budgets.book import SeedsUnavailable
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.accounts import AccountTable, TransferRows
    from proxy.database.engine import Engine
    from proxy.database.spend import Spent

AT_ONCE: Final = 500  # accounts in one statement


class Earlier(Struct, frozen=True):
    """A counter whose window began before its budget was known. ``begins``: Unix seconds."""

    key: str
    per: str
    subject: str
    begins: float


class LedgerSpend:
    """Every method raises SeedsUnavailable. ``default``: nano-USD that a new account begins with.

    ``warn`` takes a sentence when the past of a counter is too long to be read. ``events``: what the outbox gets with
    each transfer, as ``AccountTable`` takes it.
    """

    def __init__(
        self,
        database: LazyEngine,
        default: Callable[[], int],
        warn: Callable[[str], object],
        events: Callable[[], TransferRows | None] = lambda: None,
    ) -> None:
        self._database = database
        self._default = default
        self._warn = warn
        self._events = events

    async def spent(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Spent]]:
        """What was spent by counter, of all ``keys``, and by process."""
        engine = self._engine()
        from proxy.database.spend import SpendTable

        try:
            return await SpendTable(engine).read(keys)
        except Unreachable as reason:
            raise SeedsUnavailable(str(reason)) from None

    async def begin(self, asked: Sequence[Earlier], now: float) -> Mapping[str, Mapping[str, Spent]]:
        """Keep what the ledger has of windows that began before their counters, for all processes and restarts.

        Returns what ``spent`` returns then. ``now``: Unix seconds.
        """
        engine = self._engine()
        from proxy.database.earlier import EarlierSpend
        from proxy.database.spend import SpendTable, Spent
        from proxy.database.usage import TooManyRows

        table, earlier, nothing = SpendTable(engine), EarlierSpend(engine), Spent()
        try:
            for each in asked:
                try:
                    found = await earlier.read(each.key, each.per, each.subject, each.begins, now)
                except TooManyRows as many:
                    self._warn(
                        f"The budget counter {each.key} begins with 0: to count what was spent before,"
                        f" {many.count} attempts would have to be read."
                    )
                    continue
                if found is not None and found != nothing:
                    await table.begin(each.key, found.nano, found.tokens)
            return await table.read([each.key for each in asked])
        except Unreachable as reason:
            raise SeedsUnavailable(str(reason)) from None

    async def credits(self, accounts: Sequence[str], *, opens: bool) -> Mapping[str, int]:
        """What was ever credited to each account, in nano-USD. ``opens``: make those that are missing.

        A name that no account can have is credited nothing.
        """
        engine = self._engine()
        from proxy.database.accounts import AccountTable

        table, found = AccountTable(engine, self._events()), {}
        try:
            for begin in range(0, len(accounts), AT_ONCE):
                there = await table.found(accounts[begin : begin + AT_ONCE])
                found.update({name: account.credits for name, account in there.items()})
            for name in accounts:
                if opens and name not in found:
                    found[name] = await _open(table, name, self._default())
        except Unreachable as reason:
            raise SeedsUnavailable(str(reason)) from None
        return found

    def _engine(self) -> Engine:
        try:
            return self._database.get()
        except ConfigError as error:
            raise SeedsUnavailable(str(error)) from None


async def _open(table: AccountTable, name: str, default: int) -> int:
    try:
        return (await table.open(name, default)).credits
    except ValueError:
        return 0
