"""Client certificates through the gateway: who is the client, what it may, its limits, and what the log says."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from tests.support import Authority, RawClient, Upstream, completion, json_answer, until
from tests.support.gateway import ADMIN, Gateway, Process, one_provider, to_config
from tests.support.secure import SecureClient

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SECRET, HASH = new_key()
KEY = [("Authorization", f"Bearer {SECRET}")]
WRONG = [("Authorization", "Bearer none")]  # what the OpenAI SDK needs to be given

Connect = Callable[..., Awaitable[SecureClient]]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
def clients() -> Authority:
    return Authority()


@pytest.fixture
def tls(authority: Authority, clients: Authority, tmp_path: Path) -> dict[str, str]:
    chain, key = authority.server_files(tmp_path)
    return {"certFile": str(chain), "keyFile": str(key), "clientCa": str(clients.ca_file(tmp_path))}


@pytest.fixture
def connect(authority: Authority, clients: Authority) -> Connect:
    """A client of a gateway; the certificate's names, if it has one."""

    async def connected(gw: Gateway, **certificate: Any) -> SecureClient:
        mine = authority.context_with(clients, **certificate) if certificate else authority.client_context()
        client = await SecureClient(gw.port, mine).connect()
        gw._clients.append(client)
        return client

    return connected


def config(up: Upstream, tls: dict[str, str], *certificates: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """``certificates``: the entries of auth.certificates; ``mode`` and ``optional`` are for short."""
    auth = {"mode": sections.pop("mode", "none"), "keys": [{"name": "k", "hash": HASH}]}
    if certificates:
        auth["certificates"] = list(certificates)
    more = {"clientAuth": "optional"} if sections.pop("optional", False) else {}
    server = {"tls": tls | more} | sections.pop("server", {})
    return one_provider(up, auth=auth, database={"enabled": False}, server=server, **sections)


async def status(client: RawClient, headers: list[tuple[str, str]] | None = None) -> int:
    return (await client.fetch("POST", CHAT, json=ASK, headers=headers or [])).status


# -- without authentication ---------------------------------------------------------------------------


async def test_without_authentication_the_certificate_is_the_client(
    up: Upstream, tls: dict[str, str], connect: Connect
) -> None:
    limits = {"enabled": True, "perClient": {"requestsPerHour": 2, "burstSize": 2}}
    async with Gateway(config(up, tls, rateLimiting=limits)) as gw:
        search = await connect(gw, uris=["spiffe://test/search"])
        assert [await status(search) for _ in range(2)] == [200, 200]
        again = await connect(gw, uris=["spiffe://test/search"])  # another certificate and connection of the same name
        assert await status(again, [("X-Client-ID", "somebody else")]) == 429
        other = await connect(gw, names=["billing.example"])
        assert await status(other) == 200
        callers = [(await gw.settled(number))["caller"] for number in (1, 3, 4)]
        assert callers == ["cert:spiffe://test/search"] * 2 + ["cert:billing.example"]


async def test_an_optional_certificate_leaves_others_to_their_address(
    up: Upstream, tls: dict[str, str], connect: Connect
) -> None:
    async with Gateway(config(up, tls, optional=True)) as gw:
        assert await status(await connect(gw)) == 200
        assert await status(await connect(gw, common_names=["search"])) == 200
        assert "caller" not in await gw.settled(1)
        line = await gw.settled(2)
        assert (line["caller"], line["client"]) == ("cert:search", "127.0.0.1")


# -- as a credential ----------------------------------------------------------------------------------


async def test_without_an_entry_a_certificate_only_admits(up: Upstream, tls: dict[str, str], connect: Connect) -> None:
    async with Gateway(config(up, tls, {"name": "other"}, mode="keys")) as gw:
        client = await connect(gw, common_names=["search"])
        assert [await status(client, each) for each in (None, WRONG, KEY)] == [401, 401, 200]
        assert (await gw.settled(3))["caller"] == "key:config:k"


@pytest.mark.parametrize("mode", ["keys", "certificates"])
async def test_a_listed_certificate_needs_no_key(
    mode: str, up: Upstream, tls: dict[str, str], connect: Connect
) -> None:
    async with Gateway(config(up, tls, {"name": "spiffe://test/*"}, mode=mode)) as gw:
        client = await connect(gw, uris=["spiffe://test/search"])
        for number, headers in enumerate((None, WRONG, KEY), 1):
            assert await status(client, headers) == 200
            assert (await gw.settled(number))["caller"] == "cert:spiffe://test/search"
        assert (await client.fetch("GET", "/v1/models")).status == 200


async def test_in_mode_certificates_nothing_else_is_accepted(
    up: Upstream, tls: dict[str, str], connect: Connect
) -> None:
    async with Gateway(config(up, tls, {"name": "search"}, mode="certificates", optional=True)) as gw:
        for client in (await connect(gw), await connect(gw, common_names=["other"])):
            for headers in (None, KEY, WRONG):
                answer = await client.fetch("POST", CHAT, json=ASK, headers=headers or [])
                assert (answer.status, answer.json["error"]["code"]) == (401, "client_certificate_required")
            for path in ("/v1/models", "/v1/nothing", "/proxy/up/v1/models"):
                assert (await client.fetch("GET", path)).status in (401, 404), path
            assert (await client.fetch("GET", "/ready")).status == 200
        assert await status(await connect(gw, common_names=["search"])) == 200
        details = [line["detail"] for line in gw.exchanges if line["status"] == 401 and "detail" in line]
        assert {"no certificate", "other is not listed"} <= set(details), gw.exchanges[0]
    assert len(up.requests) == 1


async def test_an_entry_restricts_its_clients(up: Upstream, tls: dict[str, str], connect: Connect) -> None:
    entries = (
        {"name": "narrow", "models": ["other"]},
        {"name": "slow-*", "limits": {"requestsPerHour": 1, "burstSize": 1}},
        {"name": "files", "scopes": ["passthrough"]},
    )
    provider = {"passthrough": ["GET /files"]}
    async with Gateway(config(up, tls, *entries, mode="certificates", provider=provider)) as gw:
        assert await status(await connect(gw, common_names=["narrow"])) == 403
        one, two = await connect(gw, common_names=["slow-1"]), await connect(gw, common_names=["slow-2"])
        assert [await status(each) for each in (one, one, two)] == [200, 429, 200]
        up.on(lambda request: json_answer({}))
        for name, expected in (("slow-3", 403), ("files", 200)):
            client = await connect(gw, common_names=[name])
            assert (await client.fetch("GET", "/proxy/up/files")).status == expected


async def test_a_reload_changes_who_is_a_client_on_open_connections(
    up: Upstream, tls: dict[str, str], connect: Connect
) -> None:
    async with Gateway(config(up, tls, {"name": "search"}, mode="certificates")) as gw:
        search, other = await connect(gw, common_names=["search"]), await connect(gw, common_names=["other"])
        assert [await status(each) for each in (search, other)] == [200, 401]
        gw.app.credentials.adopt(to_config(config(up, tls, {"name": "other"}, mode="certificates")))
        assert [await status(each) for each in (search, other)] == [401, 200]


async def test_it_is_no_credential_of_the_control_plane(up: Upstream, tls: dict[str, str], connect: Connect) -> None:
    async with Gateway(config(up, tls, {"name": "*"}, mode="certificates")) as gw:
        client = await connect(gw, common_names=["search"])
        assert (await client.fetch("GET", "/admin/state")).status == 401
        bearer = [("Authorization", f"Bearer {ADMIN}")]
        assert (await client.fetch("GET", "/admin/state", headers=bearer)).status == 200


# -- operation ----------------------------------------------------------------------------------------


async def test_admin_listen_asks_for_no_certificate(
    up: Upstream, tls: dict[str, str], connect: Connect, authority: Authority
) -> None:
    async with Gateway(config(up, tls, admin={"listen": "127.0.0.1:0"})) as gw:
        port = int(gw.app.listeners.admin_address.rpartition(":")[2])
        async with SecureClient(port, authority.client_context()) as probe:
            assert (await probe.fetch("GET", "/ready")).status == 200
            assert (await probe.fetch("POST", CHAT, json=ASK)).status == 404
        assert await status(await connect(gw, common_names=["search"])) == 200


async def test_refusals_are_counted_and_logged(up: Upstream, tls: dict[str, str], authority: Authority) -> None:
    async with Gateway(config(up, tls, admin={"listen": "127.0.0.1:0"})) as gw:
        stranger = authority.context_with(Authority(), common_names=["a"])
        for mine in (authority.client_context(), authority.client_context(), stranger):
            try:
                async with SecureClient(gw.port, mine) as client:
                    await client._receive("the alert")
            except (OSError, ConnectionError):
                pass

        def lines() -> list[str]:
            return [line for line in gw.log_lines if "client_certificate_" in line]

        await until(lambda: len(lines()) == 2, "two lines")
        assert '"code":"client_certificate_missing","client":"127.0.0.1"' in lines()[0]
        port = int(gw.app.listeners.admin_address.rpartition(":")[2])
        async with SecureClient(port, authority.client_context()) as scraper:
            body = (await scraper.fetch("GET", "/metrics")).body
        assert b'{reason="client_certificate_missing"} 2' in body
        assert b'{reason="client_certificate_invalid"} 1' in body


async def test_sighup_reads_the_ca_again(
    up: Upstream, tls: dict[str, str], authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    settings = {"server": {"tls": tls, "host": "0.0.0.0"}, "providers": {"up": {"baseUrl": up.url}}}
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(settings))
    other = Authority()
    async with Process(["serve", "--config", str(path), "--port", "0"], folder=tmp_path) as gw:
        assert any("(client certificates)" in line for line in gw.lines)  # and --insecure was not needed
        old, new = (authority.context_with(each, common_names=["a"]) for each in (clients, other))
        async with SecureClient(gw.port, old) as before:
            assert (await before.fetch("GET", "/ready")).status == 200
            other.ca_file(tmp_path)  # the same file
            gw.signal(signal.SIGHUP)
            await until(lambda: any("was loaded again" in line for line in gw.lines), "it to say that it has loaded")
            async with SecureClient(gw.port, new) as after:
                assert (await after.fetch("GET", "/ready")).status == 200
            assert (await before.fetch("GET", "/ready")).status == 200
