from __future__ import annotations

from typing import Any

import pytest

from proxy.client.dial import Origin
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import HeaderRules, RouteSettings
from proxy.net.address import TrustedProxies
from proxy.net.headers import Header
from proxy.services.live_service import ServiceTarget
from proxy.services.relay.request_head import RequestHeads, RequestRules, start_of
from proxy.services.table.route import ServiceRoute
from tests.services.relay.test_forwarded import FromProxy

ID = b"x-request-id: i\r\n"
FORWARDED = (
    b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: 80\r\n"
    b"Forwarded: for=192.0.2.1;host=h;proto=http\r\n"
)


def head(*raw: Header, rules: HeaderRules | None = None, http11: bool = True, trusted: tuple[str, ...] = ()) -> bytes:
    request: Any = FromProxy("192.0.2.1", *((name.decode(), value.decode()) for name, value in raw))
    request.raw_headers, request.http11 = raw, http11
    route = ServiceRoute.of("r", RouteSettings(path="/", request_headers=rules or HeaderRules()), "file", (0, ""))
    heads = RequestHeads(TrustedProxies(trusted), "me")
    return heads.lines(request, "h", ID, RequestRules.of(route, credentials=False))


def target(path: str = "") -> ServiceTarget:
    return ServiceTarget(Origin("http", "a", 81, Tls()), "a:81", path)


def test_the_gateways_lines_follow_the_clients() -> None:
    assert head((b"Host", b"h"), (b"A", b"b"), (b"Via", b"1.1 before")) == (
        b"A: b\r\nVia: 1.1 before\r\nVia: 1.1 me\r\n" + FORWARDED + ID
    )


def test_via_tells_the_version_that_the_client_spoke() -> None:
    assert b"Via: 1.0 me\r\n" in head(http11=False)


def test_a_trusted_proxy_is_believed() -> None:
    found = head((b"X-Forwarded-For", b"198.51.100.7"), trusted=("192.0.2.0/24",))
    assert b"X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n" in found
    assert b"198.51.100.7" not in head((b"X-Forwarded-For", b"198.51.100.7"), trusted=("10.0.0.0/8",))


def test_rules_remove_replace_and_add_lines() -> None:
    rules = HeaderRules(remove=["X-A"], set={"X-B": "new"}, add={"X-C": "2"})
    found = head((b"X-A", b"1"), (b"x-b", b"old"), (b"X-C", b"1"), rules=rules)
    assert found.startswith(b"X-C: 1\r\nVia")
    assert found.endswith(ID + b"X-B: new\r\nX-C: 2\r\n")


def test_rules_apply_to_the_gateways_own_lines() -> None:
    rules = HeaderRules(remove=["Forwarded", "x-forwarded-host"], set={"X-Forwarded-For": "-"})
    assert head(rules=rules) == (
        b"Via: 1.1 me\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n" + ID + b"X-Forwarded-For: -\r\n"
    )


@pytest.mark.parametrize(
    ("cookies", "kept"),
    [
        (b"sluice_admin=1.a.b", b""),
        (b"a=b; sluice_admin=1.a.b; c=d", b"Cookie: a=b; c=d\r\n"),
        (b"sluice_admin=1; c=d", b"Cookie: c=d\r\n"),
        (b"a=sluice_admin=1", b"Cookie: a=sluice_admin=1\r\n"),
    ],
)
def test_the_session_of_the_dashboard_is_for_no_service(cookies: bytes, kept: bytes) -> None:
    assert head((b"Cookie", cookies)).partition(b"Via: ")[0] == kept


def test_the_path_of_the_address_precedes_that_of_the_request() -> None:
    assert start_of("GET", target("/base"), "/x%2f", "a=b", "a:81") == b"GET /base/x%2f?a=b HTTP/1.1\r\nHost: a:81\r\n"
    assert start_of("GET", target(), "/", "", "a:81") == b"GET / HTTP/1.1\r\nHost: a:81\r\n"


def test_bytes_of_a_query_that_are_no_ascii_go_on_as_they_came() -> None:
    query = b"q=\xff\xc3\xa9".decode("utf-8", "surrogateescape")
    assert b"?q=\xff\xc3\xa9 " in start_of("GET", target(), "/", query, "a")
