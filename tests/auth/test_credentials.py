from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.auth.apikey import digest_of, hash_from, new_key
from proxy.auth.credentials import Credentials
from proxy.auth.keystore import DatabaseDown
from proxy.config.schema import Auth, Config, ConfiguredKey, Database, Jwt
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.observe.log import Log

SECRET, HASH = new_key()
KEYS = Auth(mode="keys", keys=[ConfiguredKey(name="a", hash=HASH)])
TOKENS = Auth(mode="jwt", jwt=Jwt(secret="s" * 64))

Opener = Callable[[Config], Credentials]


class Idle:
    """Disable the follower: its query would still run at the end of a short test."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("proxy.auth.credentials.Follower", Idle)
    closing: list[Any] = []

    def opener(config: Config) -> Credentials:
        log = Log(io.BytesIO(), "info", readable=False)
        database = LazyEngine(config.database, tmp_path, log.warning, log.info)
        found = Credentials(config, {}, database, log)
        closing.extend((found, database))
        return found

    yield opener
    for each in closing:
        await each.close()


async def test_without_keys_or_tokens_no_database_is_opened(opened: Opener, tmp_path: Path) -> None:
    credentials = opened(Config())
    await credentials.start()
    assert credentials._database.state is None
    assert not (tmp_path / "sluice.db").exists()


async def test_with_keys_the_tables_are_ready_before_the_first_request(opened: Opener, tmp_path: Path) -> None:
    await opened(Config(auth=KEYS)).start()
    assert (tmp_path / "sluice.db").exists()


async def test_keys_in_the_database_are_opened_once(opened: Opener) -> None:
    credentials = opened(Config(auth=KEYS))
    assert credentials.keys() is credentials.keys()


async def test_an_unavailable_database_does_not_prevent_the_start(opened: Opener, unused_tcp_port: int) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{unused_tcp_port}/keys"
    credentials = opened(Config(auth=KEYS, database=Database(url=url)))
    await credentials.start()
    state = credentials._database.state
    assert state is not None
    assert not state.up
    assert credentials.cache.check(SECRET) is not None
    with pytest.raises(DatabaseDown):
        await credentials._find(digest_of("sk-unknown"))


async def test_lookups_are_cached_including_unknown_keys(opened: Opener) -> None:
    credentials = opened(Config(auth=KEYS))
    secret, hash_ = new_key()
    assert await credentials._find(digest_of(secret)) is None
    assert credentials.cache.unknown(digest_of(secret))
    await credentials.keys().create(hash=hash_, name="b")
    credentials.changed([hash_])
    assert not credentials.cache.unknown(digest_of(secret))
    found = await credentials._find(digest_of(secret))
    assert found is not None
    assert found.hash == hash_from(digest_of(secret))
    assert credentials.cache.check(secret) is not None


async def test_with_the_database_disabled_only_configured_keys_exist(opened: Opener) -> None:
    credentials = opened(Config(auth=KEYS, database=Database(enabled=False)))
    await credentials.start()
    assert await credentials._find(digest_of("sk-unknown")) is None
    assert credentials._database.state is None
    assert [key.name for key in credentials.configured()] == ["a"]


async def test_a_reload_replaces_the_configured_keys(opened: Opener) -> None:
    credentials = opened(Config(auth=KEYS))
    other, hash_ = new_key()
    credentials.adopt(Config(auth=replace(KEYS, keys=[ConfiguredKey(name="b", hash=hash_)])))
    assert credentials.cache.check(SECRET) is None
    assert credentials.cache.check(other) is not None
    assert [key.name for key in credentials.configured()] == ["b"]


async def test_a_verifier_survives_a_reload_that_does_not_change_its_settings(opened: Opener) -> None:
    credentials = opened(Config(auth=TOKENS))
    verifier = credentials.authenticator.verifier
    assert verifier is not None
    credentials.adopt(Config(auth=replace(TOKENS, keys=KEYS.keys)))
    assert credentials.authenticator.verifier is verifier
    credentials.adopt(Config(auth=replace(TOKENS, jwt=Jwt(secret="t" * 64))))
    assert credentials.authenticator.verifier not in (None, verifier)


async def test_an_unreadable_key_file_changes_nothing(opened: Opener) -> None:
    credentials = opened(Config(auth=TOKENS))
    verifier = credentials.authenticator.verifier
    with pytest.raises(ConfigError):
        credentials.adopt(Config(auth=replace(TOKENS, jwt=Jwt(public_key_file="/nonexistent/key.pem"))))
    assert credentials.authenticator.verifier is verifier
