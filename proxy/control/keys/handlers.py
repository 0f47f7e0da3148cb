"""The API-key routes: create, show, change, rotate and revoke keys with the admin token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from proxy.auth.apikey import ApiKey, new_key, unused
from proxy.auth.credentials import Credentials
from proxy.auth.keystore import DatabaseKeys
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json, send_no_content
from proxy.control.http.router import ControlRoute, below_admin
from proxy.control.keys.fields import read_change, read_grace, read_new_key
from proxy.control.keys.schemas import KeyChange, KeyListQuery, KeyRotation, NewKey
from proxy.control.keys.views import CONFIGURED, KeyList, KeyView, NewKeyView, key_list, key_view, new_key_view
from proxy.control.live import LiveConfig
from proxy.errors import ClientFault, ConfigError, GatewayError
from proxy.server.request import Request

_PATH: Final = "/auth/api-keys"
_ONE: Final = f"{_PATH}/{{id}}"
_UNAVAILABLE: Final = (501, 503)  # no database, or it does not respond


class KeyHandlers:
    """``now`` is the time in Unix seconds."""

    def __init__(
        self,
        credentials: Credentials,
        live: LiveConfig,
        bodies: RequestBodies,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._live = live
        self._bodies = bodies
        self._now = now

    def routes(self) -> Sequence[ControlRoute]:
        example = {"name": "alice", "expiresIn": 86400}
        create = Operation(
            "keys", "Create an API key", NewKeyView, 201, body=NewKey, example=example, errors=_UNAVAILABLE
        )
        show_all = Operation("keys", "List the API keys", KeyList, query=KeyListQuery, errors=_UNAVAILABLE)
        show = Operation("keys", "Show an API key", KeyView, errors=_UNAVAILABLE)
        update = Operation("keys", "Change an API key", KeyView, body=KeyChange, errors=(409, *_UNAVAILABLE))
        delete = Operation("keys", "Revoke an API key", status=204, media=(), errors=(409, *_UNAVAILABLE))
        rotate = Operation(
            "keys",
            "Replace the secret of an API key",
            NewKeyView,
            201,
            body=KeyRotation,
            optional=True,
            errors=(409, *_UNAVAILABLE),
        )
        routes = (
            ControlRoute("GET", _PATH, "admin", self.list, show_all),
            ControlRoute("POST", _PATH, "admin", self.create, create),
            ControlRoute("GET", _ONE, "admin", self.show, show),
            ControlRoute("PATCH", _ONE, "admin", self.update, update),
            ControlRoute("DELETE", _ONE, "admin", self.delete, delete),
            ControlRoute("POST", f"{_ONE}/rotate", "admin", self.rotate, rotate),
        )
        return (*routes, *below_admin(routes))

    async def create(self, request: Request) -> None:
        """POST /auth/api-keys: 201 with the key and its secret, which is shown only here."""
        database = self._database()
        columns = read_new_key(await self._bodies.members(request), self._now())
        secret, hash_ = new_key()
        key = await database.create(hash=hash_, **columns)
        self._credentials.changed(key.hashes)
        location = f"Location: {_PATH}/{quote(key.id, safe='')}\r\n".encode("ascii")
        send_json(request, 201, self._new_view(key, secret), location)

    async def list(self, request: Request) -> None:
        """GET /auth/api-keys?limit=&after=: keys of the configuration first, then those of the database."""
        query = parse_query(request, KeyListQuery)
        limit, after = query.limit, query.after
        configured, missing = self._configured_after(after), self._missing()
        found = [*configured[: limit + 1]]
        if len(found) <= limit and not missing:
            database = self._database()
            last_id = "" if after.startswith(CONFIGURED) else after
            found += await database.list(limit=limit + 1 - len(found), after=last_id)
        page = key_list(found, limit, missing=missing, unused=unused(self._live.config.auth.mode))
        send_json(request, 200, page)

    async def show(self, request: Request, id_: str) -> None:
        """GET /auth/api-keys/{id}."""
        key = self._configured(id_)
        if key is None:
            key = await self._database().get(id_)
        if key is None:
            raise _unknown_key()
        send_json(request, 200, key_view(key))

    async def update(self, request: Request, id_: str) -> None:
        """PATCH /auth/api-keys/{id}: absent members stay, null removes. 200 with the changed key."""
        database = self._database_for(id_)
        columns = read_change(await self._bodies.members(request), self._now())
        key = await database.update(id_, **columns)
        if key is None:
            raise _unknown_key()
        self._credentials.changed(key.hashes)
        send_json(request, 200, key_view(key))

    async def delete(self, request: Request, id_: str) -> None:
        """DELETE /auth/api-keys/{id}: 204; the key is rejected from now on."""
        database = self._database_for(id_)
        key = await database.delete(id_)
        if key is None:
            raise _unknown_key()
        self._credentials.changed(key.hashes)
        send_no_content(request)

    async def rotate(self, request: Request, id_: str) -> None:
        """POST /auth/api-keys/{id}/rotate: 201 with a new secret; the old one works for ``graceSecs`` more."""
        database = self._database_for(id_)
        grace = read_grace(await self._bodies.members(request, optional=True))
        before = await database.get(id_)  # without grace, its hash is no longer in ``after``
        secret, hash_ = new_key()
        after = await database.rotate(id_, hash_, grace) if before is not None else None
        if before is None or after is None:
            raise _unknown_key()
        self._credentials.changed([*before.hashes, *after.hashes])
        send_json(request, 201, self._new_view(after, secret))

    def _new_view(self, key: ApiKey, secret: str) -> NewKeyView:
        return new_key_view(key, secret, unused(self._live.config.auth.mode))

    # -- where keys are kept ------------------------------------------------------------------------

    def _missing(self) -> str:
        """What is missing for keys in a database; ``""``: nothing.

        Keys can be created before ``auth.mode`` requires them, so that no client is locked out when it does.
        """
        if not self._live.config.database.enabled:
            return "There is no database for API keys: set database.enabled to true in the configuration."
        return ""

    def _database(self) -> DatabaseKeys:
        """Raises GatewayError (501) without a database, DatabaseDown (503) if it does not respond."""
        missing = self._missing()
        if missing:
            raise _no_database(missing)
        try:
            return self._credentials.keys()
        except ConfigError as error:
            raise _no_database(" ".join(error.mistakes)) from None

    def _database_for(self, id_: str) -> DatabaseKeys:
        """The database, for a change of this key. Raises ClientFault (409) for a key of the configuration."""
        if self._configured(id_) is not None:
            raise ClientFault(
                "This key is in the configuration: change it there, under auth.keys.",
                status=409,
                code="configured_key",
            )
        return self._database()

    def _configured(self, id_: str) -> ApiKey | None:
        return next((key for key in self._credentials.configured() if key.id == id_), None)

    def _configured_after(self, after: str) -> Sequence[ApiKey]:
        """The keys of the configuration that follow the one with the id ``after``; ``""``: all of them."""
        keys = self._credentials.configured()
        if not after:
            return keys
        if not after.startswith(CONFIGURED):
            return ()
        place = next((place for place, key in enumerate(keys, 1) if key.id == after), None)
        if place is None:
            raise ClientFault("after: there is no key with this id.", param="after", code="invalid_value")
        return keys[place:]


def _unknown_key() -> ClientFault:
    return ClientFault("There is no API key with this id.", status=404, code="unknown_key")


def _no_database(reason: str) -> GatewayError:
    return GatewayError(reason, status=501, code="no_key_store")
