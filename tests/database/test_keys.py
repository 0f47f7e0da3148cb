"""The statements on the table of API keys. What a record means is in tests/auth/test_keystore.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.keys import KeyTable
from tests.database.databases import KINDS, address, new_database


@pytest.fixture(params=KINDS)
async def table(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyTable]:
    async with new_database(request.param, tmp_path) as url:
        engine = Engine(address(url), DatabaseHealth(), time_limit=10.0)
        yield KeyTable(engine)
        await engine.close()


def row(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": f"key_{number}",
        "name": "a name",
        "owner": "",
        "hash": f"hash_{number}",
        "enabled": True,
        "expires_at": None,
        "models": ["gpt-*"],
        "providers": [],
        "scopes": [],
        "limits": None,
    } | changed


async def test_a_new_row_comes_back_with_its_times_and_revision(table: KeyTable) -> None:
    before = await table.now()
    record = await table.insert(row(1, limits={"concurrent": 2}))
    assert {name: record[name] for name in row(1)} == row(1, limits={"concurrent": 2})
    assert record["created_at"] == pytest.approx(record["changed_at"], abs=1.0)
    assert before <= record["created_at"] <= await table.now()
    assert (record["deleted"], record["revision"], record["previous_hash"]) == (False, 1, None)
    assert await table.get("key_1") == record


async def test_no_two_keys_have_the_same_hash(table: KeyTable) -> None:
    await table.insert(row(1))
    with pytest.raises(IntegrityError):
        await table.insert(row(2, hash="hash_1"))


async def test_keys_are_found_by_their_current_and_their_previous_hash(table: KeyTable) -> None:
    for number in (1, 2, 3):
        await table.insert(row(number))
    await table.rotate("key_1", "new_1", grace=60.0)
    await table.rotate("key_2", "new_2", grace=0.0)
    found = await table.found(["hash_1", "hash_2", "hash_3", "unknown"])
    assert sorted(record["id"] for record in found) == ["key_1", "key_3"]
    assert [record["id"] for record in await table.found(["new_1"])] == ["key_1"]


async def test_a_change_counts_up_the_revision_and_keeps_the_rest(table: KeyTable) -> None:
    made = await table.insert(row(1))
    changed = await table.update("key_1", {"enabled": False})
    assert changed is not None
    assert (changed["enabled"], changed["revision"], changed["name"]) == (False, 2, "a name")
    assert changed["changed_at"] >= made["changed_at"]
    assert await table.update("key_2", {"enabled": False}) is None
    assert await table.rotate("key_2", "new", 0.0) is None


async def test_a_deleted_key_is_only_among_the_changes(table: KeyTable) -> None:
    await table.insert(row(1))
    await table.update("key_1", {"deleted": True})
    assert await table.get("key_1") is None
    assert await table.found(["hash_1"]) == []
    assert await table.page(10, "") == []
    assert await table.update("key_1", {"deleted": False}) is None
    assert [record["deleted"] for record in await table.changed(0.0, "", 10)] == [True]


async def test_pages_continue_after_an_id(table: KeyTable) -> None:
    for number in range(5):
        await table.insert(row(number))
    first = await table.page(2, "")
    rest = await table.page(10, first[-1]["id"])
    assert sorted(record["id"] for record in (*first, *rest)) == [f"key_{number}" for number in range(5)]
    assert await table.page(10, "unknown") == []


async def test_keys_that_expire_between_two_times_are_found_in_order(table: KeyTable) -> None:
    for number, expires_at in enumerate((30.0, 20.0, None, 10.0, 40.0)):
        await table.insert(row(number, expires_at=expires_at))
    await table.insert(row(5, expires_at=25.0, enabled=False))
    await table.insert(row(6, expires_at=25.0))
    await table.update("key_6", {"deleted": True})
    assert [record["id"] for record in await table.expiring(15.0, 35.0, 10)] == ["key_1", "key_0"]
    assert [record["id"] for record in await table.expiring(0.0, 99.0, 1)] == ["key_3"]


async def test_changes_continue_after_a_time_and_an_id(table: KeyTable) -> None:
    for number in range(4):
        await table.insert(row(number))
    everything = await table.changed(0.0, "", 10)
    first = await table.changed(0.0, "", 2)
    last = first[-1]
    assert [*first, *await table.changed(last["changed_at"], last["id"], 10)] == everything
    assert await table.changed(everything[-1]["changed_at"], everything[-1]["id"], 10) == []
