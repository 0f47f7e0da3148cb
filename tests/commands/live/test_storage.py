"""The database and Redis: real ones, ones that are down, and ones that do not answer."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from proxy.config.schema import Database
from proxy.database.opening import compare, upgrade
from tests.commands.live.rig import finding
from tests.database.databases import KINDS, Forwarder, new_database
from tests.support.nats import OwnNats
from tests.support.ports import free_port
from tests.support.rabbit import rabbit_exchange
from tests.support.services import OwnRedis, postgres_url, redis_url

LIMITS = "rateLimiting: {enabled: true, store: redis, global: {requestsPerMinute: 9}}\n"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_before_and_after_its_tables_are_made(kind: str, tmp_path: Path) -> None:
    async with new_database(kind, tmp_path) as url:
        text = f"auth: {{mode: keys}}\ndatabase: {{url: '{url}'}}"
        before = await finding("database", text, tmp_path)
        assert before.level == "ok"
        wanted = "will be made at the start" if kind == "sqlite" else "is empty; the start makes its tables"
        assert wanted in before.text
        assert (await finding("database", text, tmp_path)).text == before.text  # the check changes nothing
        await upgrade(Database(url=url), tmp_path)
        after = await finding("database", text, tmp_path)
        assert (after.level, "answers, up to date at 0" in after.text) == ("ok", True)


async def test_a_database_that_refuses_fails_without_its_password(tmp_path: Path) -> None:
    async with Forwarder(postgres_url()) as way:
        url = way.url.replace("postgresql://postgres@", "postgresql://postgres:hunter2@")
        await way.cut()
        found = await finding("database", f"auth: {{mode: keys}}\ndatabase: {{url: '{url}'}}", tmp_path)
    assert found.level == "FAILED"
    assert f"127.0.0.1:{way.port}/postgres cannot be used: " in found.text
    assert "hunter2" not in found.text


async def test_a_database_that_accepts_and_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with Forwarder(postgres_url()) as way:
        way.hold()
        from proxy.errors import ConfigError

        with pytest.raises(ConfigError, match="cannot be used"):
            await compare(Database(url=way.url), tmp_path, 0.2)


async def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sluice.db").write_text("no database " * 100)
    found = await finding("database", "auth: {mode: keys}", tmp_path)
    assert found.level == "FAILED"
    assert "sluice.db cannot be used: file is not a database" in found.text


async def test_redis_shows_its_version_and_runs_scripts(tmp_path: Path) -> None:
    text = LIMITS + f"redis: {{url: '{redis_url()}', timeoutSecs: 5}}"
    found = await finding("redis", text, tmp_path)
    assert found.level in ("ok", "warning")  # a busy machine is slow
    assert found.text.startswith("version ")
    assert ", scripts run, " in found.text


async def test_redis_that_is_down_or_hangs_fails(tmp_path: Path) -> None:
    async with OwnRedis() as redis:
        text = LIMITS + f"redis: {{url: '{redis.url}', timeoutSecs: 0.2}}"
        redis.hold()
        try:
            hanging = await finding("redis", text, tmp_path)
        finally:
            redis.resume()
        await redis.kill()
        down = await finding("redis", text, tmp_path)
    assert (hanging.level, down.level) == ("FAILED", "FAILED")
    assert "no answer within 0.2 s; start it, or correct redis.url" in hanging.text
    assert "it cannot be used: " in down.text


async def test_a_redis_user_that_may_not_run_scripts_fails(tmp_path: Path) -> None:
    redis = pytest.importorskip("redis.asyncio")
    async with OwnRedis() as own:
        password = secrets.token_hex(8)
        async with redis.Redis.from_url(own.url) as client:
            await client.execute_command(
                "ACL", "SETUSER", "limited", "on", f">{password}", "~*", "+@all", "-@scripting"
            )
        url = own.url.replace("unix://", f"unix://limited:{password}@")
        found = await finding("redis", LIMITS + f"redis: {{url: '{url}', timeoutSecs: 30}}", tmp_path)
    assert found.level == "FAILED"
    assert found.text.startswith("its user must be allowed EVAL and EVALSHA: NoPermissionError")
    assert password not in found.text


async def test_shared_breakers_need_redis_too(tmp_path: Path) -> None:
    text = "circuitBreaker: {shared: true}\nredis: {url: 'redis://:hunter2@127.0.0.1:1/0', timeoutSecs: 30}"
    found = await asyncio.wait_for(finding("redis", text, tmp_path), 60)
    assert found.level == "FAILED"
    assert "hunter2" not in found.text


async def test_a_broker_that_answers(tmp_path: Path) -> None:
    """Nothing is made there: the gateway's start does that."""
    async with rabbit_exchange() as exchange:
        name = exchange.names.exchange
        found = await finding("events", f"events: {{url: '{exchange.url}', exchange: {name}}}", tmp_path)
        assert (found.level, found.text.endswith(" answers")) == ("ok", True)
        assert "guest:" not in found.text
        assert await exchange.count(exchange.names.dead) == -1
    async with OwnNats() as nats:
        found = await finding("events", f"events: {{url: '{nats.url}'}}", tmp_path)
        assert (found.level, found.text) == ("ok", f"{nats.url} answers")


@pytest.mark.parametrize("scheme", ["amqp", "nats"])
async def test_a_broker_that_is_down_fails_without_its_password(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://user:hunter2@127.0.0.1:{free_port()}"
    found = await finding("events", f"events: {{url: '{url}'}}", tmp_path)
    assert found.level == "FAILED"
    assert found.text.startswith("the broker cannot be used: ")
    assert "hunter2" not in found.text
