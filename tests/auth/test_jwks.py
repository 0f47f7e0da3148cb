"""A key set over a real socket: waiting, fetch intervals and outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from proxy.auth import jwks
from proxy.auth.jwks import Jwks, fetch
from proxy.config.remote import FetchFailed
from proxy.errors import GatewayError
from tests.auth.keyserver import KeyServer
from tests.auth.tokens import jwk, private
from tests.support import Blackhole, until, within
from tests.support.clock import FakeClock

ES, RS = "ES256", "RS256"


class Keys:
    """A ``Jwks`` with a server, a controlled clock, and its log messages."""

    def __init__(self, server: KeyServer, refresh_secs: float = 300.0) -> None:
        self.clock = FakeClock()
        self.messages: list[str] = []
        self.jwks = Jwks(
            server.url,
            refresh_secs,
            partial(fetch, environ={}),
            now=self.clock.now,
            warn=lambda text: self.messages.append(f"warning: {text}"),
            info=lambda text: self.messages.append(f"info: {text}"),
        )

    async def has(self, kid: str | None, algorithm: str = ES) -> bool:
        return await within(self.jwks.find(kid, algorithm), "a key") is not None


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer() as made:
        made.show(jwk(private(ES), kid="one"))
        yield made


@pytest.fixture
async def keys(server: KeyServer) -> AsyncIterator[Keys]:
    made = Keys(server)
    yield made
    await made.jwks.close()


async def test_only_the_first_use_waits_for_the_key_set(server: KeyServer, keys: Keys) -> None:
    assert server.fetches == 0
    assert await keys.jwks.find("one", ES) == private(ES).public_key()
    server.gate.clear()
    assert await keys.has("one")
    assert server.fetches == 1


async def test_concurrent_first_uses_share_one_fetch(server: KeyServer, keys: Keys) -> None:
    server.gate.clear()
    asking = [asyncio.create_task(keys.has("one")) for _ in range(50)]
    await until(lambda: server.fetches, "the fetch")
    server.gate.set()
    assert await asyncio.gather(*asking) == [True] * 50
    assert server.fetches == 1


async def test_a_key_is_found_by_its_id_and_its_algorithm(server: KeyServer, keys: Keys) -> None:
    server.show(jwk(private(ES), kid="one"), jwk(private(RS), kid="one"), jwk(private("EdDSA"), kid="two", alg="EdDSA"))
    assert await keys.jwks.find("one", ES) == private(ES).public_key()
    assert await keys.jwks.find("one", RS) == private(RS).public_key()
    assert await keys.jwks.find("two", "EdDSA") == private("EdDSA").public_key()
    assert not await keys.has("two", ES)


async def test_a_token_without_a_key_id_needs_a_single_matching_key(server: KeyServer, keys: Keys) -> None:
    server.show(jwk(private(ES)), jwk(private(RS), kid="a"), jwk(private(RS, 1), kid="b"))
    assert await keys.has(None, ES)
    assert not await keys.has(None, RS)
    assert not await keys.has("", ES)


async def test_a_rotated_key_is_fetched_by_the_first_request_with_it(server: KeyServer, keys: Keys) -> None:
    assert await keys.has("one")
    server.show(jwk(private(ES), kid="one"), jwk(private(ES, 1), kid="two"))
    keys.clock.advance(10.0)
    assert await keys.jwks.find("two", ES) == private(ES, 1).public_key()


async def test_unknown_key_ids_cause_a_fetch_at_most_every_ten_seconds(server: KeyServer, keys: Keys) -> None:
    assert await keys.has("one")
    for index in range(200):
        assert not await keys.has(f"made up {index}")
        keys.clock.advance(0.25)
    # 50 seconds: at 10, 20, 30 and 40, and the first.
    assert server.fetches == 5


async def test_an_old_set_is_refreshed_in_the_background(server: KeyServer, keys: Keys) -> None:
    assert await keys.has("one")
    server.show(jwk(private(ES, 1), kid="two"))
    server.gate.clear()
    keys.clock.advance(299.0)
    assert await keys.has("one")
    assert server.fetches == 1
    keys.clock.advance(1.0)
    assert await keys.has("one")
    assert await keys.has("one")
    server.gate.set()
    await until(lambda: keys.jwks._task is None, "the fetch")
    assert server.fetches == 2
    assert await keys.has("two")
    assert not await keys.has("one")


async def test_a_set_that_needs_no_refresh_is_kept(server: KeyServer) -> None:
    keys = Keys(server, refresh_secs=0.0)
    assert await keys.has("one")
    keys.clock.advance(1e6)
    assert await keys.has("one")
    assert server.fetches == 1


async def test_keys_are_kept_during_an_outage_with_one_warning(server: KeyServer, keys: Keys) -> None:
    assert await keys.has("one")
    await server.stop()
    for _ in range(3):
        keys.clock.advance(300.0)
        assert await keys.has("one")
        await until(lambda: keys.jwks._task is None, "the fetch")
    assert keys.messages == [
        f"warning: auth.jwt.jwksUrl: {server.url} cannot be fetched: ClientConnectorError; the keys that were fetched before are kept"
    ]
    assert keys.jwks.failure
    server.show(jwk(private(ES), kid="new"))
    await server.start()
    keys.clock.advance(300.0)
    assert await keys.has("new")
    assert keys.messages[1:] == [f"info: auth.jwt.jwksUrl: {server.url} answers again"]
    assert not keys.jwks.failure


async def test_without_any_set_it_is_a_503_and_retried_soon(server: KeyServer, keys: Keys) -> None:
    await server.stop()
    for _ in range(5):  # within one second
        with pytest.raises(GatewayError) as caught:
            await keys.has("one")
        assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "token_keys_unavailable", 1)
    assert server.url not in caught.value.message
    assert len(keys.messages) == 1
    assert keys.messages[0].endswith("no token can be verified")
    await server.start()
    with pytest.raises(GatewayError):
        await keys.has("one")
    keys.clock.advance(1.0)
    assert await keys.has("one")
    assert server.fetches == 1


async def test_a_canceled_request_does_not_cancel_the_fetch(server: KeyServer, keys: Keys) -> None:
    server.gate.clear()
    first, second = (asyncio.create_task(keys.has("one")) for _ in range(2))
    await until(lambda: server.fetches, "the fetch")
    first.cancel()
    await asyncio.wait({first})
    server.gate.set()
    assert await second
    assert server.fetches == 1


async def test_closing_cancels_the_fetch_and_releases_waiters(server: KeyServer, keys: Keys) -> None:
    server.gate.clear()
    asking = asyncio.create_task(keys.has("one"))
    await until(lambda: server.fetches, "the fetch")
    await keys.jwks.close()
    with pytest.raises(GatewayError):
        await asking
    await keys.jwks.close()


@pytest.mark.parametrize(
    ("status", "why"),
    [(301, "answers with status 301"), (404, "answers with status 404"), (500, "answers with status 500")],
)
async def test_redirects_and_errors_are_not_key_sets(server: KeyServer, status: int, why: str) -> None:
    server.status, server.headers = status, {"Location": "/elsewhere"}
    with pytest.raises(FetchFailed, match=why):
        await fetch(server.url, {})
    assert server.fetches == 1


async def test_an_oversized_document_is_rejected(server: KeyServer) -> None:
    server.document = b" " * (jwks.MAX_BYTES + 1)
    with pytest.raises(FetchFailed, match="is larger than 256 KB"):
        await fetch(server.url, {})


async def test_a_silent_server_times_out(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT_SECS", 0.05)
    server.gate.clear()
    with pytest.raises(FetchFailed, match=r"did not complete within 0\.05 s"):
        await fetch(server.url, {})
    with Blackhole() as hole, pytest.raises(FetchFailed, match="did not complete"):
        await fetch(hole.url, {})
