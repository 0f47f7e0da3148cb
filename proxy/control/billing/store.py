"""The accounts in the database, as the routes use them. Errors are those of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from proxy.control.live import LiveConfig
from proxy.control.turns import QueryTurns
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ClientFault, ConfigError, GatewayError
from proxy.pricing.currency import ExchangeRate

if TYPE_CHECKING:
    from proxy.database.accounts import Account, AccountTable, Posted, TransferRows
    from proxy.database.transfers import Transaction

_DOWN: Final = "The database of accounts does not answer."


class AccountsDown(GatewayError):
    """The database does not answer."""

    status = 503
    code = "accounts_unavailable"


class AccountStore:
    """Raises ``AccountsDown``, and GatewayError (501) where there are no balances.

    ``database`` is the one that is written to: a replica for reading may be late. ``credited`` is called after each
    post with the account, and with all that was ever credited to it in nano-USD. ``events``: what the outbox gets with
    each transfer, as ``AccountTable`` takes it.
    """

    def __init__(
        self,
        database: LazyEngine,
        live: LiveConfig,
        credited: Callable[[str, int], None],
        events: Callable[[], TransferRows | None] = lambda: None,
    ) -> None:
        self._database = database
        self._live = live
        self._credited = credited
        self._events = events
        # Keys are looked up with the same connections, so clients may not use them all.
        self._turns = QueryTurns("accounts")

    def require(self) -> None:
        """Raises GatewayError (501)."""
        self._table()

    async def own(self, account: str) -> Account:
        """The account of a client. It is made if it is missing, as by the client's first call."""
        async with self._reading("client"):
            return await self._table().open(account, self._default)

    async def read(self, account: str) -> Account:
        """An account as the operator sees it. One that is missing has what it begins with."""
        from proxy.database.accounts import Account

        async with self._reading("operator"):
            return await self._table().read(account) or Account(account, self._default, opened=False)

    async def page(self, limit: int, after: str) -> list[Account]:
        async with self._reading("operator"):
            return await self._table().page(limit, after)

    async def transactions(self, account: str, limit: int, offset: int, *, own: bool) -> list[Transaction]:
        """At most ``limit``, the newest first. ``own``: a client asks for its account."""
        async with self._reading("client" if own else "operator"):
            table = self._table()
            if own:
                await table.open(account, self._default)
            return await table.transactions(account, limit, offset)

    async def post(self, account: str, amount: float, description: str, idempotency: tuple[str, str] | None) -> Posted:
        """Credit an amount in the currency of balances. Raises ClientFault (400, 409). See ``AccountTable.post``."""
        from proxy.database.accounts import CreditsExceeded, IdempotencyConflict

        table, nano = self._table(), self._nano(amount)
        rate = self._live.config.billing.usd_rate
        try:
            posted = await table.post(
                account,
                nano,
                description,
                idempotency=idempotency,
                default_nano=self._default,
                usd_rate=None if rate is UNSET else rate,
            )
        except IdempotencyConflict:
            text = "This Idempotency-Key was used for another transaction. Use a new key for each one."
            raise ClientFault(text, status=409, code="idempotency_conflict") from None
        except CreditsExceeded:
            text = "amount: the account would have more than any account may have."
            raise ClientFault(text, status=409, param="amount", code="balance_limit") from None
        except Unreachable as reason:
            raise AccountsDown(_unsure(idempotency is not None), retry_after=1, detail=str(reason)) from None
        if not posted.replayed:
            self._credited(account, posted.credits)
        return posted

    @asynccontextmanager
    async def _reading(self, asker: str) -> AsyncIterator[None]:
        self.require()
        try:
            if asker == "operator":
                yield
            else:
                async with self._turns.turn():
                    yield
        except Unreachable as reason:
            raise AccountsDown(_DOWN, retry_after=1, detail=str(reason)) from None

    def _table(self) -> AccountTable:
        config = self._live.config
        if not config.billing.enabled:
            raise _no_balances("There are no balances: set billing.enabled to true, and restart.")
        if not (config.database.enabled and config.ledger.enabled):
            raise _no_balances("There are no balances: set database.enabled and ledger.enabled to true, and restart.")
        try:
            engine = self._database.get()
        except ConfigError as error:
            raise _no_balances(" ".join(error.mistakes)) from None
        from proxy.database.accounts import AccountTable

        return AccountTable(engine, self._events())

    @property
    def _default(self) -> int:
        return self._live.config.billing.default_nano

    def _nano(self, amount: float) -> int:
        """Raises ClientFault."""
        from proxy.database.accounts import MOST_AMOUNT

        rate = ExchangeRate(self._live.config.billing.rate)
        try:
            nano = rate.nano(amount)
        except ValueError as error:
            raise _wrong_amount(str(error)) from None
        if not nano:
            raise _wrong_amount("must not be 0")
        if abs(nano) > MOST_AMOUNT:
            raise _wrong_amount(f"must be at most {rate.amount(MOST_AMOUNT):,.0f}")
        return nano


def _unsure(has_key: bool) -> str:
    if has_key:
        return f"{_DOWN} Send the request again with the same Idempotency-Key: it is posted once."
    return f"{_DOWN} The transaction may have been posted: look before you send it again."


def _wrong_amount(text: str) -> ClientFault:
    return ClientFault(f"amount: {text}.", param="amount", code="invalid_value")


def _no_balances(reason: str) -> GatewayError:
    return GatewayError(reason, status=501, code="no_balances")
