"""The database of API keys, Redis, and the broker of events: only where the configuration uses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.commands.live.finding import Finding, Live, failed, ok, warning
from proxy.config.broker_checks import BrokerUrl
from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.database.opening import compare
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.opening import missing_broker_package, open_dead_letters
from proxy.events.settings import broker_settings
from proxy.limits.failover import StoreDown
from proxy.limits.script_connection import ScriptConnection
from proxy.redis.client import RedisClient

if TYPE_CHECKING:
    from proxy.commands.live.run import Check

CONNECT_SECS: Final = 5.0  # to the database
SLOW_SECS: Final = 0.02  # of a PING: each request that Redis limits waits for a round trip


def checks(live: Live) -> Iterator[Check]:
    config = live.config
    if config.database.enabled and (config.auth.mode in ("keys", "any") or config.database.url):
        yield "database", partial(_database, config)
    if config.rate_limiting.store == "redis" or config.circuit_breaker.shared:
        yield "redis", partial(_redis, config)
    if config.events.url:
        yield "events", partial(_broker, config)


async def _database(config: Config) -> Sequence[Finding]:
    address = address_of(config.database, config.data_dir)
    revisions = await compare(config.database, config.data_dir, CONNECT_SECS)
    if revisions is None:
        return [ok("database", f"{address} will be made at the start")]
    if revisions.before is None:
        return [ok("database", f"{address} answers and is empty; the start makes its tables")]
    if revisions.before == revisions.after:
        return [ok("database", f"{address} answers, up to date at {revisions.after}")]
    return [ok("database", f"{address} answers, at {revisions.before}; the start upgrades it to {revisions.after}")]


async def _broker(config: Config) -> Sequence[Finding]:
    """Connects, and makes nothing: the exchange and the queues are the recorder's."""
    url = config.events.url
    if missing := missing_broker_package(url):
        return [failed("events", missing)]
    shown, letters = BrokerUrl(url).shown, open_dead_letters(broker_settings(config.events, ledger=False))
    try:
        await letters.look(0)
    except BrokerUnavailable as error:
        return [failed("events", f"the broker cannot be used: {error}; correct that, or events.url")]
    finally:
        await letters.close()
    return [ok("events", f"{shown} answers")]


async def _redis(config: Config) -> Sequence[Finding]:
    from redis.exceptions import RedisError

    settings = config.redis
    client = RedisClient(settings.url, settings.prefix, settings.timeout_secs)
    try:
        return [await _asked(client)]
    except (RedisError, OSError, TimeoutError) as error:
        why = f"no answer within {client.timeout:g} s" if isinstance(error, TimeoutError) else _words(error)
        return [failed("redis", f"it cannot be used: {why}; start it, or correct redis.url")]
    finally:
        await client.close()


async def _asked(client: RedisClient) -> Finding:
    async with asyncio.timeout(client.timeout):
        await client.commands.ping()
    began = time.perf_counter()
    async with asyncio.timeout(client.timeout):
        await client.commands.ping()
    seconds = time.perf_counter() - began
    async with asyncio.timeout(client.timeout):
        about = await client.commands.info("server")
    if why := await _scripting(client):
        return failed("redis", f"its user must be allowed EVAL and EVALSHA: {why}")
    text = f"version {about.get('redis_version', 'unknown')}, scripts run, {seconds * 1000:.1f} ms per round trip"
    if seconds > SLOW_SECS:
        return warning("redis", f"{text}; limits add that to every request, so run it nearer")
    return ok("redis", text)


async def _scripting(client: RedisClient) -> str:
    """Why a script cannot be run; ``""`` if it can."""
    link = ScriptConnection(client, "return 'done'")
    try:
        await link.call((), b"")
    except StoreDown as down:
        return str(down)
    finally:
        await link.close()
    return ""


def _words(error: Exception) -> str:
    """The message, which redis-py makes without the password. "Error 111 connecting to ..." is enough."""
    return str(error).partition("\n")[0].rstrip(".")[:200] or type(error).__name__
