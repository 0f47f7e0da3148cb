"""The routes of balances: each client reads its own account, the admin reads and posts to any.

A client posts nothing, not even to its own account: one that credits itself would make money, and one that takes
from itself could empty the account of everyone who has a key of the same owner.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Final

from msgspec import json

from proxy.control.billing.schemas import (
    IDEMPOTENCY,
    IDEMPOTENCY_HEADER,
    LONGEST_KEY,
    AccountParameters,
    NewTransaction,
    TransactionParameters,
)
from proxy.control.billing.store import AccountStore
from proxy.control.billing.views import AccountList, BalanceView, BillingViews, PostedView, TransactionList
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.errors import ClientFault
from proxy.identity import Client
from proxy.server.request import Request

REPLAYED: Final = b"Idempotent-Replayed: true\r\n"

_UNAVAILABLE: Final = (501, 503)  # no balances, or the database does not respond
_KEY: Final = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_ADMIN: Final = "admin"  # who posts, before the key in the database


class BillingHandlers:
    """Handlers take the client, or ``None`` for the admin."""

    def __init__(self, store: AccountStore, live: LiveConfig, bodies: RequestBodies) -> None:
        self._store = store
        self._live = live
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        own = Operation("billing", "The balance of the client", BalanceView, errors=(400, *_UNAVAILABLE))
        one = Operation("billing", "The balance of a user", BalanceView, errors=(400, *_UNAVAILABLE))
        transactions = Operation(
            "billing",
            "Transactions of an account, newest first",
            TransactionList,
            query=TransactionParameters,
            errors=_UNAVAILABLE,
        )
        post = Operation(
            "billing",
            "Credit an amount to an account, or take it",
            PostedView,
            201,
            body=NewTransaction,
            example={"user_id": "alice", "amount": 25.0, "description": "Top-up"},
            headers={IDEMPOTENCY_HEADER: IDEMPOTENCY},
            errors=(409, *_UNAVAILABLE),
            notes="For the admin only: a client's credential gets a 403.",
        )
        accounts = Operation(
            "billing", "The balances of all accounts", AccountList, query=AccountParameters, errors=_UNAVAILABLE
        )
        both = (
            ControlRoute("GET", "/billing/balance", "either", self.own, own),
            ControlRoute("GET", "/billing/balance/{user}", "either", self.one, one),
            ControlRoute("GET", "/billing/transactions", "either", self.transactions, transactions),
            ControlRoute("POST", "/billing/transaction", "either", self.post, post),
        )
        return (
            *both,
            *(ControlRoute(each.method, f"/admin{each.path}", "admin", _as_admin(each.handler)) for each in both[1:]),
            ControlRoute("GET", "/billing/accounts", "admin", self.accounts, accounts),
            ControlRoute("GET", "/admin/billing/accounts", "admin", self.accounts),
        )

    async def own(self, request: Request, client: Client | None) -> None:
        """GET /billing/balance."""
        if client is None:
            self._store.require()
            raise ClientFault(
                "The admin has no account: name a user, as in /billing/balance/alice.", code="no_own_account"
            )
        send_json(request, 200, self._views().balance(await self._store.own(client.payer)))

    async def one(self, request: Request, client: Client | None, user: str) -> None:
        """GET /billing/balance/{user}: of any user for the admin; a client names itself."""
        account = _account(client, user)
        found = await self._store.read(account) if client is None else await self._store.own(account)
        send_json(request, 200, self._views().balance(found))

    async def transactions(self, request: Request, client: Client | None) -> None:
        """GET /billing/transactions."""
        given = parse_query(request, TransactionParameters)
        account = _account(client, given.user_id)
        found = await self._store.transactions(account, given.limit + 1, given.offset, own=client is not None)
        send_json(request, 200, self._views().transactions(account, found, given.limit))

    async def accounts(self, request: Request) -> None:
        """GET /billing/accounts."""
        given = parse_query(request, AccountParameters)
        _require_text("after", given.after)
        found = await self._store.page(given.limit + 1, given.after)
        send_json(request, 200, self._views().accounts(found, given.limit))

    async def post(self, request: Request, client: Client | None) -> None:
        """POST /billing/transaction: 201, also for a request that was posted before with the same Idempotency-Key."""
        self._store.require()
        if client is not None:
            raise ClientFault(
                "Only the admin token may post transactions, so that no client can raise its own balance.",
                status=403,
                code="admin_required",
            )
        key = _idempotency_key(request)
        new = await self._bodies.decode(request, NewTransaction)
        _require_text("description", new.text)
        account = _account(None, new.user_id)
        idempotency = None if key is None else (f"{_ADMIN}:{key}", _digest(new))
        posted = await self._store.post(account, new.amount, new.text, idempotency)
        send_json(request, 201, self._views().posted(posted), REPLAYED if posted.replayed else b"")

    def _views(self) -> BillingViews:
        return BillingViews(self._live.config.billing)


def _as_admin(handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    def handle(request: Request, *parameters: str) -> Awaitable[None]:
        return handler(request, None, *parameters)

    return handle


def _account(client: Client | None, user: str | None) -> str:
    """The account that a request is about. Raises ClientFault (400, 403)."""
    if client is not None:
        if user not in (None, client.payer):
            raise ClientFault(
                "This is not the account of your credential.", status=403, param="user_id", code="not_own_account"
            )
        return client.payer
    if user is None:
        raise ClientFault("user_id: name the user, as the admin has no account.", param="user_id", code="invalid_value")
    _require_text("user_id", user)
    if user.startswith(":"):
        raise ClientFault(
            "user_id: a colon begins names of the gateway's own accounts.", param="user_id", code="invalid_value"
        )
    return user


def _require_text(name: str, text: str) -> None:
    if not text.isprintable():
        raise ClientFault(f"{name}: it must be printable text on one line.", param=name, code="invalid_value")


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise ClientFault(
            f"{IDEMPOTENCY_HEADER}: expected 1 to {LONGEST_KEY} printable ASCII characters without spaces.",
            param=IDEMPOTENCY_HEADER,
            code="invalid_value",
        )
    return key


def _digest(new: NewTransaction) -> str:
    """Equal for bodies that mean the same, however they are written."""
    amount = str(Decimal(repr(new.amount)).normalize())
    return sha256(json.encode([new.user_id, amount, new.text])).hexdigest()
