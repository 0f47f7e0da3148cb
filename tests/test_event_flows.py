"""Events of a real gateway: what happens is in the outbox once, also where the recorder is killed.

The only receiver takes no connections, so the rows stay.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from proxy.auth.apikey import new_key
from proxy.events.base import OutboxEvent
from proxy.ledger import child
from proxy.ledger.recorder.folders import lock_recorder
from proxy.ledger.spool.folder import spool_folder
from proxy.ledger.spool.format import EVENT
from proxy.ledger.spool.reader import SpoolReader
from tests.database.databases import KINDS, address, new_database
from tests.ledger.recorder.databases import query
from tests.support import Answer, Upstream, completion, json_answer
from tests.support.gateway import ADMIN, Gateway, one_provider
from tests.support.patience import until, within
from tests.support.ports import free_port
from tests.support.recorder import recorder_ended

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
PRICED = [{"name": "m", "provider": "up", "model": "up-model", "prices": {"input": 1000, "output": 1000}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}  # 0.02 USD
KEYS = "/auth/api-keys"


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion() | {"usage": USAGE}))
        yield upstream


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url
        await recorder_ended(tmp_path / "spool")  # the next test may get the same database


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(child, "LOOK_SECS", 0.01)


def closed_hook(*types: str) -> dict[str, Any]:
    return {"webhooks": [{"url": f"http://127.0.0.1:{free_port()}/hook", "types": [*types]}]}


class Operator:
    """A gateway with one client, alice, and its admin."""

    def __init__(self, up: Upstream, url: str, folder: Path, **sections: Any) -> None:
        self.secret, hashed = new_key()
        self.url = url
        auth = {"mode": "keys", "keys": [{"name": "k", "owner": "alice", "hash": hashed}]}
        where = {"database": {"url": url}, "ledger": {"enabled": True}, "dataDir": str(folder), "auth": auth}
        billing = {"enabled": True, "defaultBalance": 10}
        self.source = one_provider(up, models=PRICED, billing=billing, **where) | sections
        self.gw = Gateway(self.source)

    async def admin(self, method: str, path: str, *headers: tuple[str, str], **request: Any) -> Answer:
        client = await self.gw.client()
        answer = await client.fetch(method, path, headers=[("Authorization", f"Bearer {ADMIN}"), *headers], **request)
        client.close()
        assert answer.status < 300, answer.body
        return answer

    async def call(self) -> None:
        client = await self.gw.client()
        headers = [("Authorization", f"Bearer {self.secret}")]
        assert (await client.fetch("POST", CHAT, headers=headers, json=CALL)).status == 200
        client.close()

    async def top_up(self, key: str, amount: float) -> None:
        body = {"user_id": "alice", "amount": amount, "description": key}
        await self.admin("POST", "/billing/transaction", ("Idempotency-Key", key), json=body)

    async def key_life(self) -> str:
        """Make, rename, rotate, disable and delete a key. Returns its id."""
        id_: str = (await self.admin("POST", KEYS, json={"name": "new"})).json["id"]
        await self.admin("PATCH", f"{KEYS}/{id_}", json={"name": "other"})
        await self.admin("POST", f"{KEYS}/{id_}/rotate", json={})
        await self.admin("PATCH", f"{KEYS}/{id_}", json={"enabled": False})
        await self.admin("DELETE", f"{KEYS}/{id_}")
        return id_

    async def breaker(self, *changes: str) -> None:
        for change in changes:
            await self.admin("POST", f"/admin/state/up/m/{change}")

    async def outbox(self, receiver: str = "") -> list[dict[str, Any]]:
        """The CloudEvents that wait, in order; for one receiver, if it is named."""
        rows = await query(address(self.url), "SELECT id, type, receiver, body FROM outbox ORDER BY seq")
        found = []
        for id_, type_, name, body in rows:
            event = json.loads(body)
            assert (event["id"], event["type"]) == (id_, f"io.sluice.{type_}")
            if receiver in ("", name):
                found.append(event)
        return found

    async def waiting(self, count: int) -> list[dict[str, Any]]:
        await holds(lambda: self._has(count), f"{count} events", lambda: self.gw.log_lines)
        return await self.outbox()

    async def _has(self, count: int) -> bool:
        return len(await self.outbox()) >= count

    @property
    def recorder(self) -> int | None:
        kept = self.gw.app._storage.recorder
        return None if kept is None else kept.pid

    async def kill_recorder(self) -> None:
        await until(lambda: self.recorder, "a recorder")
        pid = self.recorder
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: self.recorder not in (None, pid), "another recorder")


async def holds(condition: Callable[[], Awaitable[bool]], waiting_for: str, seen: Callable[[], object]) -> None:
    """Ask until the answer is true."""

    async def ask() -> None:
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)

    await within(ask(), waiting_for, seen)


async def test_what_happens_is_in_the_outbox_once(up: Upstream, url: str, tmp_path: Path) -> None:
    operator = Operator(up, url, tmp_path, events=closed_hook())
    async with operator.gw:
        await until(lambda: operator.recorder, "the recorder, before any call")
        key = await operator.key_life()
        for _ in range(2):
            await operator.top_up("first", 5)
        await operator.kill_recorder()
        for _ in range(3):
            await operator.call()
        await operator.breaker("open", "close", "close")
        await operator.kill_recorder()
        await operator.top_up("second", -1)
        events = await operator.waiting(4 + 3 + 3 + 3 + 2)
        await operator.kill_recorder()
        balance = (await operator.admin("GET", "/billing/balance/alice")).json["balance"]
    assert [event["id"] for event in await operator.outbox()] == [event["id"] for event in events]
    assert len({event["id"] for event in events}) == len(events)
    assert Counter(event["type"].removeprefix("io.sluice.") for event in events) == {
        "key_created": 2,
        "key_revoked": 2,
        "ai_usage": 3,
        "transaction_created": 6,
        "breaker_changed": 2,
    }
    keys = [(event["subject"], event["data"]["reason"]) for event in events if "key_" in event["type"]]
    assert keys == [(key, reason) for reason in ("created", "rotated", "disabled", "deleted")]
    breakers = [event["data"] for event in events if event["type"].endswith("breaker_changed")]
    assert [(data["from"], data["to"], data["held"]) for data in breakers] == [
        ("closed", "open", True),
        ("open", "closed", False),
    ]
    transfers = sorted(
        (event for event in events if event["type"].endswith("transaction_created")),
        key=lambda event: event["sequence"],
    )
    assert [int(event["sequence"]) for event in transfers] == [1, 2, 3, 4, 5, 6]
    assert [event["data"]["sequence"] for event in transfers] == [1, 2, 3, 4, 5, 6]
    data = [event["data"] for event in transfers]
    amounts = [each["amount_usd"] for each in data]
    assert (amounts[:2], sorted(amounts[2:])) == ([10, 5], [-1, -0.02, -0.02, -0.02])
    sums = [sum(each["amount"] for each in data[: number + 1]) for number in range(6)]
    assert [each["balance"] for each in data] == sums
    assert data[-1]["balance_usd"] == pytest.approx(balance)
    charged = {each["id"] for each in data if each["amount_usd"] == -0.02}
    assert charged == {event["id"] for event in events if event["type"].endswith("ai_usage")}


async def test_a_failing_provider_is_told(up: Upstream, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    circuit = {"failureThreshold": 2, "cooldownPeriodSecs": 0.01, "successThreshold": 1}
    operator = Operator(up, url, tmp_path, events=closed_hook("breaker_changed"), circuitBreaker=circuit)
    async with operator.gw:
        failing = [json_answer({"error": {"message": "no"}}, 500)] * 2
        for answer in failing:
            up.queue(answer)
        for _ in failing:
            client = await operator.gw.client()
            headers = [("Authorization", f"Bearer {operator.secret}")]
            assert (await client.fetch("POST", CHAT, headers=headers, json=CALL)).status >= 500
        await asyncio.sleep(0.02)  # the cooldown
        await operator.call()
        events = await operator.waiting(3)
    data = [event["data"] for event in events]
    assert [(each["from"], each["to"], each["cause"]) for each in data] == [
        ("closed", "open", "limit"),
        ("open", "half_open", "cooled"),
        ("half_open", "closed", "recovered"),
    ]
    assert (data[0]["provider"], data[0]["model"], data[0]["deployment"]) == ("up", "m", "up/m")
    assert data[0]["reason"]
    assert data[0]["until"] == pytest.approx(data[0]["at"] + 0.01, abs=0.002)


async def test_thresholds_survive_the_recorder(up: Upstream, url: str, tmp_path: Path) -> None:
    day = {"name": "own", "per": "owner", "tokens": 100, "window": "total", "soft": True}
    operator = Operator(up, url, tmp_path, events=closed_hook("budget_threshold"), budgets=[day])
    async with operator.gw:
        for _ in range(3):
            await operator.call()
        await operator.kill_recorder()
        for _ in range(3):
            await operator.call()
        await operator.kill_recorder()
        events = await operator.waiting(3)
    data = [event["data"] for event in events]
    assert sorted((each["threshold"], each["used"], each["subject"]) for each in data) == [
        (50, 60, "alice"),
        (80, 80, "alice"),
        (100, 100, "alice"),
    ]
    assert [event["id"] for event in await operator.outbox()] == [event["id"] for event in events]


async def test_without_receivers_there_is_no_event(up: Upstream, tmp_path: Path) -> None:
    operator = Operator(up, f"sqlite:///{tmp_path}/gateway.db", tmp_path)
    async with operator.gw:
        assert operator.recorder is None
        await operator.key_life()
        await operator.top_up("first", 5)
        await operator.breaker("open", "close")
        await operator.call()
        await holds(lambda: has_row(operator.url), "the row", lambda: operator.gw.log_lines)
    assert await operator.outbox() == []
    assert await query(address(operator.url), "SELECT sequence FROM accounts") == [(0,)]


async def has_row(url: str) -> bool:
    return bool(await query(address(url), "SELECT id FROM ledger"))


async def test_a_reload_changes_who_gets_events(up: Upstream, tmp_path: Path) -> None:
    operator = Operator(up, f"sqlite:///{tmp_path}/gateway.db", tmp_path)
    async with operator.gw as gw:
        changed = Gateway(
            operator.source | {"events": closed_hook("breaker_changed", "ai_usage", "key_created")}
        ).config
        await operator.call()
        await holds(lambda: has_row(operator.url), "the row", lambda: operator.gw.log_lines)
        first = operator.recorder
        gw.app._adopt(changed, gw.app.running.catalog)
        await until(lambda: operator.recorder not in (None, first), "another recorder")
        await operator.key_life()
        await operator.breaker("open", "close")
        await operator.call()
        events = await operator.waiting(2 + 2 + 1)
        gw.app._adopt(operator.gw.config, gw.app.running.catalog)
        await operator.key_life()
        await operator.breaker("open", "close")
    assert Counter(event["type"].removeprefix("io.sluice.") for event in events) == {
        "key_created": 2,
        "breaker_changed": 2,
        "ai_usage": 1,
    }
    assert len(await operator.outbox()) == 5


async def test_keys_go_by_the_spool_where_the_ledger_is_elsewhere(up: Upstream, tmp_path: Path) -> None:
    """With ``ledger.mode: events`` nothing is sent from the outbox of this database."""
    spool_folder(tmp_path).mkdir()
    lock = lock_recorder(spool_folder(tmp_path))  # so that no recorder takes them
    assert lock is not None
    broker = {"url": f"amqp://127.0.0.1:{free_port()}"}
    sections = {"ledger": {"enabled": True, "mode": "events"}, "billing": {"enabled": False}, "events": broker}
    operator = Operator(up, f"sqlite:///{tmp_path}/gateway.db", tmp_path, **sections)
    async with operator.gw:
        await operator.key_life()
        reader = SpoolReader(spool_folder(tmp_path), print)
        records = [record for batch in reader.read() for record in batch.records]
        reader.close()
    lock.release()
    events = [msgpack.decode(payload, type=OutboxEvent) for kind, payload in records if kind == EVENT]
    assert [json.loads(event.body)["data"]["reason"] for event in events] == [
        "created",
        "rotated",
        "disabled",
        "deleted",
    ]
    assert await operator.outbox() == []
