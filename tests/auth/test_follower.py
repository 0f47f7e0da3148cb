"""The cached keys follow the database: what is revoked at one replica stops at every other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.auth.apikey import digest_from, new_key
from proxy.auth.cache import KeyCache
from proxy.auth.follower import Follower
from proxy.auth.keystore import DatabaseDown, DatabaseKeys
from proxy.config.limit_schema import Limits
from tests.auth.stores import OwnStore
from tests.database.databases import KINDS, Forwarder, new_database
from tests.support.patience import until


class Replica:
    """One gateway process: a store, a cache and a follower."""

    def __init__(self, url: str) -> None:
        self.messages: list[str] = []
        self.keys = OwnStore(url, log=self.messages.append)
        self.cache = KeyCache(time.time)
        self.follower = Follower(self.keys, self.cache, every=0.01, warn=self.messages.append)

    async def admits(self, secret: str, hash_: str) -> bool:
        """Look up a key like a request: in the cache, then in the database."""
        if self.cache.check(secret) is None and self.cache.get(digest_from(hash_)) is None:
            key = await self.keys.find(hash_)
            if key is None:
                self.cache.put_unknown(digest_from(hash_))
            else:
                self.cache.put(key)
        return self.cache.check(secret) is not None


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def here(url: str) -> AsyncIterator[Replica]:
    replica = Replica(url)
    yield replica
    await replica.keys.close()


@pytest.fixture
async def there(url: str) -> AsyncIterator[DatabaseKeys]:
    keys = OwnStore(url)
    yield keys
    await keys.close()


async def test_a_key_deleted_elsewhere_stops_within_one_poll(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    await here.follower.step()
    await there.delete(key.id)
    assert here.cache.check(secret) is not None
    await here.follower.step()
    assert here.cache.check(secret) is None
    assert not await here.admits(secret, hash_)


async def test_a_key_disabled_and_enabled_elsewhere_follows_within_one_poll(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    await there.update(key.id, enabled=False)
    await here.follower.step()
    assert here.cache.check(secret) is None
    await there.update(key.id, enabled=True)
    await here.follower.step()
    assert here.cache.check(secret) is not None


async def test_changed_limits_apply_without_a_query_per_request(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    await there.update(key.id, limits=Limits(concurrent=1))
    await here.follower.step()
    client = here.cache.check(secret)
    assert client is not None
    assert client.limits == Limits(concurrent=1)


async def test_an_unknown_key_works_once_created_elsewhere(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    await here.follower.step()
    assert not await here.admits(secret, hash_)
    assert here.cache.unknown(digest_from(hash_))
    await there.create(hash=hash_, name="one")
    await here.follower.step()
    assert not here.cache.unknown(digest_from(hash_))
    assert here.cache.check(secret) is not None


async def test_a_secret_ended_by_two_rotations_stops_if_only_the_last_is_seen(
    here: Replica, there: DatabaseKeys
) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    await here.follower.step()
    (second, second_hash), (third, third_hash) = new_key(), new_key()
    await there.rotate(key.id, second_hash, 3600)
    await there.rotate(key.id, third_hash, 3600)
    await here.follower.step()
    assert here.cache.check(secret) is None
    assert here.cache.check(second) is not None
    assert here.cache.check(third) is not None


async def test_a_stale_lookup_does_not_outlive_a_change(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    found = await here.keys.find(hash_)
    assert found is not None
    await there.delete(key.id)
    await here.follower.step()
    here.cache.put(found)  # the lookup of an earlier request completes late
    assert here.cache.check(secret) is None


async def test_the_follower_polls_in_the_background(here: Replica, there: DatabaseKeys) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    following = asyncio.create_task(here.follower.run())
    await there.delete(key.id)
    await until(lambda: here.cache.check(secret) is None, "the key to stop")
    following.cancel()
    await asyncio.wait((following,))
    assert following.cancelled()


async def test_unexpected_errors_do_not_stop_the_follower(
    here: Replica, there: DatabaseKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, hash_ = new_key()
    key = await there.create(hash=hash_, name="one")
    assert await here.admits(secret, hash_)
    ask, failed = here.keys.changes, 0

    async def changes(since: float | None) -> object:
        nonlocal failed
        failed += 1
        if failed < 4:
            raise KeyError("oops")
        return await ask(since)

    monkeypatch.setattr(here.keys, "changes", changes)
    await there.delete(key.id)
    following = asyncio.create_task(here.follower.run())
    await until(lambda: here.cache.check(secret) is None, "the key to stop")
    assert here.messages == ["Changes of API keys cannot be read: unexpected KeyError."]
    following.cancel()
    await asyncio.wait((following,))


async def test_cached_keys_work_during_an_outage_and_catch_up_later(tmp_path: Path) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        here, there = Replica(way.url), OwnStore(url)
        pairs = [new_key() for _ in range(2)]
        ids = [(await there.create(hash=hash_, name="one")).id for _, hash_ in pairs]
        assert [await here.admits(*pair) for pair in pairs] == [True, True]
        await here.follower.step()

        await way.cut()
        await there.delete(ids[0])
        for _ in range(3):
            with pytest.raises(DatabaseDown):
                await here.follower.step()
        assert [await here.admits(*pair) for pair in pairs] == [True, True]
        with pytest.raises(DatabaseDown):
            await here.admits(*new_key())
        assert not here.keys.state.up

        await way.restore()
        await here.follower.step()
        assert [await here.admits(*pair) for pair in pairs] == [False, True]
        assert not await here.admits(*new_key())
        assert here.keys.state.up
        assert len(here.messages) == 2
        assert here.messages[0].startswith("the database does not answer: ")
        assert here.messages[1].startswith("the database answers again after ")
        await here.keys.close()
        await there.close()
