from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.own_paths import (
    AZURE_DEPLOYMENTS,
    CONTROL_PAGES,
    CONTROL_PATHS,
    CONTROL_PREFIXES,
    ENDPOINT_PATHS,
    FORBIDDEN,
    GEMINI_BASES,
    PINNED,
    STATEFUL,
    OwnPaths,
    bases_of,
)
from proxy.errors import ClientFault
from proxy.routing.endpoints import ENDPOINTS
from tests.routing.test_routes import DEFAULT, ROUTES
from tests.support.gateway import ROOT, Gateway

OWN = OwnPaths("/api/v1")
BASES = ("/v1", "/api/v1", "/openai/v1", "/openai", "/anthropic/v1")


def test_every_endpoint_is_owned_below_every_base_path() -> None:
    assert {each.alias or each.path for each in ENDPOINTS if not each.in_path} == {*ENDPOINT_PATHS}
    for path in ENDPOINT_PATHS:
        for base in BASES:
            assert OWN.owns(f"{base}/{path}")
            assert OWN.owns(f"{base}/{path}/")


def test_what_is_relayed_or_refused_is_owned_too() -> None:
    for first in (*STATEFUL, *FORBIDDEN):
        for base in BASES:
            assert OWN.owns(f"{base}/{first}")
            assert OWN.owns(f"{base}/{first}/x/y")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/models/",
        "/api/v1/models/gpt-4o",
        "/v1/responses/resp_1",
        "/v1/chat/completions/id/messages",
        "/v1/images/variations",
        "/v1/models/gemini-2.5-pro:generateContent",
        "/v1beta/models",
        "/v1beta/models/gemini-2.5-pro",
        "/v1alpha/models/gemini-2.5-pro:streamGenerateContent",
        "/v1beta/tunedModels/mine:generateContent",
        "/openai/deployments/gpt-4o/chat/completions",
        "/openai/deployments",
        "/proxy",
        "/proxy/openai/files",
        "/v1/health",
        "/api/v1/health/",
        "/admin",
        "/admin/keys",
        "/auth/keys",
        "/health/live",
        "/ready",
        "/metrics",
        "/docs",
        "/redoc/",
        "/openapi.json",
        "/services",
        "/services/backend/weight",
        "/routes/id",
    ],
)
def test_other_spellings_are_owned(path: str) -> None:
    assert OWN.owns(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "*",
        "/v1",
        "/v1/",
        "/api",
        "/api/v1",
        "/api/v1/analyze",
        "/api/v1/chat",
        "/api/v2/models",
        "/api/v1/filesystem",
        "/v1/modelsx",
        "/v1beta/corpora",
        "/openai",
        "/proxyx/a",
        "/web/v1/models",
        "/V1/models",
    ],
)
def test_anything_else_may_be_routed(path: str) -> None:
    assert not OWN.owns(path)


@pytest.mark.parametrize(
    ("path", "shadowed"),
    [
        ("/admin", "/admin"),
        ("/admin/keys/x", "/admin"),
        ("/docs/x", "/docs"),
        ("/analytics/x/y", "/analytics/"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/id", "/v1/chat/completions"),
        ("/v1/models/gpt-4o", "/v1/models"),
        ("/api/v1/files/f/content", "/api/v1/files"),
        ("/openai/deployments/d/embeddings", "/openai/deployments"),
        ("/v1beta/tunedModels/mine:generateContent", "/v1beta/tunedModels/mine:generateContent"),
        ("/proxy/up/x", "/proxy"),
        *((path, "") for path in ("", "/", "/v1", "/api", "/api/v1/analyze", "/analytics")),
    ],
)
def test_the_own_path_that_a_route_would_take_is_named(path: str, shadowed: str) -> None:
    assert OWN.shadowed(path) == shadowed


def test_the_table_of_own_paths_in_the_readme_is_complete() -> None:
    readme = (ROOT / "proxy/services/README.md").read_text()
    named = set(re.findall(r"`(/[^`]*)`", readme.partition("| own paths |")[2].partition("\n\n")[0]))
    bases = {base.rstrip("/") for base in bases_of(("/v1", "/api/v1"))}
    below = {prefix + "..." for prefix in (*CONTROL_PREFIXES, PINNED)}
    expected = bases | {*CONTROL_PATHS, *CONTROL_PAGES} | {GEMINI_BASES[0] + "models", GEMINI_BASES[1] + "models"}
    expected |= {AZURE_DEPLOYMENTS.rstrip("/"), *below} - {f"{path}/..." for path in {*CONTROL_PATHS, "/docs"}}
    assert named == expected


PIECES = ("v1", "api", "openai", "anthropic", "v1beta", "deployments", "models", "m:generateContent", "files", "gpt-4o")
PIECE = st.sampled_from((*PIECES, "proxy", "up", "chat", "completions", "responses", "tunedModels", "embeddings", "x"))


@given(st.lists(PIECE, min_size=1, max_size=6), st.sampled_from(("GET", "POST", "DELETE")), st.sampled_from(("", "/")))
def test_what_the_api_serves_is_owned(pieces: list[str], method: str, end: str) -> None:
    path = "/" + "/".join(pieces) + end
    try:
        ROUTES.find(method, path, DEFAULT)
    except ClientFault:
        return
    assert OWN.owns(path)


async def test_every_page_of_the_control_plane_is_owned_except_the_first() -> None:
    async with Gateway({"providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}}) as gw:
        pages = {path.rstrip("/") for path in gw.app.plane.router.exact if path != "/"}
        assert {path for path in pages if not OWN.owns(path)} == set()
