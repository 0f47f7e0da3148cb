from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.proxies import Exemptions, Proxies, Proxy, ascii_host, authority, proxy_url, unusable
from proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("host", "wire"),
    [
        ("Example.COM", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_host_is_written_as_on_the_wire(host: str, wire: str) -> None:
    assert ascii_host(host) == wire


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [("h", 80, "h:80"), ("2001:db8::1", 443, "[2001:db8::1]:443"), ("fe80::1%eth0", 1, "[fe80::1]:1")],
)
def test_an_authority_has_brackets_around_ipv6_and_no_zone(host: str, port: int, text: str) -> None:
    assert authority(host, port) == text


@pytest.mark.parametrize(
    ("url", "secure", "host", "port"),
    [
        ("http://proxy.corp:3128", False, "proxy.corp", 3128),
        ("proxy.corp:3128", False, "proxy.corp", 3128),
        ("http://proxy.corp", False, "proxy.corp", 80),
        ("https://proxy.corp/", True, "proxy.corp", 443),
        ("http://[::1]:3128", False, "::1", 3128),
        ("HTTP://PROXY.corp:3128", False, "proxy.corp", 3128),
    ],
)
def test_a_proxy_url_is_read(url: str, secure: bool, host: str, port: int) -> None:
    assert Proxy.parse(url) == Proxy(secure, host, port)


@pytest.mark.parametrize(
    ("url", "credentials"),
    [
        ("http://h", b""),
        ("http://u:p%40w%3A@h", b"u:p@w:"),
        ("http://u@h", b"u:"),
        ("http://%C3%A9:x@h", b"\xc3\xa9:x"),
    ],
)
def test_credentials_of_a_proxy_are_sent_decoded(url: str, credentials: bytes) -> None:
    line = Proxy.parse(url).authorization
    assert line == (f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}\r\n" if credentials else "")


@pytest.mark.parametrize("url", ["http://u:p%40w@h:3128", "https://h:443", "http://[2001:db8::1]:8080"])
def test_libraries_get_the_url_of_a_proxy_with_its_credentials(url: str) -> None:
    assert Proxy.parse(url).url == url


@pytest.mark.parametrize(
    "url", ["socks5://u:hunter2@h:1080", "http://u:hunter2@", "http://u:hunter2@h:x", "http://u:hunter2@h:0"]
)
def test_an_unusable_proxy_is_reported_without_its_password(url: str) -> None:
    proxies = Proxies({"HTTPS_PROXY": url})
    assert proxies.choose("https", "localhost", 443) is None
    with pytest.raises(ConfigError) as caught:
        proxies.choose("https", "h", 443)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_proxys_password_is_not_in_its_repr() -> None:
    proxy = Proxy.parse("http://u:hunter2@h:1")
    assert repr(proxy) == "<Proxy http://h:1>"


def test_the_lower_case_variables_win_and_may_be_empty() -> None:
    upper = {"HTTPS_PROXY": "http://upper:1"}
    chosen = Proxies({**upper, "https_proxy": "http://lower:2"}).choose("https", "h", 443)
    assert chosen is not None
    assert chosen.host == "lower"
    assert Proxies({**upper, "https_proxy": ""}).choose("https", "h", 443) is None
    assert Proxies({**upper, "NO_PROXY": "h", "no_proxy": ""}).choose("https", "h", 443) is not None


@pytest.mark.parametrize(
    ("environ", "secure", "plain"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://s"}, "s", None),
        ({"HTTP_PROXY": "http://p"}, None, "p"),
        ({"ALL_PROXY": "http://a"}, "a", "a"),
        ({"all_proxy": "http://b", "ALL_PROXY": "http://a"}, "b", "b"),
        ({"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://s"}, "s", "a"),
        ({"ALL_PROXY": "http://a", "http_proxy": ""}, "a", None),
        ({"ALL_PROXY": "socks5://a", "HTTPS_PROXY": "http://s", "HTTP_PROXY": "http://p"}, "s", "p"),
        ({"ALL_PROXY": "socks5://a", "NO_PROXY": "*"}, None, None),
    ],
)
def test_each_scheme_has_its_proxy_before_the_general_one(
    environ: dict[str, str], secure: str | None, plain: str | None
) -> None:
    chosen = [Proxies(environ).choose(scheme, "h", 1) for scheme in ("https", "http")]
    assert [each and each.host for each in chosen] == [secure, plain]


@pytest.mark.parametrize(
    "host", ["localhost", "api.localhost", "localhost.", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0"]
)
def test_loopback_has_no_proxy_by_whatever_name(host: str) -> None:
    assert Proxies({"ALL_PROXY": "http://a"}).choose("http", host, 80) is None
    assert Proxies({"ALL_PROXY": "http://a"}).choose("http", f"x{host}.example", 80) is not None


@pytest.mark.parametrize(
    ("scheme", "environ", "proxy"),
    [
        ("https", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https", {"HTTPS_PROXY": "http://p:1", "https_proxy": ""}, None),
        ("https", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org"}, None),
        ("http", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http", {"HTTP_PROXY": "u:p%40w@p:1"}, "http://u:p%40w@p:1"),
        ("http", {"ALL_PROXY": "http://p:1", "NO_PROXY": "models.example.org:81"}, "http://p:1"),
        ("http", {"ALL_PROXY": "http://p:1", "NO_PROXY": "models.example.org:80"}, None),
        ("https", {}, None),
    ],
)
def test_the_proxy_is_the_one_used_for_providers(scheme: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_url(f"{scheme}://models.example.org/list", environ) == proxy


def test_an_address_is_exempt_from_the_proxy_by_its_network() -> None:
    environ = {"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,[2001:db8::]/32"}
    for url in ("http://10.1.2.3/", "https://[2001:db8::5]:8443/x?a=b"):
        assert proxy_url(url, environ) is None
    assert proxy_url("https://11.1.2.3/", environ) == "http://p:1"


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "exempt"),
    [
        ("", "localhost", 443, False),
        ("", "127.0.0.1", 443, False),
        ("*", "anything.example", 443, True),
        ("other.org, *", "10.0.0.1", 443, True),
        ("example.com", "example.com", 443, True),
        ("example.com", "api.example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        ("example.com", "example.com.evil.org", 443, False),
        ("Example.COM", "api.example.com", 443, True),
        ("example.com.", "example.com", 443, True),
        ("example.com", "example.com.", 443, True),
        (".example.com", "api.example.com", 443, True),
        (".example.com", "example.com", 443, True),
        (".example.com", "badexample.com", 443, False),
        ("*.example.com", "api.example.com", 443, True),
        ("a.org,b.org", "b.org", 443, True),
        (" a.org ,\tb.org ", "b.org", 443, True),
        ("a.org b.org", "a.org", 443, True),
        (",,", "a.org", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        (".example.com:8443", "api.example.com", 8443, True),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("127.0.0.1", "127.0.0.1", 443, True),
        ("127.0.0.1", "127.0.0.10", 443, False),
        ("127.0.0.1:8443", "127.0.0.1", 8443, True),
        ("127.0.0.1:8443", "127.0.0.1", 443, False),
        ("0.0.1", "10.0.0.1", 443, False),
        ("10.0.0.0/8", "10.20.30.40", 443, True),
        ("10.0.0.1/8", "10.20.30.40", 443, True),
        ("10.0.0.0/8", "11.0.0.1", 443, False),
        ("10.0.0.0/8", "10.example", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("0.0.0.0/0", "example.com", 443, False),
        ("::1", "::1", 443, True),
        ("[::1]", "::1", 443, True),
        ("[::1]:8443", "::1", 8443, True),
        ("[::1]:8443", "::1", 443, False),
        ("0:0:0:0:0:0:0:1", "::1", 443, True),
        ("2001:db8::/32", "2001:db8::5", 443, True),
        ("[2001:db8::]/32", "2001:db8::5", 443, True),
        ("2001:db8::/32", "2001:db9::5", 443, False),
        ("fe80::/10", "fe80::1%eth0", 443, True),
        ("127.0.0.1", "::ffff:127.0.0.1", 443, True),
        ("bad host!", "bad", 443, True),
        ("a%0ab", "a%0ab", 443, False),
    ],
)
def test_no_proxy_is_read_as_curl_and_requests_do(no_proxy: str, host: str, port: int, exempt: bool) -> None:
    assert Exemptions(no_proxy).cover(host, port) is exempt


def test_mistakes_in_proxy_variables_are_reported_once_and_only_if_they_matter() -> None:
    environ = {"HTTPS_PROXY": "socks5://p", "NO_PROXY": "b.example"}
    assert unusable(["https://a.example", "https://c.example/x"], environ) == [
        "environment: HTTPS_PROXY: the scheme socks5:// is not supported, only http:// and https://"
    ]
    assert unusable(["http://a.example", "https://b.example", "https://localhost"], environ) == []


@given(st.text(max_size=40))
def test_any_text_is_a_proxy_or_a_mistake_that_does_not_repeat_it(text: str) -> None:
    proxies = Proxies({"HTTPS_PROXY": f"http://u:hunter2{text}@proxy.example"})
    try:
        shown = repr(proxies.choose("https", "h.example", 443))
    except ConfigError as error:
        shown = str(error)
    assert "hunter2" not in shown


@given(st.text(max_size=40))
def test_any_text_of_no_proxy_is_read(text: str) -> None:
    assert Exemptions(text).cover("h.example", 443) in (True, False)
