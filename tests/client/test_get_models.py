"""Lists of models as each kind of provider has them, from real servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.client.get_models import MOST_NAMES, MOST_PAGES, ListRefused, ModelsRequest
from proxy.config.provider_schema import Dialects, DialectSettings
from proxy.providers.model_list import NotAList
from proxy.routing.unlisted import LONGEST_UNLISTED
from tests.control.health.rig import no_tls
from tests.providers.compiled import key_of, provider
from tests.support import Upstream, json_answer
from tests.support.upstream import Request


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


async def listed(base_url: str, **settings: Any) -> list[str]:
    compiled = provider(base_url, **settings)
    request = ModelsRequest(no_tls, {})
    async with request.session(10.0) as session:
        return await request.names(session, compiled.sites[0], key_of(compiled))


def anthropics(request: Request) -> Any:
    """Anthropic's list with pages of two, which refuses what Anthropic refuses."""
    if request.header("x-api-key") != "secret-key":
        return json_answer({"type": "error", "error": {"type": "authentication_error"}}, 401)
    if request.header("anthropic-version") is None:
        return json_answer({"type": "error", "error": {"type": "invalid_request_error"}}, 400)
    names = ["claude-a", "claude-b", "claude-c", "claude-d", "claude-é"]
    query = parse_qs(urlsplit(request.target).query)
    begin = names.index(query["after_id"][0]) + 1 if "after_id" in query else 0
    page = names[begin : begin + min(2, int(query["limit"][0]))]
    data = [{"type": "model", "id": name, "display_name": name} for name in page]
    more = page[-1] != names[-1]
    return json_answer({"data": data, "has_more": more, "first_id": page[0], "last_id": page[-1]})


def geminis(request: Request) -> Any:
    """Google's list: three pages, one of them empty."""
    if request.header("x-goog-api-key") != "secret-key":
        return json_answer({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, 403)
    query = parse_qs(urlsplit(request.target).query)
    assert query["pageSize"] == ["1000"]
    match query.get("pageToken"):
        case None:
            methods = {"flash": ["generateContent"], "veo": ["predictLongRunning"], "embed": ["embedContent"]}
            models = [{"name": f"models/{name}", "supportedGenerationMethods": each} for name, each in methods.items()]
            return json_answer({"models": models, "nextPageToken": "a/b="})
        case ["a/b="]:
            return json_answer({"models": [], "nextPageToken": "c"})
        case _:
            return json_answer({"models": [{"name": "models/new"}]})


async def test_anthropics_pages_are_read_with_key_and_version(up: Upstream) -> None:
    up.on(anthropics)
    found = await listed(f"{up.origin}/v1", kind="anthropic")
    assert found == ["claude-a", "claude-b", "claude-c", "claude-d", "claude-é"]
    assert [request.target for request in up.requests] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=claude-b",
        "/v1/models?limit=1000&after_id=claude-d",
    ]


async def test_a_configured_version_is_sent_instead(up: Upstream) -> None:
    up.on(anthropics)
    await listed(f"{up.origin}/v1", kind="anthropic", headers={"Anthropic-Version": "2026-10-21"})
    assert up.requests[0].header("anthropic-version") == "2026-10-21"


async def test_googles_names_come_without_the_collection_and_only_if_they_are_served(up: Upstream) -> None:
    up.on(geminis)
    assert await listed(f"{up.origin}/v1beta", kind="gemini") == ["flash", "embed", "new"]
    assert up.requests[1].target == "/v1beta/models?pageSize=1000&pageToken=a%2Fb%3D"


async def test_a_list_is_requested_at_the_address_of_the_kinds_own_dialect(up: Upstream) -> None:
    up.on(geminis)
    dialects = Dialects(
        chat=DialectSettings(base_url=f"{up.origin}/v1beta/openai"), gemini=DialectSettings(base_url=f"{up.origin}/own")
    )
    await listed("http://127.0.0.1:1/v1beta", kind="gemini", dialects=dialects)
    assert up.requests[0].target == "/own/models?pageSize=1000"


async def test_an_openai_list_has_one_page(up: Upstream) -> None:
    up.on(lambda request: json_answer({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}))
    assert await listed(f"{up.origin}/v1") == ["a"]
    [request] = up.requests
    assert (request.target, request.header("anthropic-version")) == ("/v1/models", None)


async def test_a_parameter_of_the_base_url_replaces_the_lists(up: Upstream) -> None:
    up.on(lambda request: json_answer({"models": []}))
    await listed(f"{up.origin}/v1beta?pageSize=300", kind="gemini")
    assert up.requests[0].target == "/v1beta/models?pageSize=300"


@pytest.mark.parametrize("last", ["a", "again"])
async def test_pages_without_end_are_not_followed_for_ever(up: Upstream, last: str) -> None:
    turn = iter(range(1000))
    up.on(
        lambda request: json_answer(
            {"data": [{"id": "a"}], "has_more": True, "last_id": last if last == "a" else f"{last}{next(turn)}"}
        )
    )
    await listed(f"{up.origin}/v1", kind="anthropic")
    assert len(up.requests) == (2 if last == "a" else MOST_PAGES)


async def test_names_that_no_request_can_have_are_left_out_and_their_number_is_bounded(up: Upstream) -> None:
    names = ["", " ", "x\ny", "x" * (LONGEST_UNLISTED + 1), *(f"m{number}" for number in range(MOST_NAMES + 1))]
    up.on(lambda request: json_answer({"data": [{"id": name} for name in names]}))
    found = await listed(f"{up.origin}/v1")
    assert (len(found), found[0]) == (MOST_NAMES, "m0")


async def test_a_refusal_has_its_status_and_body(up: Upstream) -> None:
    up.on(anthropics)
    with pytest.raises(ListRefused) as caught:
        await listed(f"{up.origin}/v1", kind="anthropic", api_key="wrong")
    assert caught.value.status == 401
    assert json.loads(caught.value.body)["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
async def test_another_document_is_no_list(up: Upstream, kind: str) -> None:
    up.on(lambda request: json_answer({"object": "error"}))
    with pytest.raises(NotAList, match="answers with no list of models"):
        await listed(f"{up.origin}/v1", kind=kind)
