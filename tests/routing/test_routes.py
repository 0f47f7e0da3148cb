"""Routing of request lines to routes or client errors."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.config.provider_schema import WireDialect
from proxy.errors import ClientFault
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import (
    ANTHROPIC_MODELS,
    ANTHROPIC_UNROUTED,
    ENDPOINTS,
    GEMINI_MODELS,
    GEMINI_UNROUTED,
    OPAQUE,
    UNROUTED,
    Endpoint,
)
from proxy.routing.live import Registry
from proxy.routing.routes import LONGEST_KEPT, MODELS, MOST_KEPT, Route, Routes, check_path, client_of
from tests.support.gateway import to_config

ROUTES = Routes(("/v1", "/api/v1"))
CLIENT_PATHS = [endpoint.alias or endpoint.path for endpoint in ENDPOINTS if not endpoint.in_path]
METHODS = [endpoint.path for endpoint in ENDPOINTS if endpoint.in_path]


def catalog(passthrough: list[str] | None = None, **sections: Any) -> Catalog:
    provider = {"baseUrl": "http://127.0.0.1:1/v1", "passthrough": passthrough or []}
    config = to_config({"providers": {"up": provider, "other": {"baseUrl": "http://127.0.0.1:2"}}} | sections)
    return Catalog(config, Registry.of(config.circuit_breaker), version="1", created=0)


PLAIN = catalog()
DEFAULT = catalog(defaultProvider="up")
LISTED = catalog(["GET /files", "DELETE /files", "POST /v2/rerank", "GET /a%2Fb"])


def refusal(method: str, path: str, known: Catalog = PLAIN, routes: Routes = ROUTES) -> tuple[int, str | None]:
    with pytest.raises(ClientFault) as caught:
        routes.find(method, path, known)
    return caught.value.status, caught.value.code


# -- Google's API -----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/v1beta/", "/v1alpha/", "/v1/", "/api/v1/"])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_a_model_is_found_with_the_models_name(base: str, method: str) -> None:
    route = ROUTES.find("POST", f"{base}models/gemini-2.5-flash:{method}", PLAIN)
    assert (route.endpoint.path, route.path, route.model, route.pinned) == (method, method, "gemini-2.5-flash", None)
    assert route.endpoint.force_stream == method.startswith("stream")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("models/up/some-model:countTokens", "up/some-model"),
        ("models/up%2Fsome%3Amodel:countTokens", "up/some:model"),
        ("models/with:colon:countTokens", "with:colon"),
        ("tunedModels/mine:countTokens", "tunedModels/mine"),
        ("models/auto:countTokens/", "auto"),
    ],
)
def test_the_name_in_the_path_may_be_any_name(path: str, model: str) -> None:
    assert ROUTES.find("POST", f"/v1beta/{path}", PLAIN).model == model


def test_a_method_of_a_model_is_found_with_its_provider_pinned() -> None:
    route = ROUTES.find("POST", "/proxy/up/models/m:generateContent", PLAIN)
    assert (route.endpoint.path, route.model, route.pinned) == ("generateContent", "m", PLAIN.providers["up"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_googles_list_of_models_is_found(method: str) -> None:
    assert ROUTES.find(method, "/v1beta/models", PLAIN) == Route(GEMINI_MODELS, "")
    assert ROUTES.find(method, "/v1beta/models/a%2Fb", PLAIN) == Route(GEMINI_MODELS, "a/b")


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v1beta/models/m:generateContent", (405, "method_not_allowed")),
        ("POST", "/v1beta/models", (405, "method_not_allowed")),
        ("POST", "/v1beta/models/m:batchGenerateContent", (404, "not_supported")),
        ("POST", "/v1beta/interactions", (404, "not_supported")),
        ("GET", "/v1beta/files", (404, "not_supported")),
        ("GET", "/v1beta/operations/o1", (404, "unknown_path")),
        ("POST", "/v1beta/models/../x:generateContent", (400, "bad_path")),
    ],
)
def test_another_path_of_googles_api_is_refused(method: str, path: str, found: tuple[int, str | None]) -> None:
    assert refusal(method, path) == found


@pytest.mark.parametrize(
    ("path", "client", "found"),
    [
        ("/v1beta/interactions", "chat", GEMINI_UNROUTED),
        ("/v1/messages/batches", "chat", ANTHROPIC_UNROUTED),
        ("/v1/nothing", "messages", ANTHROPIC_UNROUTED),
        ("/v1/nothing", "chat", UNROUTED),
        ("/v1/models", "messages", ANTHROPIC_MODELS),
        ("/v1/models", "chat", MODELS),
        ("/v1/models", "gemini", GEMINI_MODELS),
        ("/v1/nothing", "gemini", GEMINI_UNROUTED),
    ],
)
def test_a_refused_request_gets_the_dialect_of_its_client(path: str, client: WireDialect, found: Endpoint) -> None:
    assert ROUTES.endpoint_of("GET", path, PLAIN, client) is found


def test_claude_in_foundry_has_its_own_base_path() -> None:
    assert ROUTES.find("POST", "/anthropic/v1/messages", PLAIN).endpoint.path == "messages"


# -- routes that are kept -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1beta/models/m:generateContent", "/openai/deployments/m/chat/completions"])
def test_a_route_with_a_models_name_is_kept(path: str) -> None:
    routes = Routes(("/v1",))
    route = routes.find("POST", path, PLAIN)
    assert routes.find("POST", path, DEFAULT) is route
    assert routes.find("POST", path.replace("/m:", "/n:").replace("/m/", "/n/"), PLAIN).model == "n"
    assert refusal("GET", path, PLAIN, routes) == (405, "method_not_allowed")


def test_a_pinned_route_is_found_in_the_catalog_of_each_request() -> None:
    newer = catalog()
    path = "/proxy/up/models/m:generateContent"
    for known in (PLAIN, newer, PLAIN):
        assert ROUTES.find("POST", path, known).pinned is known.providers["up"]


def test_few_routes_are_kept_and_none_with_a_long_path() -> None:
    routes = Routes(("/v1",))
    first = routes.find("POST", "/v1beta/models/first:countTokens", PLAIN)
    for number in range(MOST_KEPT):
        routes.find("POST", f"/v1beta/models/m{number}:countTokens", PLAIN)
    again = routes.find("POST", "/v1beta/models/first:countTokens", PLAIN)
    assert again == first
    assert again is not first
    path = f"/v1beta/models/{'m' * LONGEST_KEPT}:countTokens"
    assert routes.find("POST", path, PLAIN) is not routes.find("POST", path, PLAIN)


def test_a_refused_path_is_refused_again() -> None:
    for _ in range(2):
        assert refusal("POST", "/v1beta/models/../x:generateContent") == (400, "bad_path")


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"anthropic-version": "2023-06-01"}, "messages"),
        ({"x-goog-api-client": "google-genai-sdk/3.6"}, "gemini"),
        ({"x-goog-api-key": "k"}, "gemini"),
        ({"x-api-key": "k"}, "chat"),
        ({}, "chat"),
    ],
)
def test_the_headers_of_a_client_tell_its_api(headers: dict[str, str], client: WireDialect) -> None:
    assert client_of(CIMultiDict(headers)) == client


def test_a_passthrough_wins_over_an_endpoint_that_its_provider_does_not_speak() -> None:
    known = catalog(["POST /messages", "POST /chat"])
    assert ROUTES.find("POST", "/proxy/up/messages", known).endpoint is OPAQUE
    assert ROUTES.find("POST", "/proxy/up/chat/completions", known).endpoint in ENDPOINTS


# -- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/v1/", "/api/v1/"])
@pytest.mark.parametrize("name", CLIENT_PATHS)
def test_every_endpoint_is_found_under_both_base_paths(base: str, name: str) -> None:
    for known in (PLAIN, DEFAULT):
        route = ROUTES.find("POST", base + name, known)
        assert route.endpoint in ENDPOINTS
        assert route.pinned is None
        assert route.path == route.endpoint.path
        assert route.endpoint.force_stream == name.endswith("/stream")


@pytest.mark.parametrize("name", CLIENT_PATHS)
def test_every_endpoint_is_found_with_its_provider_pinned(name: str) -> None:
    route = ROUTES.find("POST", f"/proxy/up/{name}", PLAIN)
    assert route.endpoint in ENDPOINTS
    assert route.pinned is PLAIN.providers["up"]


def test_the_forced_stream_uses_the_plain_path_upstream() -> None:
    assert ROUTES.find("POST", "/v1/chat/completions/stream", PLAIN).path == "chat/completions"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/v1/chat/completions", "/proxy/up/responses"])
def test_another_method_is_a_405_with_allow(method: str, path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        ROUTES.find(method, path, PLAIN)
    assert (caught.value.status, caught.value.allow) == (405, "POST")


@pytest.mark.parametrize(
    ("bases", "path"),
    [
        (("/v1", "/llm"), "/llm/chat/completions"),
        (("/v1", "/llm/"), "/llm/chat/completions"),
        (("/v1", "/llm"), "/v1/chat/completions"),
        (("/v1", "/a/b"), "/a/b/chat/completions"),
        (("/v1", "/v1"), "/v1/chat/completions"),
        (("/v1", "/"), "/chat/completions"),
    ],
)
def test_the_base_path_is_configurable(bases: tuple[str, str], path: str) -> None:
    assert Routes(bases).find("POST", path, PLAIN).path == "chat/completions"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/models",
        "/chat/completions",
        "/api/chat/completions",
        "/v1x/models",
        "/V1/models",
        "/proxy",
        "/proxyup/models",
    ],
)
def test_a_path_under_no_base_path_is_a_404(path: str) -> None:
    for known in (PLAIN, DEFAULT):
        assert refusal("POST", path, known) == (404, "unknown_path")


# -- models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models", ""),
        ("models/", ""),
        ("models/gpt", "gpt"),
        ("models/deepseek/deepseek-r1:free", "deepseek/deepseek-r1:free"),
        ("models/deepseek%2Fdeepseek-r1%3Afree", "deepseek/deepseek-r1:free"),
        ("models/caf%C3%A9", "café"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("known", [PLAIN, DEFAULT])
def test_the_model_list_is_never_relayed(method: str, path: str, name: str, known: Catalog) -> None:
    route = ROUTES.find(method, f"/v1/{path}", known)
    assert (route.endpoint, route.path, route.pinned) == (MODELS, name, None)


def test_models_accept_no_other_method() -> None:
    for known in (PLAIN, DEFAULT):
        with pytest.raises(ClientFault) as caught:
            ROUTES.find("POST", "/v1/models", known)
        assert (caught.value.status, caught.value.allow) == (405, "GET, HEAD")


def test_deleting_a_model_is_relayed_to_the_default_provider() -> None:
    assert refusal("DELETE", "/v1/models/ft:gpt") == (404, "stateful_path")
    assert ROUTES.find("DELETE", "/v1/models/ft:gpt", DEFAULT).endpoint is OPAQUE


# -- state ----------------------------------------------------------------------------------------

STATEFUL = [
    ("GET", "files"),
    ("POST", "files"),
    ("DELETE", "files/abc"),
    ("GET", "chat/completions/abc"),
    ("GET", "chat/completions/abc/messages"),
    ("GET", "responses/abc"),
    ("POST", "responses/abc/cancel"),
    ("POST", "vector_stores/abc/search"),
    ("POST", "images/variations"),
    ("POST", "realtime/calls"),
]


@pytest.mark.parametrize(("method", "path"), STATEFUL)
def test_stateful_paths_are_relayed_to_the_default_provider(method: str, path: str) -> None:
    assert ROUTES.find(method, f"/v1/{path}", DEFAULT) == Route(OPAQUE, path, DEFAULT.providers["up"])


@pytest.mark.parametrize(("method", "path"), STATEFUL)
def test_stateful_paths_without_a_default_provider_are_a_404(method: str, path: str) -> None:
    with pytest.raises(ClientFault, match="defaultProvider") as caught:
        ROUTES.find(method, f"/v1/{path}", PLAIN)
    assert caught.value.status == 404


def test_a_stored_completion_is_listed_at_the_default_provider() -> None:
    assert ROUTES.find("GET", "/v1/chat/completions", DEFAULT).endpoint is OPAQUE


@pytest.mark.parametrize(
    "path",
    ["nothing", "filesystem", "Files", "chat", "chat/", "chat/nothing", "audio", "audio/nothing", "images", "model",
     "embeddings/abc", "completions/abc", "chat%2Fcompletions", "%66iles", "chat/completions%2Fabc"],
)  # fmt: skip
def test_unknown_paths_are_a_404_with_a_default_provider_too(path: str) -> None:
    for known in (PLAIN, DEFAULT):
        assert refusal("GET", f"/v1/{path}", known) == (404, "unknown_path")


@pytest.mark.parametrize("name", CLIENT_PATHS)
def test_a_trailing_slash_does_not_bypass_checks(name: str) -> None:
    """The default provider may serve it with any model in the body."""
    for known in (PLAIN, DEFAULT, EVERYTHING):
        for start in ("/v1/", "/api/v1/", "/proxy/up/"):
            if known is EVERYTHING and start == "/proxy/up/" and name.startswith("messages"):
                continue  # the provider does not speak it: a passthrough, whose path is untouched
            assert ROUTES.find("POST", f"{start}{name}/", known) == ROUTES.find("POST", f"{start}{name}", known)
        assert ROUTES.find("POST", f"/v1/{name}/", known).endpoint in ENDPOINTS


def test_a_trailing_slash_is_ignored() -> None:
    for method, path in (("GET", "models"), ("GET", "files"), ("GET", "responses/abc"), ("DELETE", "files/abc")):
        assert ROUTES.find(method, f"/v1/{path}/", DEFAULT) == ROUTES.find(method, f"/v1/{path}", DEFAULT)
    assert refusal("GET", "/v1/embeddings/") == (405, "method_not_allowed")
    assert refusal("GET", "/v1/organization/") == (403, "forbidden_path")


def message(path: str, method: str = "POST") -> str:
    with pytest.raises(ClientFault) as caught:
        ROUTES.find(method, path, PLAIN)
    return caught.value.message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1//chat/completions", "two consecutive slashes"),
        ("/v1/v1/chat/completions", "contains /v1 twice"),
        ("/v1/api/v1/models", "contains /api/v1 twice"),
        ("/api/v1/v1/chat/completions", "contains /v1 twice"),
        ("/v1/v1", "contains /v1 twice"),
        ("/v1/chat/completions/chat/completions", "after the endpoint chat/completions"),
        ("/v1/chat/completions/v1/chat/completions", "base URL of your client to end with /v1, without an endpoint"),
        ("/api/v1/chat/completions/models", "base URL of your client to end with /api/v1, without an endpoint"),
        ("/v1/responses/responses/", "after the endpoint responses"),
        ("/v1/embeddings/embeddings", "after the endpoint embeddings"),
        ("/v1/chat/completions/chatcmpl-1", "objects that one provider keeps"),
        ("/v1/responses/resp_1/cancel", "objects that one provider keeps"),
        ("/v1", "base path of the API. Append an endpoint, for example /v1/chat/completions."),
        ("/api/v1/", "base path of the API. Append an endpoint, for example /api/v1/chat/completions."),
        ("/v1/../models", 'a segment "." or ".."'),
        ("/v1/v2/models", "The API has no such path"),
        ("/chat/completions", "The API is under /v1/"),
    ],
)
def test_the_error_for_an_unknown_path_names_the_mistake(path: str, text: str) -> None:
    assert text in message(path)


@pytest.mark.parametrize("path", ["images/variations", "responses/compact", "realtime/client_secrets"])
def test_a_stateless_unsupported_endpoint_is_not_supported(path: str) -> None:
    assert refusal("POST", f"/v1/{path}") == (404, "not_supported")
    assert "not support" in message(f"/v1/{path}")
    assert "state" not in message(f"/v1/{path}")
    assert ROUTES.find("POST", f"/v1/{path}", DEFAULT).endpoint is OPAQUE


@pytest.mark.parametrize("path", ["organization", "organization/users", "projects", "projects/abc/users/def/roles"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("base", ["/v1/", "/api/v1/"])
def test_account_administration_is_a_403(base: str, method: str, path: str) -> None:
    for known in (PLAIN, DEFAULT):
        assert refusal(method, base + path, known) == (403, "forbidden_path")


@pytest.mark.parametrize("path", ["%6frganization/users", "Organization/users", "organization%2Fusers", "project%73"])
def test_other_spellings_of_forbidden_paths_are_rejected(path: str) -> None:
    for known in (PLAIN, DEFAULT):
        assert refusal("GET", f"/v1/{path}", known)[0] in (403, 404)


# -- passthrough ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "files"),
        ("GET", "files/"),
        ("GET", "files/abc/content"),
        ("DELETE", "files/abc"),
        ("POST", "v2/rerank"),
        ("POST", "v2/rerank/x"),
        ("GET", "a%2Fb"),
        ("GET", "files/caf%C3%A9"),
    ],
)
def test_passthrough_relays_what_it_lists(method: str, path: str) -> None:
    assert ROUTES.find(method, f"/proxy/up/{path}", LISTED) == Route(OPAQUE, path, LISTED.providers["up"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "files"),
        ("HEAD", "files"),
        ("get", "files"),
        ("GET", "filesystem"),
        ("GET", "Files"),
        ("GET", "fil"),
        ("GET", "v1/files"),
        ("GET", "v2/rerank"),
        ("GET", "a/b"),
        ("GET", "a%2fb"),
        ("GET", "%66iles"),
        ("GET", "files%2Fabc"),
        ("GET", "files%3Fx"),
        ("GET", ""),
        ("GET", "organization/users"),
        ("GET", "models"),
    ],
)
def test_passthrough_relays_nothing_else(method: str, path: str) -> None:
    assert refusal(method, f"/proxy/up/{path}", LISTED) == (404, "unknown_path")


def test_passthrough_belongs_to_its_provider() -> None:
    assert refusal("GET", "/proxy/other/files", LISTED) == (404, "unknown_path")


def test_a_slash_allows_all_paths_of_a_method() -> None:
    for path in ("files", "a/b/c", ""):
        assert ROUTES.find("GET", f"/proxy/up/{path}", EVERYTHING).endpoint is OPAQUE
    assert refusal("DELETE", "/proxy/up/files", EVERYTHING) == (404, "unknown_path")


def test_an_endpoint_takes_precedence_over_passthrough() -> None:
    assert ROUTES.find("POST", "/proxy/up/chat/completions", EVERYTHING).endpoint in ENDPOINTS
    assert ROUTES.find("GET", "/proxy/up/chat/completions", EVERYTHING).endpoint is OPAQUE


@pytest.mark.parametrize(
    "path", ["/proxy/", "/proxy/nobody/files", "/proxy/nobody", "/proxy/UP/files", "/proxy/u%70/files"]
)
def test_a_provider_that_does_not_exist_is_a_404(path: str) -> None:
    assert refusal("GET", path, LISTED) == (404, "unknown_provider")


# -- paths that two readers could resolve differently ---------------------------------------------

BAD = [
    "..", ".", "../models", "a/../b", "a/./b", "a/..", "./a", "files/../organization/users",
    "%2e%2e/a", "a/%2E%2e/b", ".%2e/a", "%2e./a", "a/%2e/b", "a%2f..%2fb", "a%2F%2E%2E",
    "%252e%252e/a", "a%252f..%252fb", "..;/a", "a/..;x=y/b", ".;/a", "%2e%2e%3b/a",
    "a//b", "/a", "a/%2fb", "a%2f/b", "a%2f%2fb", "a/%252fb",
    "a\\b", "..\\a", "a%5cb", "a%5Cb", "%5c%5ca", "a%255cb",
    "%25252e%25252e/a", "a%25252f..", "%2525252e", "%c0%ae%c0%ae/a", "a/%e0%80%ae%e0%80%ae", "%c0%af..", "a%c0%afb", "%fe",
    "%ef%bc%8e%ef%bc%8e/a", "a/%e2%80%a5/b", "%ef%bc%8f", "%u002e%u002e/a", "a%", "a%2", "a%zz", "a%252zb#",
    "a%00b", "a%0ab", "a%0d%0aX: y", "a%09b", "a%7fb", "a%250ab", "a\tb", "a#b", "é", "\x85",
]  # fmt: skip


EVERYTHING = catalog(["GET /", "POST /"])


@pytest.mark.parametrize("path", BAD)
def test_dot_segments_backslashes_double_slashes_and_their_escapes_are_a_400(path: str) -> None:
    for prefix in ("/v1/", "/v1/files/", "/api/v1/", "/proxy/up/", "/proxy/up/files/", "/"):
        for method in ("GET", "POST"):
            for known in (PLAIN, DEFAULT, EVERYTHING):
                assert refusal(method, prefix + path, known) == (400, "bad_path")


@pytest.mark.parametrize("target", ["*", "", "http://127.0.0.1/v1/models", "example.com:443", "v1/models"])
def test_only_origin_form_is_accepted(target: str) -> None:
    assert refusal("GET", target) == (400, "bad_path")


@pytest.mark.parametrize(
    "path", ["a.b", "a..b", "...", "a/...", "..a", "a..", ".well-known", "a%2eb", "%25", "a%20b", "a;b", "a:b@c"]
)
def test_dots_within_segments_are_allowed(path: str) -> None:
    check_path(f"/v1/{path}")
    check_path(f"/v1/{path}/c")


def normal(path: str) -> bool:
    """Check that a relayed path has no segments to resolve."""
    return not any(part in (".", "..", "") for part in path[1:].split("/")[:-1]) and path.rpartition("/")[2] not in (
        ".",
        "..",
    )


@given(st.lists(st.sampled_from(["a", ".", "..", "/", "\\", ";", "%"]), max_size=12).map("".join), st.booleans())
@settings(deadline=None)
def test_accepted_paths_have_no_segments_to_resolve(text: str, escape: bool) -> None:
    path = "/" + (quote(text, safe="") if escape else text)
    try:
        check_path(path)
    except ClientFault:
        return
    assert normal("/" + text if escape else path)
    assert "\\" not in text
