from __future__ import annotations

import pytest

from tests.support.patience import until
from tests.support.services import OwnRedis, postgres_database, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")


async def test_only_keys_under_the_prefix_are_removed() -> None:
    async with OwnRedis() as own, redis.Redis.from_url(own.url) as client:
        await client.set("kept", 1)
        async with redis_prefix(own.url) as prefix:
            await client.set(f"{{{prefix}}}:a", 1)
            await client.set(f"{prefix}:b", 1)
        assert await client.keys() == [b"kept"]


async def test_a_private_redis_keeps_its_address_across_a_restart() -> None:
    async with OwnRedis() as own:
        await own.kill()
        await own.start()
        async with redis.Redis.from_url(own.url) as client:
            assert await client.ping()


async def test_a_paused_redis_responds_after_resume() -> None:
    async with OwnRedis() as own, redis.Redis.from_url(own.url, socket_timeout=0.05, retry=None) as client:
        await client.ping()
        own.hold()
        with pytest.raises(redis.TimeoutError):
            await client.ping()
        own.resume()
    async with redis_prefix(redis_url()) as prefix:
        assert prefix


async def test_a_private_database_is_always_empty() -> None:
    asyncpg = pytest.importorskip("asyncpg")
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)  # left open: the database is emptied all the same
        await connection.execute("CREATE TABLE left_over (id int); BEGIN; LOCK TABLE left_over")
    async with postgres_database() as again:
        assert again == url
        await until(connection.is_closed, "the connection to be ended")
        connection = await asyncpg.connect(again)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.close()


async def test_two_databases_at_once_are_distinct() -> None:
    pytest.importorskip("asyncpg")
    async with postgres_database() as one, postgres_database() as other:
        assert one != other


def test_a_service_that_is_missing_fails_in_ci_and_is_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="SLUICE_TEST_REDIS_URL"):
        redis_url()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="SLUICE_TEST_REDIS_URL"):
        redis_url()
