"""The API-key routes on a real database."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from proxy.auth.apikey import ApiKey, hash_of, of_configuration
from proxy.auth.keystore import DatabaseDown, DatabaseKeys
from proxy.config.limit_schema import Limits
from proxy.config.schema import Auth, Config, ConfiguredKey, Database
from proxy.control.keys.handlers import KeyHandlers
from proxy.errors import ConfigError
from tests.auth.stores import OwnStore
from tests.control.server import ControlServer
from tests.support import Answer

KEYS = "/auth/api-keys"
ON = Config(auth=Auth(mode="keys"))


class Backend:
    """The configuration and the database behind the API-key routes. ``invalidated`` returns the changed hashes."""

    def __init__(self, folder: Path) -> None:
        self.config = ON
        self._changed: list[str] = []
        self.opened: DatabaseKeys | None = None
        self.failure: Exception | None = None
        self._folder = folder

    def keys(self) -> DatabaseKeys:
        if self.failure is not None:
            raise self.failure
        if self.opened is None:
            self.opened = OwnStore(folder=self._folder)
        return self.opened

    def changed(self, hashes: Sequence[str]) -> None:
        self._changed += hashes

    def invalidated(self) -> set[str]:
        """The hashes that changed since the last call."""
        hashes, self._changed = set(self._changed), []
        return hashes

    def plane(self) -> ControlServer:
        def routes(plane: ControlServer) -> Sequence[Any]:
            credentials: Any = self
            live: Any = self
            return KeyHandlers(credentials, live, plane.bodies, now=time.time).routes()

        return ControlServer(routes)

    def configured(self) -> list[ApiKey]:
        return of_configuration(self.config.auth.keys)

    async def close(self) -> None:
        if self.opened is not None:
            await self.opened.close()


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    backend = Backend(tmp_path)
    yield backend
    await backend.close()


@pytest.fixture
async def plane(backend: Backend) -> AsyncIterator[ControlServer]:
    async with backend.plane() as plane:
        yield plane


async def made(plane: ControlServer, **fields: Any) -> dict[str, Any]:
    answer = await plane.ask("POST", KEYS, json={"name": "ci"} | fields)
    assert answer.status == 201, answer.json
    return answer.json


async def found(backend: Backend, secret: str) -> ApiKey | None:
    return await backend.keys().find(hash_of(secret))


def fault(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


def path(key: dict[str, Any] | str) -> str:
    return f"{KEYS}/{quote(key if isinstance(key, str) else key['id'], safe='')}"


# -- create ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "wanted"), [("none", "keys"), ("jwt", "any"), ("keys", ""), ("any", "")])
async def test_a_new_key_has_a_notice_while_keys_are_not_required(
    backend: Backend, plane: ControlServer, mode: Any, wanted: str
) -> None:
    backend.config = Config(auth=Auth(mode=mode))
    key = await made(plane)
    rotated = (await plane.ask("POST", f"{path(key)}/rotate")).json
    notice = f"auth.mode is {mode}: API keys are not used; set auth.mode to {wanted} and restart"
    for answer in (key, rotated):
        assert answer.get("notice") == (notice if wanted else None)
    assert "notice" not in (await plane.ask("GET", path(key))).json


async def test_a_new_key_is_shown_once_and_its_hash_never(backend: Backend, plane: ControlServer) -> None:
    answer = await plane.ask("POST", KEYS, json={"name": "ci", "owner": "ops"})
    key = answer.json
    assert (answer.status, answer.header("location")) == (201, path(key))
    assert answer.header("cache-control") == "no-store"
    assert key["key"].startswith("sk-")
    assert backend.invalidated() == {hash_of(key["key"])}
    one, listed = await plane.ask("GET", path(key)), await plane.ask("GET", KEYS)
    digest = hash_of(key["key"]).removeprefix("sha256:").encode()
    for shown in (one, listed):
        assert key["key"].encode() not in shown.body
        assert digest not in shown.body
    assert digest not in answer.body
    del key["key"]
    assert one.json == listed.json["data"][0] == key


async def test_a_key_has_the_requested_values(backend: Backend, plane: ControlServer) -> None:
    key = await made(
        plane,
        owner="ops",
        team="web",
        project="shop",
        labels={"ticket": "ABC-1"},
        enabled=False,
        expires="2130-01-01T00:00:00+01:00",
        models=["gpt-*", "up/m"],
        providers=["up"],
        scopes=["passthrough"],
        limits={"requestsPerMinute": 5},
    )
    stored = await found(backend, key["key"])
    assert stored is not None
    assert (stored.name, stored.owner, stored.enabled) == ("ci", "ops", False)
    assert (key["team"], key["project"], key["labels"]) == ("web", "shop", {"ticket": "ABC-1"})
    assert (stored.team, stored.project, stored.labels) == ("web", "shop", {"ticket": "ABC-1"})
    assert (stored.models, stored.providers, stored.scopes) == (("gpt-*", "up/m"), ("up",), ("passthrough",))
    assert stored.limits == Limits(requests_per_minute=5)
    assert key["expires"] == "2129-12-31T23:00:00Z"
    assert key["limits"] == {"enabled": True, "requestsPerMinute": 5}
    assert (key["source"], key["previousUntil"]) == ("database", None)
    assert key["created"].endswith("Z")


async def test_a_key_is_enabled_and_unrestricted_by_default(backend: Backend, plane: ControlServer) -> None:
    key = await made(plane)
    assert key["enabled"] is True
    assert (key["models"], key["providers"], key["scopes"]) == ([], [], [])
    assert (key["limits"], key["expires"], key["owner"]) == (None, None, "")
    assert (key["team"], key["project"], key["labels"]) == ("", "", {})


async def test_a_key_that_is_rejected_is_not_stored(backend: Backend, plane: ControlServer) -> None:
    answer = await plane.ask("POST", KEYS, json={"name": "", "modles": ["m"]})
    assert fault(answer) == (400, "invalid_parameters")
    assert answer.json["error"]["param"] == "modles"
    assert 'did you mean "models"?' in answer.json["error"]["message"]
    assert "name: must not be empty" in answer.json["error"]["message"]
    assert (await plane.ask("GET", KEYS)).json["data"] == []
    assert backend.invalidated() == set()


# -- list and show --------------------------------------------------------------------------------------


async def test_a_list_has_pages_with_configured_keys_first(backend: Backend, plane: ControlServer) -> None:
    configured = [ConfiguredKey(name=f"con figured/{n}", hash=hash_of(f"sk-{n}")) for n in range(3)]
    backend.config = Config(auth=Auth(mode="any", keys=configured))
    ids = [(await made(plane))["id"] for _ in range(4)]
    everything = [f"config:con figured/{n}" for n in range(3)] + ids
    for limit in (1, 2, 3, 4, 7, 8):
        seen: list[str] = []
        after, more = "", True
        while more:
            page = (await plane.ask("GET", f"{KEYS}?limit={limit}&after={quote(after)}")).json
            assert page["object"] == "list"
            assert len(page["data"]) == limit or not page["has_more"]
            seen += [key["id"] for key in page["data"]]
            after, more = page["last_id"], page["has_more"]
        assert seen == everything


async def test_an_empty_list_has_no_next_page(plane: ControlServer) -> None:
    nothing = {"object": "list", "data": [], "last_id": None, "has_more": False, "database": True}
    assert (await plane.ask("GET", KEYS)).json == nothing


async def test_a_list_says_what_is_missing_for_new_keys_or_for_their_use(
    backend: Backend, plane: ControlServer
) -> None:
    backend.config = Config(auth=Auth(mode="jwt"))
    shown = (await plane.ask("GET", KEYS)).json
    assert (shown["database"], shown["notice"].partition(":")[0]) == (True, "auth.mode is jwt")
    backend.config = Config(auth=Auth(mode="none"), database=Database(enabled=False))
    shown = (await plane.ask("GET", KEYS)).json
    assert (shown["database"], shown["notice"].partition(":")[0]) == (False, "There is no database for API keys")


async def test_keys_can_be_created_with_a_session_below_admin(plane: ControlServer) -> None:
    session = ("Cookie", f"sluice_admin={plane.credential.new_session()}")
    assert (await plane.fetch("POST", f"/admin{KEYS}", session, json={"name": "ci"})).status == 201
    assert len((await plane.fetch("GET", f"/admin{KEYS}", session)).json["data"]) == 1
    assert (await plane.fetch("GET", KEYS, session)).status == 401


async def test_a_list_after_a_removed_configured_key_is_a_400(plane: ControlServer) -> None:
    assert fault(await plane.ask("GET", f"{KEYS}?after=config:gone")) == (400, "invalid_value")
    assert fault(await plane.ask("GET", f"{KEYS}?limit=0")) == (400, "invalid_value")


async def test_an_unknown_id_is_a_404(plane: ControlServer) -> None:
    for method, target in (
        ("GET", path("x")),
        ("PATCH", path("x")),
        ("DELETE", path("x")),
        ("POST", path("x") + "/rotate"),
    ):
        answer = await plane.ask(method, target, json={})
        assert fault(answer) == (404, "unknown_key")


# -- change, delete, rotate -------------------------------------------------------------------------------------


async def test_a_change_keeps_absent_members(backend: Backend, plane: ControlServer) -> None:
    key = await made(plane, owner="ops", models=["m"], limits={"concurrent": 1}, expiresIn=3600)
    backend.invalidated()
    answer = await plane.ask("PATCH", path(key), json={"enabled": False, "limits": {"concurrent": 2}})
    secret = key.pop("key")
    assert answer.status == 200
    assert answer.json == key | {"enabled": False, "limits": {"enabled": True, "concurrent": 2}}
    assert (await plane.ask("GET", path(key))).json == answer.json
    assert backend.invalidated() == {hash_of(secret)}


async def test_null_removes_a_value(plane: ControlServer) -> None:
    key = await made(plane, owner="ops", models=["m"], limits={"concurrent": 1}, expiresIn=3600, scopes=["passthrough"])
    gone = dict.fromkeys(["owner", "models", "limits", "expires", "scopes"])
    answer = await plane.ask("PATCH", path(key), json=gone)
    del key["key"]
    assert answer.json == key | {"owner": "", "models": [], "limits": None, "expires": None, "scopes": []}


async def test_an_invalid_change_changes_nothing(backend: Backend, plane: ControlServer) -> None:
    key = await made(plane)
    backend.invalidated()
    assert fault(await plane.ask("PATCH", path(key), json={"owner": "ops", "enabled": "no"}))[0] == 400
    assert (await plane.ask("GET", path(key))).json["owner"] == ""
    assert backend.invalidated() == set()


async def test_a_deleted_key_is_gone_and_caches_are_invalidated(backend: Backend, plane: ControlServer) -> None:
    key = await made(plane)
    backend.invalidated()
    answer = await plane.ask("DELETE", path(key))
    assert (answer.status, answer.body) == (204, b"")
    assert backend.invalidated() == {hash_of(key["key"])}
    assert await found(backend, key["key"]) is None
    assert (await plane.ask("GET", path(key))).status == 404
    assert (await plane.ask("DELETE", path(key))).status == 404
    assert (await plane.ask("GET", KEYS)).json["data"] == []


async def test_rotation_makes_a_new_secret_and_keeps_the_old_one_for_the_grace(
    backend: Backend, plane: ControlServer
) -> None:
    old = await made(plane, owner="ops")
    backend.invalidated()
    answer = await plane.ask("POST", path(old) + "/rotate", json={"graceSecs": 600})
    new = answer.json
    assert answer.status == 201
    assert new["id"] == old["id"]
    assert new["owner"] == "ops"
    assert new["key"] != old["key"]
    assert backend.invalidated() == {hash_of(old["key"]), hash_of(new["key"])}
    both = [await found(backend, secret) for secret in (old["key"], new["key"])]
    assert both[0] == both[1]
    key = both[0]
    assert key is not None
    assert key.previous_until is not None
    assert key.usable(key.previous_until - 1, hash_of(old["key"]))
    assert not key.usable(key.previous_until, hash_of(old["key"]))
    assert key.usable(key.previous_until, hash_of(new["key"]))
    assert new["previousUntil"] is not None


async def test_rotation_has_a_default_grace_of_an_hour(backend: Backend, plane: ControlServer) -> None:
    key = await made(plane)
    before = time.time()
    assert (await plane.ask("POST", path(key) + "/rotate")).status == 201
    stored = await found(backend, key["key"])
    assert stored is not None
    assert stored.previous_until is not None
    assert before + 3595 < stored.previous_until < before + 3700


async def test_rotation_without_grace_ends_the_old_secret_at_once(backend: Backend, plane: ControlServer) -> None:
    old = await made(plane)
    new = (await plane.ask("POST", path(old) + "/rotate", json={"graceSecs": 0})).json
    assert new["previousUntil"] is None
    assert await found(backend, old["key"]) is None
    assert await found(backend, new["key"]) is not None


async def test_a_second_rotation_ends_the_oldest_secret(backend: Backend, plane: ControlServer) -> None:
    first = await made(plane)
    second = (await plane.ask("POST", path(first) + "/rotate")).json
    backend.invalidated()
    third = (await plane.ask("POST", path(first) + "/rotate")).json
    assert backend.invalidated() == {hash_of(each["key"]) for each in (first, second, third)}
    assert await found(backend, first["key"]) is None
    assert await found(backend, second["key"]) == await found(backend, third["key"])


# -- errors -------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", KEYS),
        ("POST", KEYS),
        *((m, path("x")) for m in ("GET", "PATCH", "DELETE")),
        ("POST", path("x") + "/rotate"),
    ],
)
async def test_every_key_route_requires_the_admin(method: str, target: str, plane: ControlServer) -> None:
    answer = await plane.fetch(method, target, json={})
    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer realm="sluice-admin"'


async def test_an_api_key_is_not_accepted(plane: ControlServer) -> None:
    key = await made(plane)
    assert (await plane.fetch("GET", KEYS, ("Authorization", f"Bearer {key['key']}"))).status == 401


async def test_configured_keys_are_shown_and_read_only(backend: Backend, plane: ControlServer) -> None:
    backend.config = Config(auth=Auth(mode="keys", keys=[ConfiguredKey(name="a/b", hash=hash_of("sk-a"))]))
    shown = await plane.ask("GET", path("config:a/b"))
    assert (shown.status, shown.json["source"], shown.json["created"]) == (200, "configuration", None)
    for method, target in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = await plane.ask(method, path("config:a/b") + target, json={})
        assert fault(answer) == (409, "configured_key")
        assert "auth.keys" in answer.json["error"]["message"]


async def test_without_a_database_the_error_says_what_to_configure(backend: Backend, plane: ControlServer) -> None:
    backend.config = Config(auth=Auth(mode="keys"), database=Database(enabled=False))
    answer = await plane.ask("POST", KEYS, json={"name": "ci"})
    assert fault(answer) == (501, "no_key_store")
    assert "database.enabled" in answer.json["error"]["message"]


@pytest.mark.parametrize("mode", ["none", "jwt"])
async def test_keys_can_be_created_before_they_are_required(mode: Any, backend: Backend, plane: ControlServer) -> None:
    backend.config = Config(auth=Auth(mode=mode))
    assert (await plane.ask("POST", KEYS, json={"name": "ci"})).status == 201


async def test_without_a_database_configured_keys_are_listed(backend: Backend, plane: ControlServer) -> None:
    keys = [ConfiguredKey(name="a", hash=hash_of("sk-a"))]
    backend.config = Config(auth=Auth(mode="keys", keys=keys), database=Database(enabled=False))
    page = (await plane.ask("GET", KEYS)).json
    assert [key["id"] for key in page["data"]] == ["config:a"]


async def test_a_missing_package_is_reported(backend: Backend, plane: ControlServer) -> None:
    backend.failure = ConfigError(["database: install sluice-gateway[database]"])
    answer = await plane.ask("GET", KEYS)
    assert fault(answer) == (501, "no_key_store")
    assert "sluice-gateway[database]" in answer.json["error"]["message"]


async def test_a_database_that_is_down_is_a_503_with_retry_after(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    (tmp_path / "sluice.db").mkdir()
    async with backend.plane() as plane:
        for method, target in (("GET", KEYS), ("GET", path("x")), ("POST", KEYS), ("DELETE", path("x"))):
            answer = await plane.ask(method, target, json={"name": "ci"})
            assert fault(answer) == (503, DatabaseDown.code)
            assert answer.header("retry-after") == "1"
    await backend.close()


async def test_an_unauthorized_request_does_not_open_the_database(backend: Backend, plane: ControlServer) -> None:
    await plane.fetch("GET", KEYS)
    assert backend.opened is None
