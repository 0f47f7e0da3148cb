from __future__ import annotations

import asyncio
import sys

import pytest

from proxy.errors import ConfigError
from proxy.redis.client import RedisClient
from proxy.redis.pipeline import CommandPipeline
from tests.support.patience import PATIENCE, until, within
from tests.support.services import OwnRedis

exceptions = pytest.importorskip("redis.exceptions")


async def test_connections_are_opened_when_needed_and_closed_together() -> None:
    async with OwnRedis() as own:
        client = RedisClient(own.url, "sluice", PATIENCE)
        assert await client.commands.ping()
        connection = await client.pool.get_connection()
        assert connection.is_connected
        await client.close()
        assert not connection.is_connected
        await client.pool.release(connection)


async def test_a_connection_that_is_opened_as_the_client_closes_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, connects, writers = list[str](), asyncio.Event(), list[asyncio.StreamWriter]()
    connect = asyncio.open_unix_connection

    async def held(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connecting.append(path)
        await connects.wait()
        reader, writer = await connect(path=path)
        writers.append(writer)
        return reader, writer

    async with OwnRedis() as own:
        monkeypatch.setattr(asyncio, "open_unix_connection", held)
        client = RedisClient(own.url, "sluice", PATIENCE)
        pipeline = CommandPipeline(client)
        calls = [asyncio.ensure_future(each) for each in (client.commands.ping(), pipeline.call(b"PING"))]
        await until(lambda: len(connecting) == len(calls), "the connections")
        await client.close()
        connects.set()
        for call in calls:
            with pytest.raises(exceptions.ConnectionError, match="the client is closed"):
                await within(call, "the end of the call")
        assert [each.is_closing() for each in writers] == [True, True]
        with pytest.raises(exceptions.ConnectionError, match="the client is closed"):
            await client.commands.ping()


@pytest.mark.parametrize(("url", "number"), [("redis://127.0.0.1:6379", 0), ("redis://127.0.0.1:6379/3", 3)])
def test_the_database_is_the_one_of_the_url(url: str, number: int) -> None:
    assert RedisClient(url, "sluice", 1.0).database == number


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"sluice-gateway\[redis\]"):
        RedisClient("redis://127.0.0.1:6379/0", "sluice", 1.0)


def test_an_invalid_redis_url_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url") as refused:
        RedisClient("redis://:hunter2@127.0.0.1:port/0", "sluice", 1.0)
    assert "hunter2" not in str(refused.value)
