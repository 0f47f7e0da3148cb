from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.config.service_checks import (
    parameters,
    route_host,
    route_method,
    route_path,
    route_pattern,
    route_rewrite,
    scope,
    service_name,
    statuses,
)


@pytest.mark.parametrize(
    ("check", "text", "result"),
    [
        (service_name, "llm-1.eu", "llm-1.eu"),
        (scope, "reports:read", "reports:read"),
        (route_host, "API.Example.org.", "api.example.org"),
        (route_host, "*.example.org", "*.example.org"),
        (route_path, "", ""),
        (route_path, "/", "/"),
        (route_path, "/api/v1/analyze/", "/api/v1/analyze"),
        (route_path, "/a%20b", "/a%20b"),
        (route_pattern, "/users/{id}/files/{+rest}", "/users/{id}/files/{+rest}"),
        (route_rewrite, "/v2/{id}", "/v2/{id}"),
        (route_method, "get", "GET"),
        (statuses, "200-399, 404", "200-399, 404"),
    ],
)
def test_what_is_accepted(check: Callable[[str], str], text: str, result: str) -> None:
    assert check(text) == result


@pytest.mark.parametrize(
    ("check", "text", "complaint"),
    [
        (service_name, "a/b", "only letters"),
        (service_name, "", "only letters"),
        (scope, "a b", "only letters"),
        (route_host, "http://a", "without scheme"),
        (route_host, "a.*.b", "without scheme"),
        (route_path, "api", "begin with a slash"),
        (route_path, "/a b", "percent-encoded"),
        (route_path, "/a/../b", "dot segments"),
        (route_path, "/a/%2e%2e/b", "dot segments"),
        (route_path, "//a", "empty"),
        (route_path, "/a%zz", "hexadecimal"),
        (route_path, "/a?b", "percent-encoded"),
        (route_pattern, "users/{id}", "begin with a slash"),
        (route_pattern, "/x{id}", "whole segment"),
        (route_pattern, "/{+rest}/x", "last segment"),
        (route_pattern, "/{id}/{id}", "twice"),
        (route_rewrite, "v2", "begin with a slash"),
        (route_method, "CONNECT", "never relayed"),
        (route_method, "G T", "such as GET"),
        (statuses, "ok", "such as 200-399"),
        (statuses, "99", "such as 200-399"),
    ],
)
def test_what_is_refused(check: Callable[[str], str], text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check(text)


def test_parameters_are_named_in_order() -> None:
    assert parameters("/a/{x}/b/{+rest}") == ("x", "rest")
