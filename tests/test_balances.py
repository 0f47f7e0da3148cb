"""Balances of users with tokens, from the top-up to the bill: a gateway as a process, with its recorder."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.signing import claims_of, sign
from proxy.config.schema import Jwt
from tests.database.databases import KINDS, new_database
from tests.support import Answer, Upstream, completion, json_answer
from tests.support.gateway import ADMIN, GatewayProcess, one_provider
from tests.support.patience import within
from tests.support.recorder import recorder_ended, recorder_works

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
# 0.001 USD a token: the prices are USD for a million.
PRICED = [{"name": "m", "provider": "up", "prices": {"input": 1000, "output": 1000}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
COST = 0.02
SECRET = "a-secret-of-at-least-32-characters!"


class Users:
    """Requests of users to a gateway."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway

    async def ask(self, method: str, path: str, user: str, **request: Any) -> Answer:
        """``user``: ``ADMIN`` for the admin."""
        settings = Jwt(secret=SECRET)
        token = ADMIN if user == ADMIN else sign(settings, claims_of(settings, user, {}, 30, time.time()))
        client = await self._gateway.client()
        answer = await client.fetch(method, path, headers=[("Authorization", f"Bearer {token}")], **request)
        client.close()
        return answer

    async def call(self, user: str) -> int:
        return (await self.ask("POST", CHAT, user, json=CALL)).status

    async def balance(self, user: str) -> float:
        found: float = (await self.ask("GET", "/billing/balance", user)).json["balance"]
        return found

    async def top_up(self, user: str, amount: float) -> Answer:
        body = {"user_id": user, "amount": amount, "description": "Top-up"}
        return await self.ask("POST", "/billing/transaction", ADMIN, json=body)


async def holds(condition: Callable[[], Awaitable[bool]], waiting_for: str) -> None:
    """Ask until the answer is true."""

    async def look() -> None:
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await within(look(), waiting_for)


@pytest.fixture(params=KINDS)
async def users(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Users]:
    async with Upstream() as up, new_database(request.param, tmp_path) as url:
        up.on(lambda _: json_answer(completion("Hello") | {"usage": USAGE}))
        source = one_provider(
            up,
            models=PRICED,
            auth={"mode": "jwt", "jwt": {"secret": SECRET}},
            billing={"enabled": True, "defaultBalance": 1},
            database={"url": url},
            dataDir=str(tmp_path / "data"),
            ledger={"enabled": True},
        )
        spool = tmp_path / "data" / "spool"
        async with GatewayProcess(source) as gateway:
            yield Users(gateway)
            await recorder_works(spool)
            gateway.signal(signal.SIGTERM)
            await gateway.wait()
        await recorder_ended(spool)  # the next test may get the same database


async def test_each_answered_call_is_a_transaction_and_lowers_the_balance(users: Users) -> None:
    assert (await users.top_up("alice", 9)).json["balance"] == 10
    assert [await users.call("alice") for _ in range(3)] == [200] * 3
    assert await users.call("bob") == 200

    async def billed() -> bool:
        return await users.balance("alice") == 10 - 3 * COST and await users.balance("bob") == 1 - COST

    await holds(billed, "the calls to be billed")
    listed = (await users.ask("GET", "/billing/transactions", "alice")).json
    assert [(each["description"], each["amount"]) for each in listed["data"]] == [
        *[("Chat completion with m", -COST)] * 3,
        ("Top-up", 9),
        ("Opening balance", 1),
    ]
    assert len({each["request_id"] for each in listed["data"][:3]}) == 3
    seen = (await users.ask("GET", "/billing/transactions?user_id=bob", ADMIN)).json["data"]
    assert [each["amount"] for each in seen] == [-COST, 1]
    usage = (await users.ask("GET", "/billing/usage", "alice")).json["total"]
    assert usage["cost_usd"] == pytest.approx(3 * COST)


async def test_the_metrics_have_the_balances_of_users(users: Users) -> None:
    await users.top_up("alice", 9)
    assert await users.call("alice") == 200

    async def shown() -> bool:
        text = (await users.ask("GET", "/metrics", ADMIN)).body.decode()
        return f'user_balance{{user="alice"}} {10 - COST}\n' in text

    await holds(shown, "the balance in the metrics")


async def test_a_call_that_the_balance_does_not_cover_is_refused_until_a_top_up(users: Users) -> None:
    assert (await users.top_up("alice", -1)).json["balance"] == 0
    refused = await users.ask("POST", CHAT, "alice", json=CALL)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")
    assert (refused.header("x-should-retry"), "balance" in refused.json["error"]["message"]) == ("false", True)
    assert (await users.top_up("alice", 1)).status == 201
    assert await users.call("alice") == 200
