"""Balances and transactions over real sockets, on both databases: who may see and change what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.database.accounts import MOST_CREDITS
from tests.control.billing.rig import ALICE, TOP_UP, BillingPlane, billing_plane
from tests.database.databases import KINDS, new_database
from tests.support import Answer

BOB = [("x-test-client", "2"), ("x-test-owner", "bob")]
KEY_ONLY = ("x-test-client", "3")  # a client without an owner


@pytest.fixture(params=KINDS)
async def plane(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BillingPlane]:
    async with new_database(request.param, tmp_path) as url, billing_plane(url, tmp_path) as plane:
        yield plane


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[BillingPlane]:
    """On SQLite, for what does not depend on the database."""
    async with billing_plane(f"sqlite:///{tmp_path}/a.db", tmp_path) as plane:
        yield plane


def error_of(answer: Answer) -> tuple[int, str, str | None]:
    fault = answer.json["error"]
    return answer.status, fault["code"], fault["param"]


async def test_a_post_answers_with_the_transaction_and_the_balance(plane: BillingPlane) -> None:
    answer = await plane.post()
    assert answer.status == 201, answer.body
    posted = answer.json
    assert list(posted) == ["id", "user_id", "amount", "description", "timestamp", "balance", "opened"]
    assert {name: posted[name] for name in ("user_id", "amount", "description", "balance")} == TOP_UP | {
        "balance": 12.5
    }
    at = datetime.fromisoformat(posted["timestamp"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert answer.header("idempotent-replayed") is None
    assert (await plane.post(amount=-2.25, description="Correction")).json["balance"] == 10.25
    assert plane.credited == [("alice", 12_500_000_000), ("alice", 10_250_000_000)]


async def test_an_account_that_is_not_there_yet_is_told_before_and_after_it_is_opened(plane: BillingPlane) -> None:
    missing = (await plane.server.ask("GET", "/billing/balance/aliec")).json
    assert missing == {"user_id": "aliec", "balance": 0, "currency": "USD", "opened": False}
    first = (await plane.post(user_id="aliec", key="k-1")).json
    assert first["opened"] is True
    assert (await plane.post(user_id="aliec", key="k-1")).json == first
    assert "opened" not in (await plane.post(user_id="aliec")).json
    assert "opened" not in (await plane.server.ask("GET", "/billing/balance/aliec")).json
    (listed,) = (await plane.server.ask("GET", "/billing/accounts")).json["data"]
    assert listed == {"user_id": "aliec", "balance": 25, "currency": "USD"}


async def test_a_client_reads_its_own_balance_and_no_other(plane: BillingPlane) -> None:
    await plane.post()
    own = await plane.server.fetch("GET", "/billing/balance", *ALICE)
    assert (own.status, own.json) == (200, {"user_id": "alice", "balance": 12.5, "currency": "USD"})
    assert (await plane.server.fetch("GET", "/billing/balance/alice", *ALICE)).json == own.json
    for path in ("/billing/balance/alice", "/billing/transactions?user_id=alice"):
        answer = await plane.server.fetch("GET", path, *BOB)
        assert error_of(answer) == (403, "not_own_account", "user_id")
    assert (await plane.server.fetch("GET", "/billing/balance", *BOB)).json["balance"] == 0


async def test_a_client_without_an_owner_has_an_account_of_its_own(plane: BillingPlane) -> None:
    await plane.post(user_id="key:3")
    own = await plane.server.fetch("GET", "/billing/balance", KEY_ONLY)
    assert own.json == {"user_id": "key:3", "balance": 12.5, "currency": "USD"}


async def test_a_client_posts_nothing(plane: BillingPlane) -> None:
    for amount in (1, -1):
        body = TOP_UP | {"amount": amount}
        answer = await plane.server.fetch("POST", "/billing/transaction", *ALICE, json=body)
        assert error_of(answer) == (403, "admin_required", None)
        assert "Only the admin token may post" in answer.json["error"]["message"]
    assert await plane.balance() == 0
    assert plane.credited == []


async def test_without_a_credential_nothing_is_shown(small: BillingPlane) -> None:
    for path in ("/billing/balance", "/billing/balance/alice", "/billing/transactions", "/billing/accounts"):
        assert (await small.server.fetch("GET", path)).status == 401
    assert (await small.server.fetch("POST", "/billing/transaction", json=TOP_UP)).status == 401
    assert (await small.server.fetch("GET", "/billing/accounts", *ALICE)).status == 401


async def test_transactions_are_listed_newest_first_in_pages(plane: BillingPlane) -> None:
    posted = [(await plane.post(amount=amount, description=f"no. {amount}")).json for amount in (1, 2, -3)]
    listed = [
        {name: value for name, value in each.items() if name not in ("balance", "opened")} for each in reversed(posted)
    ]
    answer = await plane.server.fetch("GET", "/billing/transactions", *ALICE)
    assert answer.json == {
        "data": listed,
        "has_more": False,
        "user_id": "alice",
        "currency": "USD",
        "object": "list",
    }
    page = (await plane.server.fetch("GET", "/billing/transactions?limit=2", *ALICE)).json
    assert (page["data"], page["has_more"]) == (listed[:2], True)
    page = (await plane.server.ask("GET", "/billing/transactions?limit=2&offset=2&user_id=alice")).json
    assert (page["data"], page["has_more"]) == (listed[2:], False)
    assert (await plane.server.fetch("GET", "/billing/transactions", *BOB)).json["data"] == []


async def test_an_account_begins_with_the_default_balance_as_a_transaction(plane: BillingPlane) -> None:
    plane.bill(default_balance=5.0)
    assert await plane.balance() == 5
    assert (await plane.server.ask("GET", "/billing/transactions?user_id=alice")).json["data"] == []
    assert (await plane.server.fetch("GET", "/billing/balance", *ALICE)).json["balance"] == 5
    (opening,) = (await plane.server.fetch("GET", "/billing/transactions", *ALICE)).json["data"]
    assert (opening["amount"], opening["description"]) == (5, "Opening balance")
    (first,) = (await plane.server.fetch("GET", "/billing/transactions", *BOB)).json["data"]
    assert first["amount"] == 5
    assert (await plane.post(user_id="carol")).json["balance"] == 17.5


async def test_a_repeated_request_with_the_same_key_gets_the_same_answer(plane: BillingPlane) -> None:
    first = await plane.post(key="k-1")
    again = await plane.server.ask(
        "POST", "/billing/transaction", ("Idempotency-Key", "k-1"),
        json={"description": "Top-up", "amount": 12.50, "user_id": "alice"},
    )  # fmt: skip
    assert (again.status, again.json) == (201, first.json)
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (None, "true")
    await plane.post(amount=1)
    assert (await plane.post(key="k-1")).json == first.json
    assert await plane.balance() == 13.5
    assert len(plane.credited) == 2
    for changed in ({"amount": 13}, {"user_id": "bob"}, {"description": "Another"}):
        assert error_of(await plane.post(key="k-1", **changed)) == (409, "idempotency_conflict", None)
    assert (await plane.post(key="k-2")).json["balance"] == 26


async def test_equal_requests_at_once_post_once(plane: BillingPlane) -> None:
    answers = await asyncio.gather(*(plane.post(key="same") for _ in range(10)))
    assert {each.status for each in answers} == {201}
    assert len({each.json["id"] for each in answers}) == 1
    assert [each.header("idempotent-replayed") for each in answers].count(None) == 1
    assert await plane.balance() == 12.5


async def test_different_requests_at_once_with_one_key_post_once(plane: BillingPlane) -> None:
    answers = await asyncio.gather(*(plane.post(key="same", amount=amount) for amount in range(1, 9)))
    (posted,) = [each for each in answers if each.status == 201]
    assert {each.status for each in answers} == {201, 409}
    assert await plane.balance() == posted.json["amount"]


async def test_posts_at_once_are_all_counted(plane: BillingPlane) -> None:
    answers = await asyncio.gather(*(plane.post(amount=0.000000001) for _ in range(20)))
    assert sorted(each.json["balance"] for each in answers) == [number / 1e9 for number in range(1, 21)]
    assert await plane.balance() == 2e-8


async def test_the_admin_lists_accounts(plane: BillingPlane) -> None:
    for user in ("bob", "alice", "https://id.example.org|carol"):
        await plane.post(user_id=user)
    page = (await plane.server.ask("GET", "/billing/accounts?limit=2")).json
    assert [each["user_id"] for each in page["data"]] == ["alice", "bob"]
    assert (page["last_id"], page["has_more"]) == ("bob", True)
    page = (await plane.server.ask("GET", "/admin/billing/accounts?after=bob")).json
    assert page["data"] == [{"user_id": "https://id.example.org|carol", "balance": 12.5, "currency": "USD"}]
    assert await plane.balance("https%3A%2F%2Fid.example.org%7Ccarol") == 12.5


async def test_the_dashboard_uses_the_same_routes_below_admin(small: BillingPlane) -> None:
    posted = await small.server.ask("POST", "/admin/billing/transaction", json=TOP_UP)
    assert posted.status == 201
    assert (await small.server.ask("GET", "/admin/billing/balance/alice")).json["balance"] == 12.5
    assert len((await small.server.ask("GET", "/admin/billing/transactions?user_id=alice")).json["data"]) == 1
    assert (await small.server.fetch("GET", "/admin/billing/balance/alice", *ALICE)).status == 401


async def test_the_admin_must_name_an_account(small: BillingPlane) -> None:
    assert error_of(await small.server.ask("GET", "/billing/balance")) == (400, "no_own_account", None)
    assert error_of(await small.server.ask("GET", "/billing/transactions")) == (400, "invalid_value", "user_id")


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 1e-10}, "amount"),
        ({"amount": 1_000_000.1}, "amount"),
        ({"amount": -2e300}, "amount"),
        ({"amount": "1"}, "amount"),
        ({"amount": True}, "amount"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": ":funding"}, "user_id"),
        ({"user_id": "a\0b"}, "user_id"),
        ({"user_id": "x" * 201}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"description": ""}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"description": "x" * 501}, "description"),
    ],
)
async def test_a_wrong_member_is_named(small: BillingPlane, changed: dict[str, Any], param: str) -> None:
    assert error_of(await small.post(**changed)) == (400, "invalid_value", param)
    assert await small.balance() == 0


async def test_a_transaction_without_a_description_is_described_by_its_sign(small: BillingPlane) -> None:
    for amount in (2, -1):
        body = {"user_id": "alice", "amount": amount}
        assert (await small.server.ask("POST", "/billing/transaction", json=body)).status == 201
    found = (await small.server.ask("GET", "/billing/transactions?user_id=alice")).json["data"]
    assert [(each["amount"], each["description"]) for each in found] == [(-1, "Correction"), (2, "Top-up")]


async def test_the_same_key_posts_once_whether_the_description_is_written_or_not(small: BillingPlane) -> None:
    body = {"user_id": "alice", "amount": 2}
    for each in (body, body | {"description": "Top-up"}):
        assert (await small.post(each, key="k")).status == 201
    assert await small.balance() == 2


async def test_missing_and_unknown_members_are_refused(small: BillingPlane) -> None:
    for body, param in (({"user_id": "alice"}, "amount"), ({"amount": 1}, "user_id"), (TOP_UP | {"to": 5}, "to")):
        answer = await small.server.ask("POST", "/billing/transaction", json=body)
        assert error_of(answer) == (400, "invalid_value", param)
    for path in ("/billing/transactions?limit=0", "/billing/transactions?offset=-1", "/billing/transactions?page=2"):
        assert (await small.server.fetch("GET", path, *ALICE)).status == 400
    for path in ("/billing/accounts?after=a%00b", "/billing/balance/a%00b", "/billing/transactions?user_id=%00"):
        assert (await small.server.ask("GET", path)).status == 400


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
async def test_a_malformed_idempotency_key_is_refused(small: BillingPlane, key: str) -> None:
    assert error_of(await small.post(key=key)) == (400, "invalid_value", "Idempotency-Key")
    assert await small.balance() == 0


async def test_the_longest_idempotency_key_is_accepted(small: BillingPlane) -> None:
    assert (await small.post(key="x" * 255)).status == 201


async def test_amounts_are_in_the_currency_and_stay_what_they_were(plane: BillingPlane) -> None:
    plane.bill(currency="EUR", usd_rate=0.86)
    first = await plane.post(amount=8.6, key="k")
    assert (first.json["amount"], first.json["balance"]) == (8.6, 8.6)
    assert plane.credited == [("alice", 10_000_000_000)]
    plane.bill(usd_rate=0.9)
    own = await plane.server.fetch("GET", "/billing/balance", *ALICE)
    assert own.json == {"user_id": "alice", "balance": 9, "currency": "EUR"}
    (listed,) = (await plane.server.fetch("GET", "/billing/transactions", *ALICE)).json["data"]
    assert listed["amount"] == 8.6
    assert (await plane.post(amount=8.6, key="k")).json == first.json


async def test_an_account_has_an_upper_bound(plane: BillingPlane) -> None:
    await plane.table.open("alice", MOST_CREDITS)
    assert error_of(await plane.post()) == (409, "balance_limit", "amount")
    assert await plane.balance() == MOST_CREDITS / 1e9
    assert plane.credited == []
