"""Who may speak to the gateway from where: no web page and no rebound name uses a local one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.config.schema import Server as Settings
from proxy.errors import ClientFault
from proxy.transport.edge import Edge
from tests.support import Answer, RawClient, Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider

BODY = b'{"model":"m","messages":[]}'
ALLOWED = "https://chat.example"
SETTINGS = {
    "allowedHosts": ["gateway.example", "Sluice.Internal"],
    "corsOrigins": [ALLOWED, "http://localhost:3000"],
}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, server=SETTINGS)) as gw:
        yield gw


async def post(gw: Gateway, host: str, *headers: tuple[str, str], target: str = "/v1/chat/completions") -> Answer:
    client = await gw.client()
    return await client.fetch("POST", target, headers=[("Host", host), *headers], body=BODY)


# -- Host -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.8.9.10:1",
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "app.localhost:8080",
        "[::1]",
        "[::1]:8080",
        "[0:0:0:0:0:0:0:1]:8080",
        "192.168.1.7:8080",
        "[fd00::7]:8080",
        "gateway.example",
        "GATEWAY.example:443",
        "gateway.example.:443",
        "sluice.internal",
    ],
)
async def test_an_address_and_a_name_of_ours_are_good_hosts(host: str, gw: Gateway) -> None:
    assert (await post(gw, host)).status == 200


FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io:8080",
    "localhost.evil.example",
    "evillocalhost",
    "localhost@evil.example",
    "evil.example@localhost",
    "gateway.example.evil.example",
    "notgateway.example",
    "x.gateway.example",
    "2130706433",
    "0x7f000001",
    "127.1",
    "127.0.0.1 evil.example",
    "127.0.0.1,evil.example",
    "[::1].evil.example",
    "[::1]evil.example:80",
    "[evil.example]",
    "[::1",
    "::1",
    "localhost:80:evil.example",
    "localhost:evil",
    "localhost/evil",
    "",
    ":8080",
    "*",
]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/health", "/metrics"])
async def test_every_other_host_is_refused_wherever_it_asks(host: str, target: str, up: Upstream, gw: Gateway) -> None:
    answer = await post(gw, host, target=target)
    assert (answer.status, answer.json["error"]["code"]) == (421, "host_not_allowed")
    assert up.connections == []


async def test_a_host_that_was_refused_stays_refused_and_a_good_one_good(gw: Gateway) -> None:
    for _ in range(2):
        assert (await post(gw, "evil.example")).status == 421
        assert (await post(gw, "gateway.example")).status == 200


def test_the_host_that_it_listens_on_is_a_name_of_ours() -> None:
    edge = Edge(Settings(host="my-machine"), local=False)
    assert edge.check(SimpleNamespace(headers={"Host": "My-Machine:80"})) == b""  # type: ignore[arg-type]
    with pytest.raises(ClientFault):
        edge.check(SimpleNamespace(headers={"Host": "its-machine:80"}))  # type: ignore[arg-type]


async def test_a_request_of_http_1_0_without_a_host_is_refused(gw: Gateway) -> None:
    """A browser always sends one; who cannot must name an address or a name of ours."""
    client = await gw.client()
    await client.send(b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert (await client.read_answer()).status == 421


async def test_many_hosts_do_not_fill_the_memory(gw: Gateway) -> None:
    client = await gw.client()
    for number in range(1100):
        assert (await client.fetch("GET", "/health", headers=[("Host", f"n{number}.localhost")])).status == 200
    assert gw.app.gateway is not None
    assert len(gw.app.gateway._edge._good) <= 1000


async def test_on_a_unix_socket_any_host_is_good(up: Upstream, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with Gateway(one_provider(up, server={"unixSocket": path})), RawClient(path) as client:
        for host in ("localhost", "anything", "evil.example"):
            answer = await client.fetch("POST", "/v1/chat/completions", headers=[("Host", host)], body=BODY)
            assert answer.status == 200


# -- Origin ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost",
        "http://localhost:3001",
        "https://localhost:3000",
        "http://127.0.0.1",
        "http://127.0.0.1:9999",
        "https://chat.example.evil.example",
        "https://chat.example:8443",
        "http://chat.example",
        "https://xchat.example",
        "null",
        "",
        "file://",
        "chrome-extension://abcdef",
        "evil",
        "*",
    ],
)
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/health", "/metrics"])
async def test_a_foreign_origin_is_refused_and_told_nothing(
    origin: str, target: str, up: Upstream, gw: Gateway
) -> None:
    answer = await post(gw, "127.0.0.1:8080", ("Origin", origin), target=target)
    assert (answer.status, answer.json["error"]["code"]) == (403, "origin_not_allowed")
    assert not [name for name, _ in answer.head.headers if name.startswith("access-control-")]
    assert up.connections == []


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
async def test_a_page_of_the_gateways_own_is_no_foreign_origin(host: str, gw: Gateway) -> None:
    answer = await post(gw, host, ("Origin", f"http://{host}"))
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") is None


@pytest.mark.parametrize("origin", [ALLOWED, "http://localhost:3000"])
async def test_a_listed_origin_is_served_and_may_read_the_answer(origin: str, gw: Gateway) -> None:
    answer = await post(gw, "127.0.0.1", ("Origin", origin))
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") == origin
    assert "x-request-id" in (answer.header("access-control-expose-headers") or "")


@pytest.mark.parametrize("target", ["/v1/nowhere", "/v1/organization/users", "/v1/models"])
async def test_a_listed_origin_may_read_our_refusals_too(target: str, gw: Gateway) -> None:
    answer = await post(gw, "127.0.0.1", ("Origin", ALLOWED), target=target)
    assert answer.status in (403, 404, 405)
    assert answer.header("access-control-allow-origin") == ALLOWED


async def test_a_star_allows_every_origin(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"corsOrigins": ["*"]})) as gw:
        answer = await post(gw, "127.0.0.1", ("Origin", "https://any.example"))
        assert (answer.status, answer.header("access-control-allow-origin")) == (200, "https://any.example")


async def test_a_rebound_name_is_refused_although_its_origin_is_its_own(up: Upstream, gw: Gateway) -> None:
    answer = await post(gw, "evil.example:8080", ("Origin", "http://evil.example:8080"))
    assert answer.status == 421
    assert up.connections == []


async def test_the_origin_never_reaches_the_provider(up: Upstream, gw: Gateway) -> None:
    await post(gw, "127.0.0.1", ("Origin", ALLOWED), ("Referer", ALLOWED + "/page"))
    request = await up.request()
    assert request.header("origin") is None
    assert request.header("referer") is None


# -- preflight ------------------------------------------------------------------------------------

ASKING = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type")]


async def preflight(gw: Gateway, origin: str, target: str = "/v1/chat/completions") -> Answer:
    client = await gw.client()
    return await client.fetch("OPTIONS", target, headers=[("Origin", origin), *ASKING])


async def test_a_listed_origin_may_ask_what_it_may_send(gw: Gateway) -> None:
    answer = await preflight(gw, ALLOWED)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("access-control-allow-origin") == ALLOWED
    assert "POST" in (answer.header("access-control-allow-methods") or "")
    assert answer.header("access-control-allow-headers") == "authorization,content-type"
    assert answer.header("vary") == "Origin"


async def test_a_foreign_origin_is_refused_at_its_preflight(gw: Gateway) -> None:
    answer = await preflight(gw, "https://evil.example")
    assert answer.status == 403
    assert answer.header("access-control-allow-origin") is None


async def test_the_answer_to_a_listed_origin_varies_with_it(gw: Gateway) -> None:
    """Else a cache could hand it to another page."""
    answer = await post(gw, "127.0.0.1", ("Origin", ALLOWED))
    assert "Origin" in (answer.header("vary") or "")


async def test_options_without_an_origin_is_a_method_like_any_other(gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("OPTIONS", "/v1/chat/completions")
    assert (answer.status, answer.header("allow")) == (405, "POST")
