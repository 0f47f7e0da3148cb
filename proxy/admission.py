"""Who may ask, and how much: the parts of admission that a configuration wants, put together.

Concrete stores are named here and nowhere else. Nothing of it is opened that the configuration does not use: a gateway
without keys never loads a database, one without a shared limiter never loads Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from proxy.auth import jwks
from proxy.auth.apikey import ApiKey, digest_from, hash_from, of_configuration
from proxy.auth.authenticate import Authenticator
from proxy.auth.cache import KeyCache
from proxy.auth.follower import Follower
from proxy.auth.jwt import Verifier
from proxy.auth.keystore import DatabaseDown, DatabaseKeys, open_store
from proxy.config.schema import Auth, Config, Jwt
from proxy.limits.base import Store
from proxy.limits.failover import Failover
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.rules import Rules
from proxy.limits.snapshot import Tally
from proxy.net.address import TrustedProxies
from proxy.redis import RedisClient
from proxy.responder import Responder

Handler = Callable[[Responder], Awaitable[None]]


class State(Protocol):
    """How something fares that is reached over a network: ``since`` in Unix seconds, ``latency`` in seconds."""

    @property
    def up(self) -> bool: ...
    @property
    def since(self) -> float: ...
    @property
    def latency(self) -> float | None: ...


class Admission:
    """``authenticate`` and ``limit`` are the gateway's middleware.

    ``start`` before the first request, ``adopt`` at a reload, ``close`` last.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        tally: Tally,
        redis: RedisClient | None,
        *,
        warn: Callable[[str], None],
        info: Callable[[str], None],
    ) -> None:
        """Raises ConfigError where a package is missing, or a key cannot be read."""
        self._config = config
        self._environ = environ
        self._redis = redis
        self._warn = warn
        self._info = info
        self._database: DatabaseKeys | None = None
        self._following: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._jwks: jwks.Jwks | None = None
        self.cache = KeyCache(time.time)
        self.authenticator = Authenticator(
            keys=self.cache if config.auth.mode in ("keys", "any") else None,
            find=self._find,
            trusted=TrustedProxies(config.server.trusted_proxies),
            wall=time.time,
        )
        self._authenticate(config.auth)
        self.limiter = Limiter(self._limits(config), Rules.of(config.rate_limiting, config.auth), time.time, tally)

    @property
    def authenticate(self) -> Callable[[Handler], Handler]:
        """Middleware for every request of the API."""
        return self.authenticator.wrap

    @property
    def limit(self) -> Callable[[Handler], Handler]:
        """Middleware for the requests that a provider answers."""
        return self.limiter.wrap

    @property
    def components(self) -> dict[str, State]:
        """What it leans on beyond this process, by name."""
        found: dict[str, State] = {}
        if isinstance(self.limiter.store, Failover):
            found["limiter"] = self.limiter.store.state
        if self._database is not None:
            found["database"] = self._database.state
        return found

    async def start(self) -> None:
        """Raises ConfigError where the database belongs to a newer version."""
        if isinstance(self.limiter.store, Failover):
            await self.limiter.store.start()
        if self._config.auth.mode in ("keys", "any") and self._config.database.enabled:
            try:
                await (await self.keys()).ready()
            except DatabaseDown:  # which it has told; it is tried again when somebody asks
                pass

    async def keys(self) -> DatabaseKeys:
        """The keys in the database, which is opened if that is not done yet. Raises ConfigError, DatabaseDown."""
        async with self._opening:
            if self._database is None:
                config = self._config
                found = open_store(config.database, config.data_dir, warn=self._warn, info=self._info)
                self._database = found
                self._following = asyncio.create_task(Follower(found, self.cache, warn=self._warn).run())
        return self._database

    def configured(self) -> Sequence[ApiKey]:
        return of_configuration(self._config.auth.keys)

    def changed(self, hashes: Sequence[str]) -> None:
        """Keys with these hashes are not what they were."""
        self.cache.forget(map(digest_from, hashes))

    def adopt(self, config: Config) -> None:
        """New rules and keys; the buckets, and what is open, stay. Raises ConfigError; then nothing has changed."""
        self._authenticate(config.auth)
        self._config = config
        self.limiter.adopt(Rules.of(config.rate_limiting, config.auth))

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._database is not None:
            await self._database.close()
        if self._jwks is not None:
            await self._jwks.close()
        await self.limiter.close()

    # -- making the parts -------------------------------------------------------------------------

    def _limits(self, config: Config) -> Store:
        settings, now = config.rate_limiting, asyncio.get_running_loop().time
        # A name has two generations of keys (``limits/generations.py``).
        memory = Memory(now, max(settings.max_clients // 2, 1))
        if settings.store == "memory":
            return memory
        from proxy.limits.redis import RedisStore

        assert self._redis is not None
        return Failover(
            RedisStore(self._redis), memory, settings.on_store_failure, warn=self._warn, info=self._info, now=time.time
        )

    def _authenticate(self, settings: Auth) -> None:
        """Keys and tokens as the configuration has them now."""
        tokens = settings.jwt if settings.mode in ("jwt", "any") else None
        self.authenticator.verifier = self._verifier(tokens) if tokens is not None else None
        self.cache.configure(of_configuration(settings.keys))

    def _verifier(self, settings: Jwt) -> Verifier:
        """The one that there is, where nothing has changed: it knows tokens, and keys that a URL gave."""
        if self.authenticator.verifier is not None and settings == self._config.auth.jwt:
            return self.authenticator.verifier
        found = None
        if settings.jwks_url:
            fetch = partial(jwks.fetch, environ=self._environ)
            found = jwks.Jwks(
                settings.jwks_url,
                settings.jwks_refresh_secs,
                fetch,
                now=asyncio.get_running_loop().time,
                warn=self._warn,
                info=self._info,
            )
        made = Verifier(settings, time.time, found)
        self._jwks = found
        return made

    async def _find(self, digest: bytes) -> ApiKey | None:
        """A key that the cache does not know. Raises DatabaseDown."""
        if not self._config.database.enabled:
            return None
        database = await self.keys()
        key = await database.find(hash_from(digest))
        if key is None:
            self.cache.put_unknown(digest)
        else:
            self.cache.put(key)
        return key
