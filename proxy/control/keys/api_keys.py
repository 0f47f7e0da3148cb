"""The routes of API keys: made, shown, changed, rotated and revoked by whoever has the admin token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import quote

from proxy.auth.apikey import ApiKey, new_key, unused
from proxy.auth.credentials import Credentials
from proxy.auth.keystore import DatabaseKeys
from proxy.config.schema import Config
from proxy.control.http.bodies import Bodies
from proxy.control.http.replies import done, send
from proxy.control.keys import fields, views
from proxy.control.keys.views import CONFIGURED
from proxy.errors import ClientFault, ConfigError, GatewayError
from proxy.server.connection import Request


class ApiKeys:
    """``config`` returns the configuration in force; ``now`` is the wall clock in Unix seconds."""

    def __init__(
        self,
        credentials: Credentials,
        config: Callable[[], Config],
        bodies: Bodies,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = credentials.keys
        self._configured = credentials.configured
        self._changed = credentials.changed
        self._config = config
        self._bodies = bodies
        self._now = now

    async def create(self, request: Request) -> None:
        """POST /auth/api-keys: 201 with the key, which nobody can ever ask for again."""
        store = self._store()
        wish = fields.new(await self._bodies.members(request), self._now())
        secret, hash_ = new_key()
        key = await store.create(hash=hash_, **wish)
        self._changed(key.hashes)
        location = f"Location: /auth/api-keys/{quote(key.id, safe='')}\r\n".encode("ascii")
        send(request, 201, self._shown(key, secret), location)

    async def list(self, request: Request) -> None:
        """GET /auth/api-keys?limit=&after=: those of the configuration first, then the others."""
        limit, after = fields.page(request.query)
        configured = self._configured_after(after)
        found = [*configured[: limit + 1]]
        if len(found) <= limit and not self._lacking():
            store = self._store()
            behind = "" if after.startswith(CONFIGURED) else after
            found += await store.list(limit=limit + 1 - len(found), after=behind)
        send(request, 200, views.page(found, limit))

    async def show(self, request: Request, id_: str) -> None:
        """GET /auth/api-keys/{id}."""
        key = self._of_configuration(id_)
        if key is None:
            key = await self._store().get(id_)
        if key is None:
            raise _unknown()
        send(request, 200, views.view(key))

    async def update(self, request: Request, id_: str) -> None:
        """PATCH /auth/api-keys/{id}: what is not named stays; null takes away. 200 with the key as it is now."""
        store = self._store_of(id_)
        wish = fields.change(await self._bodies.members(request), self._now())
        key = await store.update(id_, **wish)
        if key is None:
            raise _unknown()
        self._changed(key.hashes)
        send(request, 200, views.view(key))

    async def delete(self, request: Request, id_: str) -> None:
        """DELETE /auth/api-keys/{id}: 204, and it opens nothing any more."""
        store = self._store_of(id_)
        key = await store.delete(id_)
        if key is None:
            raise _unknown()
        self._changed(key.hashes)
        done(request)

    async def rotate(self, request: Request, id_: str) -> None:
        """POST /auth/api-keys/{id}/rotate: 201 with a new key for the old one, which works on for ``graceSecs``."""
        store = self._store_of(id_)
        grace = fields.grace(await self._bodies.members(request, optional=True))
        before = await store.get(id_)  # whose hash is gone from the key, if nothing is granted to the old secret
        secret, hash_ = new_key()
        after = await store.rotate(id_, hash_, grace) if before is not None else None
        if before is None or after is None:
            raise _unknown()
        self._changed([*before.hashes, *after.hashes])
        send(request, 201, self._shown(after, secret))

    def _shown(self, key: ApiKey, secret: str) -> views.NewKeyView:
        return views.new(key, secret, unused(self._config().auth.mode))

    # -- where keys are kept ------------------------------------------------------------------------

    def _lacking(self) -> str:
        """What keeps keys from being made here, and how to change that; ``""``: nothing does.

        They can be made before ``auth.mode`` asks for them, so that nobody is locked out on the day when it does.
        """
        if not self._config().database.enabled:
            return "There is no database for API keys: set database.enabled to true in the configuration."
        return ""

    def _store(self) -> DatabaseKeys:
        """Raises GatewayError (501) where there is none, DatabaseDown (503) where it does not answer."""
        lacking = self._lacking()
        if lacking:
            raise _missing(lacking)
        try:
            return self._keys()
        except ConfigError as error:
            raise _missing(" ".join(error.mistakes)) from None

    def _store_of(self, id_: str) -> DatabaseKeys:
        """The same for a change, which a key of the configuration does not take from here (409)."""
        if self._of_configuration(id_) is not None:
            raise ClientFault(
                "This key stands in the configuration: change it there, under auth.keys.",
                status=409,
                code="configured_key",
            )
        return self._store()

    def _of_configuration(self, id_: str) -> ApiKey | None:
        return next((key for key in self._configured() if key.id == id_), None)

    def _configured_after(self, after: str) -> Sequence[ApiKey]:
        """The keys of the configuration that follow the one with the id ``after``; ``""``: all of them."""
        keys = self._configured()
        if not after:
            return keys
        if not after.startswith(CONFIGURED):
            return ()
        place = next((place for place, key in enumerate(keys, 1) if key.id == after), None)
        if place is None:
            raise ClientFault("after: there is no such key (any more).", param="after", code="invalid_value")
        return keys[place:]


def _unknown() -> ClientFault:
    return ClientFault("There is no API key with this id.", status=404, code="unknown_key")


def _missing(what: str) -> GatewayError:
    return GatewayError(what, status=501, code="no_key_store")
