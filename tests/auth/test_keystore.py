"""API keys in a database: the same on a SQLite file and on PostgreSQL."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.auth import keystore
from proxy.auth.apikey import ApiKey, new_key
from proxy.auth.keystore import DatabaseDown, DatabaseKeys
from proxy.auth.lookups import MOST
from proxy.config.limit_schema import Limits
from proxy.database import drivers
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.keys import KeyTable
from proxy.database.tables import API_KEYS, Now
from tests.auth.stores import OwnStore
from tests.database.databases import KINDS, Forwarder, address, new_database
from tests.support.patience import within

Opener = Callable[[str], OwnStore]

FIELDS: dict[str, Any] = {
    "name": "Söl's key",
    "owner": "sol@example.org",
    "team": "web",
    "project": "shop",
    "labels": {"ticket": "ABC-1"},
    "enabled": False,
    "expires_at": 1_900_000_000.25,
    "models": ("gpt-*", "local/llama"),
    "providers": ("openai",),
    "scopes": ("passthrough",),
    "limits": Limits(requests_per_minute=5, concurrent=2),
}


class CountedTable(KeyTable):
    """Counts lookups."""

    queries = 0

    async def found(self, hashes: Sequence[str]) -> list[Any]:
        self.queries += 1
        return await super().found(hashes)


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        def store(url: str) -> OwnStore:
            keys = OwnStore(url)
            stack.push_async_callback(keys.close)
            return keys

        yield store


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def keys(url: str, opened: Opener) -> OwnStore:
    return opened(url)


async def made(keys: DatabaseKeys, name: str = "one", **fields: Any) -> ApiKey:
    return await keys.create(hash=new_key()[1], name=name, **fields)


async def test_a_new_key_is_found_by_its_hash_and_by_its_id(keys: OwnStore) -> None:
    hash_ = new_key()[1]
    key = await keys.create(hash=hash_, **FIELDS)
    assert {name: getattr(key, name) for name in FIELDS} == FIELDS
    assert (key.hash, key.revision, key.previous_hash) == (hash_, 1, None)
    assert key.created_at > 1_600_000_000
    assert await keys.find(hash_) == await keys.get(key.id) == key
    assert await keys.list() == [key]


async def test_omitted_restrictions_allow_everything(keys: OwnStore) -> None:
    key = await made(keys)
    plain = (key.owner, key.enabled, key.expires_at, key.models, key.providers, key.scopes, key.limits)
    assert plain == ("", True, None, (), (), (), None)


async def test_a_key_of_the_former_version_has_neither_team_nor_labels(keys: OwnStore, url: str) -> None:
    await keys.ready()
    columns = "id, name, owner, hash, enabled, models, providers, scopes, created_at, changed_at, deleted, revision"
    values = f"'key_1', 'old', '', '{new_key()[1]}', true, '[]', '[]', '[]', 1, 1, false, 1"
    await tell(url, f"INSERT INTO api_keys ({columns}) VALUES ({values})")
    key = await keys.get("key_1")
    assert key is not None
    assert (key.enabled, key.team, key.project, key.labels) == (True, "", "", {})


async def test_ids_are_random_and_unique(keys: OwnStore) -> None:
    ids = {(await made(keys)).id for _ in range(20)}
    assert len(ids) == 20
    assert {len(id_) for id_ in ids} == {24}


async def test_an_update_changes_the_named_fields_and_increments_the_revision(keys: OwnStore) -> None:
    key = await keys.create(hash=new_key()[1], **FIELDS)
    changed = await keys.update(key.id, limits=None, models=("other",), expires_at=None)
    assert changed is not None
    assert (changed.limits, changed.models, changed.expires_at, changed.revision) == (None, ("other",), None, 2)
    assert (changed.name, changed.owner, changed.scopes, changed.hash) == (key.name, key.owner, key.scopes, key.hash)
    assert await keys.get(key.id) == changed
    again = await keys.update(key.id, enabled=True)
    assert again is not None
    assert (again.enabled, again.revision, again.models) == (True, 3, ("other",))


async def test_a_deleted_key_is_gone(keys: OwnStore) -> None:
    key, other = await made(keys), await made(keys, "other")
    deleted = await keys.delete(key.id)
    assert deleted is not None
    assert deleted.hashes == key.hashes
    assert await keys.find(key.hash) is None
    assert await keys.get(key.id) is None
    assert await keys.update(key.id, enabled=True) is None
    assert await keys.rotate(key.id, new_key()[1], 60) is None
    assert await keys.delete(key.id) is None
    assert await keys.list() == [other]


@pytest.mark.parametrize("id_", ["", "-", "key_0", "no such key", "zero \x00 byte", "half \ud800 pair", "x" * 100_000])
async def test_an_unknown_id_returns_none(keys: OwnStore, id_: str) -> None:
    await made(keys)
    assert await keys.get(id_) is None
    assert await keys.update(id_, enabled=True) is None
    assert await keys.rotate(id_, new_key()[1], 60) is None
    assert await keys.delete(id_) is None
    assert not id_ or await keys.list(after=id_) == []
    assert keys.state.up


async def test_a_rotated_key_is_found_by_both_hashes_until_the_old_one_expires(keys: OwnStore) -> None:
    key, hash_ = await made(keys), new_key()[1]
    rotated = await keys.rotate(key.id, hash_, 60.0)
    assert rotated is not None
    assert (rotated.id, rotated.hash, rotated.previous_hash, rotated.revision) == (key.id, hash_, key.hash, 2)
    assert await keys.find(key.hash) == await keys.find(hash_) == rotated
    assert rotated.previous_until is not None
    assert 59 < rotated.previous_until - rotated.created_at < 120
    assert rotated.usable(rotated.previous_until - 1, key.hash)
    assert not rotated.usable(rotated.previous_until, key.hash)
    assert rotated.usable(rotated.previous_until, hash_)


async def test_without_grace_the_old_secret_ends_at_once(keys: OwnStore) -> None:
    key, hash_ = await made(keys), new_key()[1]
    rotated = await keys.rotate(key.id, hash_, 0)
    assert rotated is not None
    assert rotated.hashes == (hash_,)
    assert await keys.find(key.hash) is None


async def test_a_second_rotation_ends_the_first_secret_at_once(keys: OwnStore) -> None:
    key, second, third = await made(keys), new_key()[1], new_key()[1]
    await keys.rotate(key.id, second, 3600)
    rotated = await keys.rotate(key.id, third, 3600)
    assert rotated is not None
    assert rotated.hashes == (third, second)
    assert await keys.find(key.hash) is None


async def test_a_thousand_keys_are_paged_oldest_first_without_repeats(keys: OwnStore, url: str) -> None:
    wanted = await imported(keys, url, 999, created_at="created_at + i / 10")  # integers: ten at a time are equal
    found: list[ApiKey] = []
    after = ""
    while page := await keys.list(limit=130, after=after):
        assert len(page) <= 130
        found += page
        after = page[-1].id
    assert len(found) == 1000
    assert {key.id for key in found} == wanted
    assert [key.created_at for key in found] == sorted(key.created_at for key in found)


async def test_paging_continues_after_a_key_deleted_in_the_meantime(keys: OwnStore) -> None:
    for number in range(6):
        await made(keys, str(number))
    first = await keys.list(limit=3)
    await keys.delete(first[-1].id)
    rest = await keys.list(limit=10, after=first[-1].id)
    assert sorted(key.name for key in [*first, *rest]) == list("012345")


async def test_concurrent_lookups_of_a_key_make_one_query(url: str) -> None:
    table = CountedTable(Engine(address(url), DatabaseHealth()))
    keys = DatabaseKeys(table)
    key = await made(keys)
    found = await asyncio.gather(*(keys.find(key.hash) for _ in range(200)))
    assert found == [key] * 200
    assert table.queries == 1
    await keys.close()
    await table.engine.close()


async def test_a_thousand_unknown_keys_cost_a_few_queries(url: str) -> None:
    table = CountedTable(Engine(address(url), DatabaseHealth()))
    keys = DatabaseKeys(table)
    key = await made(keys)
    hashes = [key.hash, *(new_key()[1] for _ in range(1000))]
    assert await asyncio.gather(*(keys.find(hash_) for hash_ in hashes)) == [key, *[None] * 1000]
    assert table.queries == math.ceil(1001 / MOST)
    await keys.close()
    await table.engine.close()


# changes


async def test_changes_and_deletions_are_returned_from_a_watermark(keys: OwnStore) -> None:
    changed, deleted = await made(keys, "changed"), await made(keys, "deleted")
    _, mark = await keys.changes(None)
    await keys.update(changed.id, enabled=False)
    await keys.delete(deleted.id)
    changes, _ = await keys.changes(mark)
    assert {change.key.name: (change.key.enabled, change.deleted) for change in changes} == {
        "changed": (False, False),
        "deleted": (True, True),
    }


async def test_changes_long_before_the_watermark_are_not_returned(keys: OwnStore, url: str) -> None:
    old = await made(keys, "old")
    await made(keys, "young")
    await tell(url, f"UPDATE api_keys SET changed_at = changed_at - 60 WHERE id = '{old.id}'")
    changes, mark = await keys.changes(None)
    assert [change.key.name for change in changes] == ["young"]
    changes, _ = await keys.changes(mark - 60)
    assert [change.key.name for change in changes] == ["old", "young"]


async def test_changes_beyond_one_query_are_all_returned(keys: OwnStore, url: str) -> None:
    await keys.ready()
    _, mark = await keys.changes(None)
    wanted = await imported(keys, url, 1700)  # all at the same moment
    changes, _ = await keys.changes(mark)
    assert len(changes) == 1701
    assert {change.key.id for change in changes} == wanted


async def test_a_transaction_that_commits_late_is_not_missed(tmp_path: Path, opened: Opener) -> None:
    async with new_database("postgresql", tmp_path) as url:
        keys = opened(url)
        late, early = await made(keys, "late"), await made(keys, "early")
        await tell(url, "UPDATE api_keys SET changed_at = changed_at - 60")
        _, mark = await keys.changes(None)
        database = Engine(address(url), DatabaseHealth())
        changed, commit = asyncio.Event(), asyncio.Event()

        async def work(connection: AsyncConnection) -> None:
            values = {"changed_at": Now(), "enabled": False}
            await connection.execute(update(API_KEYS).where(API_KEYS.c.id == late.id).values(values))
            changed.set()
            await commit.wait()

        writing = asyncio.create_task(database.write(work))
        await within(changed.wait(), "the change")
        await keys.update(early.id, enabled=False)
        changes, mark = await keys.changes(mark)
        assert [change.key.name for change in changes] == ["early"]
        commit.set()
        await writing
        changes, _ = await keys.changes(mark)
        assert sorted(change.key.name for change in changes) == ["early", "late"]
        await database.close()


async def test_a_row_of_a_newer_version_is_a_disabled_key(url: str) -> None:
    messages: list[str] = []
    keys = OwnStore(url, log=messages.append)
    key = await made(keys, limits=Limits(concurrent=1))
    await tell(url, """UPDATE api_keys SET limits = '{"concurrent": 1, "requestsPerFortnight": 1}'""")
    found = await keys.find(key.hash)
    assert found is not None
    assert not found.enabled
    assert [change.key.enabled for change in (await keys.changes(None))[0]] == [False]
    assert len(messages) == 1
    await keys.close()


# the database goes away


async def test_an_unavailable_database_is_a_503_without_its_address(tmp_path: Path, opened: Opener) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        keys = opened(way.url)
        key = await made(keys)
        await way.cut()
        with pytest.raises(DatabaseDown) as caught:
            await keys.find(key.hash)
        error = caught.value
        assert (error.status, error.kind, error.code) == (503, "internal", "key_store_unavailable")
        assert error.retry_after == 1
        assert "127.0.0.1" not in error.message
        assert error.detail
        assert not keys.state.up
        for asking in (keys.get(key.id), keys.list(), keys.changes(None), keys.delete(key.id), made(keys)):
            with pytest.raises(DatabaseDown):
                await asking
        await way.restore()
        assert await keys.find(key.hash) == key
        assert keys.state.up


async def test_a_hanging_database_times_out_lookups(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        keys = opened(way.url)
        key = await made(keys)
        monkeypatch.setattr(keystore, "TIME_LIMIT", 0.1)
        way.hold()
        asking = [asyncio.create_task(keys.find(hash_)) for hash_ in (key.hash, "sha256:made up")]
        results = await within(asyncio.gather(*asking, return_exceptions=True), "answers")
        assert [type(each) for each in results] == [DatabaseDown] * 2
        await way.restore()


async def test_a_duplicate_hash_is_rejected(keys: OwnStore) -> None:
    key = await made(keys)
    with pytest.raises(IntegrityError):
        await keys.create(hash=key.hash, name="twice")
    assert keys.state.up


async def imported(keys: OwnStore, url: str, count: int, created_at: str = "created_at") -> set[str]:
    """Insert a key and copies of it in one transaction; return their ids."""
    key = await made(keys)
    columns = "name, owner, enabled, models, providers, scopes, changed_at, deleted, revision"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    source = f"SELECT id || '-' || i, hash || '-' || i, {created_at}, {columns} FROM api_keys, n"
    await tell(url, f"INSERT INTO api_keys (id, hash, created_at, {columns}) {numbers} {source}")
    return {key.id, *(f"{key.id}-{number}" for number in range(1, count + 1))}


async def tell(url: str, statement: str) -> None:
    """As another process."""
    engine = drivers.open_single(address(url), 5.0)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()
