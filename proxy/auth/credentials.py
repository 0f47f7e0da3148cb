"""The credentials that the configuration accepts: its own API keys, those in the database, JSON Web Tokens, and client
certificates.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from proxy.auth import jwks
from proxy.auth.apikey import ApiKey, digest_from, hash_from, of_configuration
from proxy.auth.authenticate import Authenticator
from proxy.auth.cache import KeyCache
from proxy.auth.certificates import clients_of
from proxy.auth.follower import Follower
from proxy.auth.jwt import Verifier
from proxy.auth.keystore import DatabaseDown, DatabaseKeys, open_store
from proxy.config.schema import Auth, Config, Jwt
from proxy.database.opening import LazyEngine
from proxy.net.address import TrustedProxies
from proxy.observe.log import Log

if TYPE_CHECKING:
    from proxy.database.keys import KeyEvents


class Credentials:
    """``authenticator`` is the middleware; ``start`` before the first request, ``adopt`` at a reload.

    ``events`` makes events of changed keys.

    Raises ConfigError where a package is missing or a key cannot be read.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        database: LazyEngine,
        log: Log,
        events: KeyEvents | None = None,
    ) -> None:
        self._config = config
        self._environ = environ
        self._database = database
        self._log = log
        self._events = events
        self._keys: DatabaseKeys | None = None
        self._following: asyncio.Task[None] | None = None
        self._jwks: jwks.Jwks | None = None
        self.cache = KeyCache(time.time)
        tls = config.server.tls  # the listener keeps it until the process ends
        only = config.auth.mode == "certificates"  # then no request may pass unchecked
        self._verifies_clients = only or (tls is not None and tls.client_ca != "")
        self.authenticator = Authenticator(
            keys=self.cache if config.auth.mode in ("keys", "any") else None,
            find=self._find,
            trusted=TrustedProxies(config.server.trusted_proxies),
            wall=time.time,
            certificates=clients_of(config.auth) if self._verifies_clients else None,
            nothing_else=only,
        )
        self._configure(config.auth)

    async def start(self) -> None:
        """Bring the tables of keys up to date. Raises ConfigError where they belong to a newer version."""
        if self._config.auth.mode in ("keys", "any") and self._config.database.enabled:
            try:
                await self.keys().ready()
            except DatabaseDown:  # logged by DatabaseHealth; the first lookup tries again
                pass

    def keys(self) -> DatabaseKeys:
        """The keys in the database, from now on followed for changes. Raises ConfigError."""
        if self._keys is None:
            self._keys = found = open_store(self._database, self._log.warning, self._events)
            follower = Follower(found, self.cache, warn=self._log.warning)
            self._following = asyncio.create_task(follower.run(), name="changes of API keys")
        return self._keys

    def configured(self) -> Sequence[ApiKey]:
        """The keys in the configuration."""
        return of_configuration(self._config.auth.keys)

    def changed(self, hashes: Sequence[str]) -> None:
        """Invalidate what is cached of keys with these hashes."""
        self.cache.invalidate(map(digest_from, hashes))

    def adopt(self, config: Config) -> None:
        """Accept the credentials of ``config`` from now on. Raises ConfigError; then nothing has changed."""
        self._configure(config.auth)
        self._config = config

    async def close(self) -> None:
        """Stop following the database and fetching key sets."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._keys is not None:
            await self._keys.close()
        if self._jwks is not None:
            await self._jwks.close()

    def _configure(self, settings: Auth) -> None:
        tokens = settings.jwt if settings.mode in ("jwt", "any") else None
        self.authenticator.verifier = self._verifier(tokens) if tokens is not None else None
        self.cache.configure(of_configuration(settings.keys))
        if self._verifies_clients:
            self.authenticator.certificates = clients_of(settings)

    def _verifier(self, settings: Jwt) -> Verifier:
        """The current one where its settings are the same: it has verified tokens, and keys that were fetched."""
        if self.authenticator.verifier is not None and settings == self._config.auth.jwt:
            return self.authenticator.verifier
        found = None
        if settings.jwks_url:
            found = jwks.Jwks(
                settings.jwks_url,
                settings.jwks_refresh_secs,
                partial(jwks.fetch, environ=self._environ),
                now=asyncio.get_running_loop().time,
                warn=self._log.warning,
                info=self._log.info,
            )
        made = Verifier(settings, time.time, found)
        self._jwks = found
        return made

    async def _find(self, digest: bytes) -> ApiKey | None:
        """Look up a key that is not cached. Raises DatabaseDown."""
        if not self._config.database.enabled:
            return None
        key = await self.keys().find(hash_from(digest))
        if key is None:
            self.cache.put_unknown(digest)
        else:
            self.cache.put(key)
        return key
