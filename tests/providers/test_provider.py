from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.address_schema import ProviderAddress
from proxy.config.provider_schema import Dialects, DialectSettings
from proxy.errors import ConfigError
from proxy.providers.provider import Provider
from proxy.providers.state import state_of
from tests.providers.compiled import key_of, provider, target


def head(compiled: Provider, path: str = "chat/completions") -> list[bytes]:
    """The lines of a JSON call's head."""
    return compiled.sites[0].call_head(path, key_of(compiled)).split(b"\r\n")


# -- the request target ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "path", "found"),
    [
        ("https://host.example", "models", "/models"),
        ("https://host.example/v1", "chat/completions", "/v1/chat/completions"),
        ("https://host.example/a%20b/v1/", "models", "/a%20b/v1/models"),
    ],
)
def test_a_path_is_appended_to_the_base_url(base_url: str, path: str, found: str) -> None:
    assert target(base_url, path) == found


def test_the_query_of_a_base_url_is_sent_with_each_request() -> None:
    base_url = "https://host.example/v1?region=eu"
    assert target(base_url, "models") == "/v1/models?region=eu"
    assert target(base_url, "models", query="limit=1;after=x") == "/v1/models?region=eu&limit=1;after=x"
    assert provider(base_url).sites[0].url("models") == "https://host.example/v1/models?region=eu"


@pytest.mark.parametrize("query", ["region=us", "REGION=us", "re%67ion=us", "region", "region=us;region=x"])
def test_a_parameter_of_the_base_url_replaces_the_clients(query: str) -> None:
    assert target("https://host.example/v1?region=eu", "models", query=f"{query}&x=1") == "/v1/models?region=eu&x=1"


@pytest.mark.parametrize(
    ("query", "sent"),
    [("a=1;2&b", "a=1;2&b"), ("=&;&", "=&;&"), ("?", "?"), ("api-version=1;a;b&c", "a;b&c"), ("a;api-version=1", "a")],
)
def test_all_other_bytes_of_a_query_are_unchanged(query: str, sent: str) -> None:
    assert target("https://host.example/v1", "models", query=query) == f"/v1/models?{sent}"


@given(st.lists(st.sampled_from(["a=1", "b", "region=x", "Region", "r%65gion=%20", "=", "", "c=%26"])))
def test_no_clients_query_repeats_a_parameter_of_the_base_url(parameters: list[str]) -> None:
    found = target("https://host.example/v1?region=eu", "models", query="&".join(parameters))
    kept = [each for each in parameters if "region" not in each.lower().replace("%65", "e")]
    assert found.removeprefix("/v1/models?region=eu").removeprefix("&") == "&".join(kept)


# -- the head of a request ------------------------------------------------------------------------


def test_a_head_has_the_host_the_credential_and_no_compression() -> None:
    assert head(provider("https://host.example:8443/v1")) == [
        b"POST /v1/chat/completions HTTP/1.1",
        b"Host: host.example:8443",
        b"User-Agent: sluice/1",
        b"Accept-Encoding: identity",
        b"Authorization: Bearer secret-key",
        b"Content-Type: application/json",
        b"",
    ]


def test_a_configured_header_replaces_ours_of_the_same_name_in_any_case() -> None:
    lines = head(provider(headers={"user-agent": "mine", "HOST": "other", "content-type": "text/json", "X-Own": "é"}))
    assert lines[1:-1] == [
        b"Host: other",
        b"User-Agent: mine",
        b"Accept-Encoding: identity",
        b"content-type: text/json",
        b"X-Own: \xe9",
        b"Authorization: Bearer secret-key",
    ]


def test_each_address_is_a_site_of_its_own() -> None:
    compiled = provider("http://a", base_urls=[ProviderAddress("http://b/v1"), ProviderAddress("http://a")])
    assert [site.base_url for site in compiled.sites] == ["http://a", "http://b/v1"]
    assert {site.provider for site in compiled.sites} == {compiled}


# -- what may pass --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "method", "path", "allowed"),
    [
        (["GET /files"], "GET", "files", True),
        (["GET /files"], "GET", "files/1/content", True),
        (["GET /files/"], "GET", "files/1", True),
        (["GET /files"], "GET", "filesystem", False),
        (["GET /files"], "POST", "files", False),
        (["get /files"], "GET", "files", True),
        (["GET /files", "POST /batches"], "POST", "batches", True),
        (["GET /"], "GET", "anything", True),
        ([], "GET", "files", False),
    ],
)
def test_a_request_is_passed_through_by_its_method_and_prefix(
    rules: list[str], method: str, path: str, allowed: bool
) -> None:
    assert provider(passthrough=rules).allows(method, path) is allowed


