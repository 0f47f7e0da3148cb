"""The gateway behind a proxy that sends the PROXY protocol, up to the log and the limits."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Authority, RawClient, Upstream, completion, json_answer, until
from tests.support.gateway import ADMIN, Gateway, GatewayProcess, one_provider
from tests.support.secure import SecureClient

TRUSTED = {"proxyProtocol": True, "trustedProxies": ["127.0.0.1", "10.0.0.0/8"]}
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = "/v1/chat/completions"


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


def header(source: str) -> bytes:
    return b"PROXY TCP4 %b 192.0.2.1 5000 443\r\n" % source.encode()


async def client_of(gw: Gateway, source: str) -> RawClient:
    client = await gw.client()
    await client.send(header(source))
    return client


async def test_the_log_names_the_client_of_the_header(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=TRUSTED)) as gw:
        client = await client_of(gw, "203.0.113.7")
        for number in (1, 2):  # X-Forwarded-For is the client's own here, so it is not believed
            headers = [("X-Forwarded-For", "198.51.100.1")] if number == 2 else []
            assert (await client.fetch("POST", CHAT, headers=headers, json=ASK)).status == 200
            line = await gw.settled(number)
            assert line["client"] == "203.0.113.7"


async def test_a_proxy_behind_the_proxy_may_name_its_client_in_x_forwarded_for(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=TRUSTED)) as gw:
        client = await client_of(gw, "10.1.2.3")
        headers = [("X-Forwarded-For", "192.0.2.66, 203.0.113.7, 10.9.9.9")]
        assert (await client.fetch("POST", CHAT, headers=headers, json=ASK)).status == 200
        assert (await gw.settled())["client"] == "203.0.113.7"


async def test_limits_are_those_of_the_client_of_the_header(up: Upstream) -> None:
    limits = {"enabled": True, "perClient": {"requestsPerHour": 1, "burstSize": 1}}
    async with Gateway(one_provider(up, server=TRUSTED, rateLimiting=limits)) as gw:
        statuses = []
        for source in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
            client = await client_of(gw, source)
            statuses.append((await client.fetch("POST", CHAT, json=ASK)).status)
        assert statuses == [200, 429, 200]


async def test_a_client_that_claims_to_be_loopback_gains_nothing(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=TRUSTED, auth={"mode": "keys"})) as gw:
        for source in ("127.0.0.1", "203.0.113.7"):
            client = await client_of(gw, source)
            assert (await client.fetch("POST", CHAT, json=ASK)).status == 401
            assert (await client.fetch("GET", "/admin/state")).status == 401
            assert (await client.fetch("GET", "/v1/models", headers=[("Host", "evil.example")])).status == 421


async def test_the_control_planes_own_address_reads_no_header(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=TRUSTED, admin={"listen": "127.0.0.1:0"})) as gw:
        async with RawClient(int(gw.app.listeners.admin_address.rpartition(":")[2])) as admin:
            headers = [("Authorization", f"Bearer {ADMIN}")]
            assert (await admin.fetch("GET", "/admin/state", headers=headers)).status == 200
        client = await client_of(gw, "203.0.113.7")
        assert (await client.fetch("GET", "/ready")).status == 200


async def test_a_malformed_header_is_counted_and_logged(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=TRUSTED)) as gw:
        client = await gw.client()
        await client.send(b"GET /ready HTTP/1.0\r\n\r\n")
        assert not await client._receive("the end of the connection")
        lines = [line for line in gw.log_lines if "PROXY protocol" in line]
        assert len(lines) == 1
        assert '"code":"proxy_header_invalid","client":"127.0.0.1"' in lines[0]
        client = await client_of(gw, "203.0.113.7")
        body = (await client.fetch("GET", "/metrics")).body
        assert b'{reason="proxy_header_invalid"} 1' in body


@pytest.mark.parametrize("secure", [False, True])
async def test_it_works_on_the_event_loop_of_the_process(
    secure: bool, up: Upstream, authority: Authority, tmp_path: Path
) -> None:
    """uvloop, which reads into a buffer of its own unless the protocol brings one."""
    chain, key = authority.server_files(tmp_path)
    tls = {"tls": {"certFile": str(chain), "keyFile": str(key)}} if secure else {}
    async with GatewayProcess(one_provider(up, server=TRUSTED | tls)) as gateway:
        for number in (1, 2, 3):
            client = HeaderFirst(gateway.port, authority.client_context()) if secure else RawClient(gateway.port)
            async with client:
                if not secure:
                    await client.send(header("203.0.113.7"))
                assert (await client.fetch("POST", CHAT, json=ASK)).status == 200

            def lines() -> list[str]:
                return [line for line in gateway.lines if '"client":"203.0.113.7"' in line]

            await until(lambda: len(lines()) == number, f"{number} lines that name the client")  # noqa: B023


class HeaderFirst(SecureClient):
    """Sends the header and its ClientHello in one segment."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port, context)
        self._first = header("203.0.113.7")

    async def _flush(self) -> None:
        if self._first and self._outgoing.pending:
            data, self._first = self._first + self._outgoing.read(), b""
            await RawClient.send(self, data)
        await super()._flush()
