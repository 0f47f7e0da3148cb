"""The accounts where there are none, and where the database is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.billing_schema import Billing
from proxy.config.schema import Config, Database, LedgerSettings
from proxy.control.turns import AT_ONCE, MOST_WAITING
from proxy.database.accounts import Account, AccountTable
from tests.control.billing.rig import ALICE, TOP_UP, BillingPlane, billing_plane
from tests.database.databases import Forwarder, new_database
from tests.support import until

PATHS = ("/billing/balance/alice", "/billing/transactions?user_id=alice", "/billing/accounts")
ON = Billing(enabled=True)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[BillingPlane]:
    async with billing_plane(f"sqlite:///{tmp_path}/a.db", tmp_path) as plane:
        yield plane


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (Config(), "billing.enabled"),
        (Config(billing=ON, ledger=LedgerSettings(enabled=False)), "ledger.enabled"),
        (Config(billing=ON, database=Database(enabled=False)), "database.enabled"),
    ],
)
async def test_without_balances_the_answer_says_what_to_set(plane: BillingPlane, config: Config, named: str) -> None:
    plane.config = config
    answers = [await plane.server.ask("GET", path) for path in (*PATHS, "/billing/balance")]
    answers += [await plane.server.fetch("GET", "/billing/balance", *ALICE), await plane.post()]
    answers.append(await plane.server.fetch("POST", "/billing/transaction", *ALICE, json=TOP_UP))
    for answer in answers:
        assert (answer.status, answer.json["error"]["code"]) == (501, "no_balances")
        assert named in answer.json["error"]["message"]


async def test_a_database_that_is_down_is_a_503_and_a_repeated_post_counts_once(tmp_path: Path) -> None:
    async with (
        new_database("postgresql", tmp_path) as url,
        Forwarder(url) as way,
        billing_plane(way.url, tmp_path) as plane,
    ):
        assert (await plane.post(key="a")).status == 201
        await way.cut()
        for path in PATHS:
            answer = await plane.server.ask("GET", path)
            assert (answer.status, answer.json["error"]["code"]) == (503, "accounts_unavailable")
            assert answer.header("retry-after") == "1"
        answer = await plane.post(key="b")
        assert answer.status == 503
        assert "again with the same Idempotency-Key" in answer.json["error"]["message"]
        answer = await plane.post()
        assert "look before you send it again" in answer.json["error"]["message"]
        await way.restore()
        assert (await plane.post(key="a")).header("idempotent-replayed") == "true"
        assert (await plane.post(key="b")).json["balance"] == 25


async def test_clients_cannot_use_all_connections(plane: BillingPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def slow(self: AccountTable, account: str, default_nano: int) -> Account:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await go.wait()
        running -= 1
        return Account(account)

    monkeypatch.setattr(AccountTable, "open", slow)
    async with asyncio.TaskGroup() as tasks:
        many = range(AT_ONCE + MOST_WAITING + 1)
        asked = [tasks.create_task(plane.server.fetch("GET", "/billing/balance", *ALICE)) for _ in many]
        await until(lambda: any(each.done() for each in asked), "a refusal")
        assert await plane.balance() == 0  # the operator does not wait
        go.set()
    assert most == AT_ONCE
    (refused,) = [each.result() for each in asked if each.result().status != 200]
    assert (refused.status, refused.json["error"]["code"]) == (503, "accounts_busy")
