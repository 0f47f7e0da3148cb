from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.loader import Loaded, load
from proxy.errors import ConfigError


def loaded(folder: Path, text: str) -> Loaded:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ={})


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [line.partition("config.yaml: ")[2] for line in caught.value.mistakes]


@pytest.mark.parametrize(
    ("route", "line"),
    [
        ("path: /a", "service: is missing: a route leads to a service, or to those of split"),
        ("{path: /a, service: s, split: {t: 1}}", "split: cannot be used together with service: remove one of them"),
        ("service: s", "path: is missing: a route needs path, pattern or host"),
        (
            "{path: /a, pattern: '/a/{b}', service: s}",
            "pattern: cannot be used together with path: remove one of them",
        ),
        (
            "{pattern: '/a/{b}', strip: true, service: s}",
            "strip: removes the prefix of path; with pattern, use rewrite",
        ),
        (
            "{path: /a, strip: true, rewrite: /b, service: s}",
            "rewrite: cannot be used together with strip: remove one of them",
        ),
        ("{host: a, strip: true, service: s}", "strip: has no effect: there is no path"),
        (
            "{pattern: '/a/{b}/{c}', rewrite: '/{x}', service: s}",
            'rewrite: there is no parameter "x": pattern has b, c',
        ),
        (
            "{path: /a, rewrite: '/{x}', service: s}",
            'rewrite: there is no parameter "x": only a pattern has parameters',
        ),
        (
            "{path: /a, service: s, public: true, scopes: [x]}",
            "scopes: cannot be used together with public, which needs no credential",
        ),
        (
            "{path: /a, service: s, limits: {tokensPerMinute: 5}}",
            "limits: tokensPerMinute has no effect: only calls to models use tokens",
        ),
        (
            "{path: /a, service: s, limits: {burstSize: 5, concurrent: 1}}",
            "limits: burstSize needs requestsPerMinute or requestsPerHour",
        ),
        ("{path: /v1/models, service: s}", "path: /v1/models is the gateway's own path, which no route can take"),
        (
            "{pattern: '/admin/{+x}', service: s}",
            "pattern: /admin/{+x} is below /admin, the gateway's own path, which no route can take",
        ),
        (
            "{path: /v1/files/a, service: s}",
            "path: /v1/files/a is below /v1/files, the gateway's own path, which no route can take",
        ),
        ("{path: /metrics, service: s}", "path: /metrics is the gateway's own path, which no route can take"),
        (
            "{path: /billing, service: s}",
            "path: what is below /billing/ is the gateway's own, which no route can take. "
            "Use pattern: /billing for this path alone",
        ),
    ],
)
def test_a_wrong_route_is_refused_with_one_line(tmp_path: Path, route: str, line: str) -> None:
    assert mistakes(tmp_path, f"auth: {{mode: keys}}\nroutes: [{route}]") == [f"routes[0].{line}"]


@pytest.mark.parametrize(
    ("service", "line"),
    [
        ("addresses: [http://a, 'http://a/']", "addresses: 2 have the URL http://a"),
        ("addresses: [http://a/B, 'HTTP://A/B', http://a/b]", "addresses: 2 have the URL http://a/B"),
        (
            "addresses: ['http://a?x=1']",
            "addresses: http://a?x=1 must not have a query: that of each request goes there",
        ),
        ("sticky: {bound: 2}", "sticky: needs cookie or header: the name of the one that decides"),
        (
            "sticky: {cookie: a, header: b}",
            "sticky.header: cannot be used together with cookie: remove one of them",
        ),
        ("sticky: {cookie: a;b}", "sticky.cookie: is not a valid cookie name"),
        ("sticky: {cookie: sluice_admin}", "sticky.cookie: sluice_admin is the session cookie of the dashboard"),
        ("sticky: {header: X Y}", "sticky.header: is not a valid header name"),
        ("dns: {scheme: http}", "dns.srv: is missing, and so is host: one of them is needed"),
        (
            "timeouts: {firstContent: 3}",
            "timeouts.firstContent: has no effect: only answers of models have a first content; use headers",
        ),
    ],
)
def test_a_wrong_service_is_refused_with_one_line(tmp_path: Path, service: str, line: str) -> None:
    assert mistakes(tmp_path, f"services: {{web: {{{service}}}}}") == [f"services.web.{line}"]


def test_relations_are_checked_with_everything_else(tmp_path: Path) -> None:
    text = (
        "routes:\n- {id: a, path: /admin/x, service: web, scopes: [s]}\n- {id: a, path: /api/v1/analyze, service: web}\n"
        "services: {web: {sticky: {}}}"
    )
    assert mistakes(tmp_path, text) == [
        "services.web.sticky: needs cookie or header: the name of the one that decides",
        "routes[0].path: /admin/x is below /admin, the gateway's own path, which no route can take",
        "routes[0].scopes: need authentication: set auth.mode",
        'routes: 2 routes have the id "a"',
    ]


@pytest.mark.parametrize(
    "route",
    ["pattern: /billing", "path: /", "path: /v1", "path: /openai", "path: /api", "path: /v1beta", "host: a.example"],
)
def test_a_route_that_gets_some_requests_is_fine(tmp_path: Path, route: str) -> None:
    loaded(tmp_path, f"services: {{s: {{}}}}\nroutes: [{{{route}, service: s}}]")


def test_a_gateway_at_a_unix_socket_needs_a_port_to_be_registered(tmp_path: Path) -> None:
    text = "server: {unixSocket: /run/s}\ndiscovery: {consul: {register: {enabled: true}}}"
    assert mistakes(tmp_path, text) == ["discovery.consul.register.port: is missing: server.unixSocket has none"]


def test_a_service_that_may_come_later_is_a_notice(tmp_path: Path) -> None:
    text = "services: {backend: {}}\nroutes: [{path: /, service: bakend}, {path: /x, split: {backend: 1, other: 1}}]"
    notices = [line for line in loaded(tmp_path, text).notices if line.startswith("routes")]
    assert notices == [
        'routes[0].service: no service "bakend" in the file: requests get a 503 until it is defined at run time;'
        ' did you mean "backend"?',
        'routes[1].split: no service "other" in the file: requests get a 503 until it is defined at run time',
    ]
