from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import checks
from proxy.server.origins import CorsOrigins


def allowed(*configured: str, origin: str) -> bool:
    return CorsOrigins(map(checks.origin, configured)).lines(origin).startswith(f"Access-Control-Allow-Origin: {origin}\r\n".encode())  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:*", "http://localhost:3000"),
        ("http://localhost:*", "http://localhost"),
        ("http://127.0.0.1:*", "http://127.0.0.1:1"),
        ("http://[::1]:*", "http://[::1]:5173"),
        ("https://*.example.org", "https://chat.example.org"),
        ("https://*.example.org", "https://a.b-c.example.org"),
        ("https://*.example.org:*", "https://a.example.org:8443"),
        ("https://*.example.org:443", "https://a.example.org"),
        ("https://*.example.org:8443", "https://a.example.org:8443"),
        ("http://*:3000", "http://192.168.0.9:3000"),
        ("https://*", "https://a.b"),
        ("chrome-extension://*", "chrome-extension://abcdefgh"),
        ("null", "null"),
    ],
)
def test_a_pattern_allows_what_it_stands_for(pattern: str, origin: str) -> None:
    assert allowed("https://other", pattern, origin=origin)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:*", "https://localhost:3000"),
        ("http://localhost:*", "http://localhost:3000.evil.org"),
        ("http://localhost:*", "http://localhost.evil.org:80"),
        ("http://localhost:*", "http://localhost:123456"),
        ("https://*.example.org", "https://example.org"),
        ("https://*.example.org", "https://evil-example.org"),
        ("https://*.example.org", "https://a.exampleXorg"),
        ("https://*.example.org", "https://a.example.org.evil.org"),
        ("https://*.example.org", "https://evil.org/.example.org"),
        ("https://*.example.org", "https://a.example.org:8443"),
        ("https://*.example.org", "https://a.example.org\n"),
        ("http://*:3000", "http://a:3001"),
        ("https://a", "null"),
    ],
)
def test_a_pattern_allows_nothing_else(pattern: str, origin: str) -> None:
    assert CorsOrigins([checks.origin(pattern)]).lines(origin) == b""


def test_every_origin_gets_its_own_name_back_however_often_it_comes() -> None:
    origins = CorsOrigins(["http://localhost:*"])
    for _ in range(2):
        for number in range(2000):
            origin = f"http://localhost:{number}"
            assert origins.lines(origin).startswith(b"Access-Control-Allow-Origin: %b\r\n" % origin.encode())


@given(st.text())
def test_no_text_of_a_client_leaves_the_header_line(origin: str) -> None:
    lines = CorsOrigins(["https://*", "http://*:*", "null"]).lines(origin)
    assert lines == b"" or lines.startswith(b"Access-Control-Allow-Origin: %b\r\nVary" % origin.encode("ascii"))