def test_headers_are_forwarded_and_configured_by_lower_case_names() -> None:
    compiled = provider(forward_headers=["X-Trace"], headers={"X-Own": "1"})
    assert compiled.forwarded == {b"x-trace"}
    assert compiled.configured == {b"x-own"}
    assert compiled.configured_json == {b"x-own", b"content-type"}


@pytest.mark.parametrize(("headers", "via"), [({}, b"Via: 1.1 sluice\r\n"), ({"Via": "1.1 own"}, b"")])
def test_a_configured_via_replaces_ours(headers: dict[str, str], via: bytes) -> None:
    one = provider(headers=headers)
    compiled = Provider(
        "p", one.settings, state_of(one.settings), version="1", any_model=False, via=b"Via: 1.1 sluice\r\n"
    )
    assert compiled.via == via
    assert compiled.before_id == via + b"x-request-id: "


# -- secrets and dialects -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "the key secret-key is wrong"),
        ({"X-Auth-Token": "hidden-value"}, "hidden-value is wrong"),
        ({"Authorization": "Bearer hidden-value"}, "hidden-value is wrong"),
        ({"Cookie": "id=hidden-value"}, "id=hidden-value is wrong"),
    ],
)
def test_our_credentials_are_removed_from_what_the_provider_sends(headers: dict[str, str], text: str) -> None:
    redacted = provider(headers=headers).redact(text)
    assert "***" in redacted
    assert "secret-key" not in redacted
    assert "hidden-value" not in redacted


def test_a_header_that_is_no_credential_is_not_removed() -> None:
    assert provider(headers={"X-Title": "my-application"}).redact("my-application") == "my-application"


def test_an_unknown_dialect_is_a_mistake_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"providers\.p\.dialect: 'morse' is not a known dialect\. Use one of .+\."):
        provider(dialect="morse")


# -- dialects -------------------------------------------------------------------------------------


def spoken(compiled: Provider) -> dict[str, str]:
    return {wire: site.base_url for wire, site in compiled.sites[0].speaking.items()}


@pytest.mark.parametrize(
    ("kind", "wires"),
    [
        ("openai", ["chat", "responses"]),
        ("azure", ["chat", "responses"]),
        ("anthropic", ["messages"]),
        ("gemini", ["gemini"]),
    ],
)
def test_a_provider_speaks_the_dialects_of_its_kind_at_its_base_url(kind: str, wires: list[str]) -> None:
    compiled = provider(kind=kind)
    assert compiled.sites[0].speaking == dict.fromkeys(wires, compiled.sites[0])


def test_a_configured_dialect_may_have_an_address_of_its_own() -> None:
    dialects = Dialects(messages=DialectSettings(base_url="https://other.example/anthropic/v1"))
    compiled = provider("https://host.example/v1", dialects=dialects)
    assert spoken(compiled) == {
        "chat": "https://host.example/v1",
        "responses": "https://host.example/v1",
        "messages": "https://other.example/anthropic/v1",
    }
    head = compiled.sites[0].speaking["messages"].call_head("messages", key_of(compiled))
    assert head.startswith(b"POST /anthropic/v1/messages HTTP/1.1\r\nHost: other.example\r\n")
    assert b"\r\nAuthorization: Bearer secret-key\r\n" in head  # what is compatible takes a bearer token


def test_a_dialect_may_take_the_key_in_another_header() -> None:
    compiled = provider(dialects=Dialects(messages=DialectSettings(credential="x-api-key")))
    assert compiled.sites[0].speaking["messages"].key_line(key_of(compiled)) == b"x-api-key: secret-key\r\n"
    assert compiled.sites[0].key_line(key_of(compiled)) == b"Authorization: Bearer secret-key\r\n"


def test_a_dialect_may_be_switched_off() -> None:
    compiled = provider(dialects=Dialects(responses=DialectSettings(enabled=False)))
    assert list(compiled.sites[0].speaking) == ["chat"]


def test_each_address_speaks_a_dialect_without_an_address_of_its_own() -> None:
    compiled = provider(
        "",
        base_urls=[ProviderAddress("http://a/v1"), ProviderAddress("http://b/v1")],
        dialects=Dialects(messages=DialectSettings()),
    )
    assert [site.speaking["messages"].base_url for site in compiled.sites] == ["http://a/v1", "http://b/v1"]


def test_a_repr_shows_no_key() -> None:
    compiled = provider()
    assert f"{compiled!r} {compiled.sites[0]!r}" == "<Provider p> <Site https://host.example/v1 of p>"
