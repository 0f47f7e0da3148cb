"""Who may speak to the gateway from where: no web page and no rebound name uses a local one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.config.schema import ListenTls
from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault, GatewayError, Unauthorized
from proxy.responder import Responder
from proxy.server.guard import HostOriginGuard
from tests.support import Answer, RawClient, Upstream, chat_events, completion, json_answer, sse_answer
from tests.support.gateway import Gateway, one_provider

BODY = b'{"model":"m","messages":[]}'
STREAM = {"model": "m", "messages": [], "stream": True}
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


def checked(settings: Settings, path: str, **headers: str) -> bytes:
    """What an edge with these settings says to a request with these headers (``_`` for ``-``)."""
    given = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return HostOriginGuard(settings, local=False).check(
        SimpleNamespace(path=path, headers=given, http11=True, rare=True)
    )  # type: ignore[arg-type]


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
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/health", "/metrics"])
async def test_every_other_host_is_refused_wherever_it_asks(host: str, target: str, up: Upstream, gw: Gateway) -> None:
    answer = await post(gw, host, target=target)
    assert (answer.status, answer.json["error"]["code"]) == (421, "host_not_allowed")
    assert "server.allowedHosts (ALLOWED_HOSTS)" in answer.json["error"]["message"]
    assert up.connections == []


async def test_a_host_that_was_refused_stays_refused_and_a_good_one_good(gw: Gateway) -> None:
    for _ in range(2):
        assert (await post(gw, "evil.example")).status == 421
        assert (await post(gw, "gateway.example")).status == 200


def test_the_host_that_it_listens_on_is_a_name_of_ours() -> None:
    settings = Settings(host="my-machine")
    assert checked(settings, "/v1/models", Host="My-Machine:80") == b""
    with pytest.raises(ClientFault):
        checked(settings, "/v1/models", Host="its-machine:80")


async def test_an_http_1_0_request_without_a_host_is_answered(gw: Gateway) -> None:
    """No browser sends one, so no rebound name is behind it."""
    client = await gw.client()
    await client.send(b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert (await client.read_answer()).status == 200
    for refused in (b"GET /v1/models HTTP/1.1\r\n\r\n", b"GET /v1/models HTTP/1.0\r\nHost: evil.example\r\n\r\n"):
        client = await gw.client()
        await client.send(refused)
        assert (await client.read_answer()).status in (400, 421)


async def test_an_origin_without_a_place_is_not_that_of_a_request_without_a_host(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"GET /v1/models HTTP/1.0\r\nOrigin: http://\r\n\r\n")
    assert (await client.read_answer()).status == 403


ABSOLUTE = {
    "http://127.0.0.1:8080/v1/models": 200,
    "HTTP://LOCALHOST/v1/models": 200,
    "https://gateway.example/v1/models?x=/y": 200,
    "http://[::1]:80/v1/models": 200,
    "http://evil.example/v1/models": 421,
    "http://evil.example:80/v1/health": 421,
    "http://evil.example:80/health": 200,
    "http://127.0.0.1/v1/../models": 400,
    "http://127.0.0.1": 200,  # the dashboard
    "http://127.0.0.1?x": 200,
}


@pytest.mark.parametrize("target", ABSOLUTE)
async def test_an_absolute_target_is_served_and_its_authority_judged(target: str, gw: Gateway) -> None:
    """RFC 9112 3.2.2: whatever the Host says."""
    for host in ("127.0.0.1", "evil.example"):
        client = await gw.client()
        answer = await client.fetch("GET", target, headers=[("Host", host)])
        assert answer.status == ABSOLUTE[target]


@pytest.mark.parametrize(
    "target", ["http://user@localhost/v1/models", "http:///v1/models", "ftp://127.0.0.1/v1/models", "*"]
)
async def test_a_target_in_no_form_that_is_served_is_refused(target: str, gw: Gateway) -> None:
    for host, statuses in (("127.0.0.1", (400,)), ("evil.example", (400, 421))):
        client = await gw.client()
        assert (await client.fetch("GET", target, headers=[("Host", host)])).status in statuses


async def test_an_absolute_target_is_guarded_like_its_path(gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch("GET", "http://127.0.0.1/admin/state")).status == 401
    foreign = [("Origin", "http://127.0.0.1:9")]
    assert (await client.fetch("GET", "http://127.0.0.1:8/admin/state", headers=foreign)).status == 403
    assert (await client.fetch("GET", "http://127.0.0.1:9/admin/state", headers=foreign)).status == 401


async def test_an_absolute_target_reaches_the_provider_as_a_path(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    target = "http://gateway.example/v1/chat/completions?trace=1"
    assert (await client.fetch("POST", target, headers=[("Host", "elsewhere")], body=BODY)).status == 200
    request = await up.request()
    assert request.target.startswith("/v1/chat/completions")
    assert "gateway.example" not in str(request.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/health", "/health/live", "/ready"])
async def test_probes_are_answered_for_any_host(path: str, method: str, gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch(method, path, headers=[("Host", "pod-7.evil.example")])).status == 200
    assert (await client.fetch(method, path, headers=[("Host", "")])).status == 200
    assert (await post(gw, "pod-7.evil.example")).status == 421


# HAProxy's default check, its usual forms, and those of Kubernetes, Envoy, Traefik and AWS.
PROBE_BYTES = [
    b"OPTIONS / HTTP/1.0\r\n\r\n",
    *(
        b"%b %b HTTP/1.0\r\n%b\r\n" % (method, path, headers)
        for method in (b"GET", b"HEAD", b"OPTIONS")
        for path in (b"/health", b"/health/live", b"/ready")
        for headers in (b"", b"Host: www\r\n", b"Connection: close\r\n")
    ),
    b"GET /ready HTTP/1.1\r\nHost: 10.1.2.3:8080\r\nUser-Agent: kube-probe/1.31\r\nConnection: close\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: 10.1.2.3\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n",
    b"GET /ready HTTP/1.1\r\nHost: cluster_gateway\r\nUser-Agent: Envoy/HC\r\nConnection: close\r\n\r\n",
]


@pytest.mark.parametrize("probe", PROBE_BYTES)
async def test_the_probe_of_a_balancer_is_answered_and_its_connection_closed(probe: bytes, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(probe)
    while await client._receive("the end of the connection"):
        pass
    head, _, body = bytes(client.received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert bool(body) is not probe.startswith(b"HEAD")


async def test_the_method_of_a_probe_opens_no_other_path(gw: Gateway) -> None:
    for probe in (b"OPTIONS / HTTP/1.0\r\nHost: evil.example\r\n\r\n", b"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n"):
        client = await gw.client()
        await client.send(probe)
        assert (await client.read_answer()).status == 421
    client = await gw.client()
    for path, status in (("/v1/models", 405), ("/metrics", 405), ("/admin/state", 401), ("/health/detailed", 401)):
        assert (await client.fetch("OPTIONS", path)).status == status, path


@pytest.mark.parametrize(
    ("server", "protected", "status"),
    [
        ({"host": "127.0.0.1"}, False, 421),
        ({"host": "127.0.0.1"}, True, 401),
        ({"host": "0.0.0.0", "insecure": True}, False, 200),
        ({"host": "0.0.0.0", "insecure": True}, True, 401),
    ],
)
async def test_metrics_are_answered_for_any_host_where_a_rebound_name_wins_nothing(
    server: dict[str, object], protected: bool, status: int, up: Upstream
) -> None:
    async with Gateway(one_provider(up, server=server, admin={"protectMetrics": protected})) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/metrics", headers=[("Host", "scraped.example")])).status == status
        assert (await client.fetch("GET", "/v1/models", headers=[("Host", "scraped.example")])).status == 421


async def test_a_refused_origin_stands_in_its_log_line(gw: Gateway) -> None:
    await post(gw, "localhost", ("Origin", "https://other.example"))
    assert (await gw.settled(1))["detail"] == "Origin: https://other.example"
    await post(gw, "localhost", ("Origin", "https://" + "x" * 5000))
    assert len((await gw.settled(2))["detail"]) < 300


async def test_a_refused_origin_of_a_page_is_logged(gw: Gateway) -> None:
    client = await gw.client()
    await client.fetch("GET", "/admin/state", headers=[("Origin", "https://front.example")])
    lines = [line for line in gw.log_lines if "https://front.example" in line]
    assert len(lines) == 1


async def test_many_hosts_do_not_fill_the_memory(gw: Gateway) -> None:
    client = await gw.client()
    for number in range(1100):
        assert (await client.fetch("GET", "/health", headers=[("Host", f"n{number}.localhost")])).status == 200
    assert gw.app.serving is not None
    assert len(gw.app.serving._guard._good) <= 1000


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


@pytest.mark.parametrize(
    "fault",
    [Unauthorized(), ClientFault("Rate limit exceeded", status=429, code="rate_limit", retry_after=7)],
    ids=["401", "429"],
)
async def test_what_a_middleware_refuses_can_be_read_too(fault: GatewayError, gw: Gateway) -> None:
    async def refuse(responder: Responder) -> None:
        raise fault

    assert gw.app.gateway is not None
    gw.app.gateway.answer = refuse
    answer = await post(gw, "127.0.0.1", ("Origin", ALLOWED))
    assert answer.status == fault.status
    assert answer.header("access-control-allow-origin") == ALLOWED
    exposed = (answer.header("access-control-expose-headers") or "").split(", ")
    assert {"retry-after", "x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= {
        *exposed
    }
    # A preflight brings no credential, and is asked for none.
    assert (await preflight(gw, ALLOWED)).status == 204


async def test_every_header_of_our_own_can_be_read(gw: Gateway, up: Upstream) -> None:
    answer = await post(gw, "127.0.0.1", ("Origin", ALLOWED), ("x-router-decision", "true"))
    exposed = (answer.header("access-control-expose-headers") or "").split(", ")
    ours = [name for name, _ in answer.head.headers if name.startswith("x-r")]
    assert len(ours) >= 4
    assert {*ours} <= {*exposed}


async def test_a_stream_can_be_read_too(up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: sse_answer(*chat_events("Hello")))
    client = await gw.client()
    await client.request("POST", "/v1/chat/completions", headers=[("Origin", ALLOWED)], json=STREAM)
    head = await client.read_head()
    assert (head.status, head.header("access-control-allow-origin")) == (200, ALLOWED)
    assert await client.read_events() == chat_events("Hello")


# -- the control plane ----------------------------------------------------------------------------

PRIVATE = ["/admin", "/admin/", "/admin/login", "/auth/api-keys", "/auth", "/auth/api-keys/1/rotate"]
OURS = "http://127.0.0.1:8080"


@pytest.mark.parametrize("target", PRIVATE)
@pytest.mark.parametrize("origins", [[ALLOWED], ["*"]], ids=["listed", "any"])
async def test_the_control_plane_takes_no_foreign_origin_whatever_is_configured(
    target: str, origins: list[str], up: Upstream
) -> None:
    async with Gateway(one_provider(up, server={"corsOrigins": origins})) as gw:
        for answer in (
            await post(gw, "127.0.0.1:8080", ("Origin", ALLOWED), target=target),
            await preflight(gw, ALLOWED, target),
            await post(gw, "127.0.0.1:8080", ("Origin", "null"), target=target),
        ):
            assert (answer.status, answer.json["error"]["code"]) == (403, "origin_not_allowed")
            assert not [name for name, _ in answer.head.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("target", PRIVATE)
def test_the_control_plane_takes_no_request_of_another_site_even_without_an_origin(target: str) -> None:
    """A link, an image, a form of GET: those send no Origin."""
    settings = Settings(cors_origins=["*"])
    with pytest.raises(ClientFault, match="other sites"):
        checked(settings, target, Sec_Fetch_Site="cross-site")
    for site in ("same-origin", "none", "same-site"):
        assert checked(settings, target, Sec_Fetch_Site=site) == b""


@pytest.mark.parametrize("target", PRIVATE)
def test_the_control_planes_own_pages_may_use_it(target: str) -> None:
    settings = Settings(cors_origins=["*", OURS])
    assert checked(settings, target, Host="127.0.0.1:8080", Origin=OURS, Sec_Fetch_Site="same-origin") == b""


@pytest.mark.parametrize("target", ["/v1/models", "/administrators", "/authors/1", "/health", "/api/v1/admin"])
def test_other_paths_are_not_the_control_planes(target: str) -> None:
    settings = Settings(cors_origins=["*"])
    assert checked(settings, target, Origin=ALLOWED, Sec_Fetch_Site="cross-site")


async def test_a_star_allows_every_origin(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"corsOrigins": ["*"]})) as gw:
        for origin in ("https://any.example", "null"):
            answer = await post(gw, "127.0.0.1", ("Origin", origin))
            assert (answer.status, answer.header("access-control-allow-origin")) == (200, "*")
            assert answer.header("access-control-allow-credentials") is None


def test_no_origin_may_use_what_a_browser_sends_of_its_own_accord() -> None:
    """Cookies and client certificates: an answer that allows them would have to name them."""
    for origins in ([ALLOWED], ["*"]):
        lines = checked(Settings(cors_origins=origins), "/v1/models", Origin=ALLOWED)
        assert b"allow-credentials" not in lines.lower()


@pytest.mark.parametrize("written", ["https://chat.example:443", "https://Chat.Example/", "https://chat.example"])
def test_an_origin_is_known_however_the_configuration_writes_it(written: str) -> None:
    assert b"Access-Control-Allow-Origin: https://chat.example\r\n" in checked(
        Settings(cors_origins=[written]), "/v1/models", Origin=ALLOWED
    )


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://localhost:80", "https://localhost:80"),
    ],
)
def test_only_the_ports_own_scheme_makes_it_a_default(given: str, called: str) -> None:
    assert checked(Settings(cors_origins=[given]), "/v1/models", Host="127.0.0.1", Origin=called)


@pytest.mark.parametrize(
    ("tls", "origin", "good"),
    [
        (None, "http://localhost:8080", True),
        (None, "https://localhost:8080", True),  # TLS ends at a proxy before us
        (None, "ftp://localhost:8080", False),
        (ListenTls("c"), "https://localhost:8080", True),
        (ListenTls("c"), "http://localhost:8080", False),
        (ListenTls("c"), "localhost:8080", False),
    ],
)
def test_our_own_origin_is_that_of_the_listener(tls: ListenTls | None, origin: str, good: bool) -> None:
    settings = Settings(tls=tls)
    if good:
        assert checked(settings, "/v1/models", Host="localhost:8080", Origin=origin) == b""
    else:
        with pytest.raises(ClientFault):
            checked(settings, "/v1/models", Host="localhost:8080", Origin=origin)


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
    assert answer.header("access-control-max-age") == "600"
    assert answer.header("x-content-type-options") == "nosniff"


async def test_a_preflight_reaches_no_provider_and_is_no_exchange(up: Upstream, gw: Gateway) -> None:
    await preflight(gw, ALLOWED)
    assert up.connections == []
    assert gw.app.metrics.in_flight == 0


@pytest.mark.parametrize("asked", ["", "x: y", "x;y", "<script>", "a,,b", "é", "x-" + "a" * 5000])
async def test_what_is_no_list_of_header_names_is_not_sent_back(asked: str, gw: Gateway) -> None:
    client = await gw.client()
    headers = [("Origin", ALLOWED), ASKING[0], ("Access-Control-Request-Headers", asked)]
    answer = await client.fetch("OPTIONS", "/v1/models", headers=headers)
    assert answer.status == 204
    assert answer.header("access-control-allow-headers") is None


async def test_a_page_of_the_internet_may_ask_for_a_gateway_at_home_if_it_is_listed(gw: Gateway) -> None:
    client = await gw.client()
    wanted = ("Access-Control-Request-Private-Network", "true")
    for extra, answered in (([wanted], "true"), ([], None)):
        answer = await client.fetch("OPTIONS", "/v1/models", headers=[("Origin", ALLOWED), ASKING[0], *extra])
        assert answer.header("access-control-allow-private-network") == answered


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


async def test_origins_by_pattern_and_null_are_served_and_preflighted(up: Upstream) -> None:
    server = {"corsOrigins": ["http://localhost:*", "https://*.example.org", None]}
    async with Gateway(one_provider(up, server=server)) as gw:
        for origin in ("http://localhost:5173", "https://chat.example.org", "null"):
            answer = await post(gw, "127.0.0.1", ("Origin", origin))
            assert (answer.status, answer.header("access-control-allow-origin")) == (200, origin)
        refused = await post(gw, "127.0.0.1", ("Origin", "https://chat.example.com"))
        assert refused.status == 403


@pytest.mark.parametrize(
    ("allowed", "host", "good"),
    [
        (["*"], "anything.example", True),
        (["*.example.org"], "a.b.example.org:8080", True),
        (["*.example.org"], "A.Example.org.", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "badexample.org", False),
    ],
)
def test_allowed_hosts_may_be_patterns(allowed: list[str], host: str, good: bool) -> None:
    settings = Settings(allowed_hosts=allowed)
    if good:
        assert checked(settings, "/v1/models", Host=host) == b""
    else:
        with pytest.raises(ClientFault):
            checked(settings, "/v1/models", Host=host)
