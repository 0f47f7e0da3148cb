"""Every path of the OpenAI API, pinned providers, and passthrough."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.config.own_paths import UNSUPPORTED
from proxy.routing.endpoints import ENDPOINTS, Endpoint
from tests.support import Answer, Chunk, Headers, LastChunk, Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.recorded import SHARED
from tests.support.upstream import Request

PATHS = SHARED / "openai" / "paths.txt"
NO_PATHS = pytest.mark.skipif(not PATHS.exists(), reason=f"no list of paths at {PATHS} (set SLUICE_SHARED)")
FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
KINDS = {"json": "application/json", "multipart": "multipart/form-data; boundary=b"}
BODIES = {"json": b'{"model":"m","messages":[]}', "multipart": FORM}
STATE = b'{"id":"abc"}'
OPENAI = [endpoint for endpoint in ENDPOINTS if endpoint.wire in ("chat", "responses")]
TABLE = {endpoint.alias or endpoint.path: endpoint for endpoint in OPENAI}


def openai_paths() -> list[tuple[str, str]]:
    """(method, path below /v1) with every placeholder filled in."""
    if not PATHS.exists():
        return []
    found = []
    for line in PATHS.read_text().splitlines():
        methods, path = line.split()
        found += [(method, re.sub(r"{\w+}", "abc-123", path)[1:]) for method in methods.split(",")]
    return found


def answer_by_path(request: Request) -> Any:
    return json_answer(completion() if request.target.endswith("completions") else {"object": "thing"})


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(answer_by_path)
        yield up


async def ask(gw: Gateway, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> Answer:
    client = await gw.client()
    headers = [("Content-Type", kind)] if body else []
    answer = await client.fetch(method, target, headers=headers, body=body or None)
    client.close()
    return answer


async def ask_path(gw: Gateway, method: str, path: str) -> Answer:
    endpoint = TABLE.get(path.partition("?")[0])
    if endpoint is not None and method == "POST":
        return await ask(gw, method, f"/v1/{path}", BODIES[endpoint.body], KINDS[endpoint.body])
    return await ask(gw, method, f"/v1/{path}", STATE if method == "POST" else b"")


# -- the whole API --------------------------------------------------------------------------------


@NO_PATHS
async def test_every_openai_path_is_relayed_or_rejected_with_a_default_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up, defaultProvider="up")) as gw:
        for method, path in openai_paths():
            before = len(up.requests)
            answer = await ask_path(gw, method, path)
            first = path.partition("/")[0]
            if first in ("organization", "projects"):
                assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden_path"), path
                assert len(up.requests) == before
            elif method == "GET" and first == "models":
                assert answer.status == (200 if path == "models" else 404), path
                assert len(up.requests) == before
            else:
                assert answer.status == 200, (method, path, answer.body)
                assert len(up.requests) == before + 1
                request = up.requests[-1]
                assert (request.method, request.target) == (method, f"/v1/{path}")
                assert request.header("authorization") == "Bearer secret-key"


@NO_PATHS
async def test_every_openai_path_is_relayed_or_rejected_without_a_default_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        for method, path in openai_paths():
            before = len(up.requests)
            answer = await ask_path(gw, method, path)
            first, name = path.partition("/")[0], path.partition("?")[0]
            if name in TABLE and method == "POST":
                assert answer.status == 200, path
                assert up.requests[before].target == f"/v1/{path}"
                continue
            assert len(up.requests) == before
            if first in ("organization", "projects"):
                assert answer.status == 403
            elif (method, path) == ("GET", "models"):
                assert answer.status == 200
            elif name in TABLE:
                assert (answer.status, answer.header("allow")) == (405, "POST"), (method, path)
            elif method == "GET" and first == "models":
                assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
            else:
                code = "not_supported" if name in UNSUPPORTED or first in UNSUPPORTED else "stateful_path"
                assert (answer.status, answer.json["error"]["code"]) == (404, code), (method, path)
                assert "defaultProvider" in answer.json["error"]["message"]


@NO_PATHS
def test_the_table_has_only_paths_of_openai() -> None:
    known = {path for method, path in openai_paths() if method == "POST"}
    assert {endpoint.path for endpoint in OPENAI} <= known


# -- endpoints ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/v1", "/api/v1"])
@pytest.mark.parametrize("endpoint", OPENAI, ids=lambda endpoint: endpoint.alias or endpoint.path)
async def test_every_endpoint_sends_the_model_name_of_the_provider(endpoint: Endpoint, base: str, up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        target = f"{base}/{endpoint.alias or endpoint.path}"
        answer = await ask(gw, "POST", target, BODIES[endpoint.body], KINDS[endpoint.body])
        assert answer.status == 200, answer.body
        request = await up.request()
        assert (request.method, request.target) == ("POST", f"/v1/{endpoint.path}")
        assert request.header("content-type") == KINDS[endpoint.body]
        assert b"up-model" in request.body
        assert answer.header("x-router-provider") == "up"
        assert answer.header("x-router-model") == "m"
        assert answer.header("x-router-attempts") == "1"
        assert (await gw.settled())["endpoint"] == endpoint.path


@pytest.mark.parametrize(
    ("path", "targets"),
    [
        ("api", {"/api/v1": 200, "/v1": 200, "/api": 404}),
        ("/api", {"/api/v1": 200, "/v1": 200, "/api": 404}),
        ("/llm/api", {"/llm/api/v1": 200, "/v1": 200, "/api/v1": 404}),
        ("/llm/v1", {"/llm/v1": 200, "/v1": 200, "/api/v1": 404}),
    ],
)
async def test_the_base_path_of_the_environment_is_a_prefix_of_the_version(
    up: Upstream, path: str, targets: dict[str, int]
) -> None:
    async with Gateway(one_provider(up), environ={"API_BASE_PATH": path}) as gw:
        body = BODIES["json"]
        for target, status in targets.items():
            assert (await ask(gw, "POST", f"{target}/chat/completions", body)).status == status


async def test_the_stream_path_forces_a_stream(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        for body in (b'{"model":"m","messages":[]}', b'{"model":"m","stream":false,"messages":[]}'):
            await ask(gw, "POST", "/v1/chat/completions/stream", body)
            request = await up.request()
            assert request.target == "/v1/chat/completions"
            assert request.json["stream"] is True


# -- models ---------------------------------------------------------------------------------------

LISTED = [
    {
        "name": "deepseek-r1",
        "provider": "up",
        "model": "deepseek/deepseek-r1:free",
        "type": "reasoning",
        "tags": ["code"],
    },
    {"name": "org/team/m", "provider": "up"},
]


async def test_models_are_listed_in_both_formats(up: Upstream) -> None:
    async with Gateway(one_provider(up) | {"models": LISTED}) as gw:
        for target in ("/v1/models", "/api/v1/models", "/v1/models?limit=5"):
            answer = await ask(gw, "GET", target)
            assert answer.status == 200
            assert set(answer.json) == {"object", "data", "models"}
            assert [each["id"] for each in answer.json["data"]] == ["deepseek-r1", "org/team/m"]
            assert set(answer.json["data"][0]) == {"id", "object", "created", "owned_by"}
            assert answer.json["models"][0]["tags"] == ["code"]
        assert up.connections == []


@pytest.mark.parametrize(
    "name", ["org/team/m", "org%2Fteam%2Fm", "up/org/team/m", "deepseek/deepseek-r1:free", "deepseek-r1"]
)
async def test_a_model_name_with_slashes_can_be_retrieved(name: str, up: Upstream) -> None:
    async with Gateway(one_provider(up) | {"models": LISTED}) as gw:
        answer = await ask(gw, "GET", f"/v1/models/{name}")
        assert answer.status == 200
        assert answer.json["object"] == "model"
        assert answer.json["id"] in ("org/team/m", "deepseek-r1")


async def test_retrieving_an_unknown_model_is_a_404(up: Upstream) -> None:
    async with Gateway(one_provider(up) | {"models": LISTED}) as gw:
        answer = await ask(gw, "GET", "/v1/models/deepseek-r2")
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert "deepseek-r1" in answer.json["error"]["message"]


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/m", "/v1/models/none", "/v1/nowhere", "/v1/files"])
async def test_head_is_get_without_its_body(target: str, up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        whole = await client.fetch("GET", target)
        bare = await client.fetch("HEAD", target)
        assert (bare.status, bare.body) == (whole.status, b"")
        assert bare.header("content-length") == whole.header("content-length")
        assert (await client.fetch("GET", target)).body == whole.body


# -- pinned providers -----------------------------------------------------------------------------


async def test_a_pinned_provider_gets_the_call_even_if_another_serves_the_model(up: Upstream) -> None:
    async with Upstream() as other:
        other.on(answer_by_path)
        config = one_provider(up)
        config["providers"]["other"] = {"baseUrl": other.origin + "/api/v9", "apiKey": "other-key"}
        async with Gateway(config) as gw:
            answer = await ask(gw, "POST", "/proxy/other/chat/completions", b'{"model":"m","messages":[]}')
            assert answer.status == 200
            assert answer.header("x-router-provider") == "other"
            request = await other.request()
            assert request.target == "/api/v9/chat/completions"
            assert request.json["model"] == "m"
            assert request.header("authorization") == "Bearer other-key"
            assert up.connections == []


@pytest.mark.parametrize("endpoint", OPENAI, ids=lambda endpoint: endpoint.alias or endpoint.path)
async def test_every_endpoint_may_be_pinned(endpoint: Endpoint, up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        target = f"/proxy/up/{endpoint.alias or endpoint.path}"
        assert (await ask(gw, "POST", target, BODIES[endpoint.body], KINDS[endpoint.body])).status == 200
        request = await up.request()
        assert request.target == f"/v1/{endpoint.path}"
        assert b"up-model" in request.body


async def test_the_longer_form_of_a_pinned_path_is_a_404(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(gw, "POST", "/proxy/nobody/chat/completions", BODIES["json"])
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_provider")
        answer = await ask(gw, "POST", "/proxy/up/rerank", b"{}")
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_path")
        assert up.connections == []


# -- passthrough ----------------------------------------------------------------------------------

RULES = ["GET /files", "HEAD /files", "POST /rerank", "PATCH /rerank", "DELETE /files"]


@pytest.fixture
async def through(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, provider={"passthrough": RULES})) as gw:
        yield gw


async def test_a_passthrough_request_is_forwarded_unchanged(up: Upstream, through: Gateway) -> None:
    """Method, path, query and body are unchanged; only credentials are replaced."""
    body = b'\xff\x00{"model": "m", "model": 1}\r\n'
    client = await through.client()
    answer = await client.fetch(
        "PATCH",
        "/proxy/up/rerank/a%20b;c/%E2%82%AC?x=1&api_key=stolen&y=%2e%2e/&&z",
        headers=[
            ("Content-Type", "application/x-own"),
            ("OpenAI-Beta", "kept"),
            ("Authorization", "Bearer clients-own"),
            ("X-Api-Key", "clients-own"),
            ("Cookie", "a=b"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "dropped"),
        ],
        body=body,
    )
    assert answer.status == 200
    request = await up.request()
    assert request.method == "PATCH"
    assert request.target == "/v1/rerank/a%20b;c/%E2%82%AC?x=1&y=%2e%2e/&&z"
    assert request.body == body
    assert request.header("content-type") == "application/x-own"
    assert request.header("openai-beta") == "kept"
    assert request.header_values("authorization") == ["Bearer secret-key"]
    for name in ("cookie", "x-api-key", "x-hop"):
        assert request.header(name) is None


async def test_a_passthrough_response_is_relayed_unchanged(up: Upstream, through: Gateway) -> None:
    up.queue(
        [
            Headers(207, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"), ("ETag", '"x"')]),
            Chunk(b"data: not json\n\n"),
            Chunk(b"\x00\xff"),
            LastChunk(),
        ]
    )
    answer = await ask(through, "GET", "/proxy/up/files")
    assert (answer.status, answer.body) == (207, b"data: not json\n\n\x00\xff")
    assert answer.header("etag") == '"x"'
    assert answer.header("content-security-policy") == "sandbox"
    assert answer.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("status", [302, 304, 400, 401, 404, 500])
async def test_passthrough_errors_and_redirects_are_relayed_unchanged(
    status: int, up: Upstream, through: Gateway
) -> None:
    length = [] if status == 304 else [("Content-Length", "2")]
    up.queue([Headers(status, [("Location", "/elsewhere"), *length]), b"" if status == 304 else b"no"])
    answer = await ask(through, "GET", "/proxy/up/files/abc")
    assert answer.status == status
    assert answer.body == (b"" if status == 304 else b"no")
    assert len(up.requests) == 1


async def test_head_is_relayed_with_its_length_and_without_a_body(up: Upstream, through: Gateway) -> None:
    up.queue([Headers(200, [("Content-Type", "a/b"), ("Content-Length", "12345")])])
    client = await through.client()
    answer = await client.fetch("HEAD", "/proxy/up/files/abc/content")
    assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", "12345")
    assert (await client.fetch("GET", "/proxy/up/files")).status == 200


async def test_a_request_without_a_body_is_relayed_without_one(up: Upstream, through: Gateway) -> None:
    assert (await ask(through, "DELETE", "/proxy/up/files/abc")).status == 200
    request = await up.request()
    assert request.header("content-length") is None
    assert request.header("transfer-encoding") is None


async def test_a_chunked_body_stays_chunked_and_an_empty_one_empty(up: Upstream, through: Gateway) -> None:
    client = await through.client()
    await client.send(
        b"POST /proxy/up/rerank HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert (request.body, request.header("content-length")) == (b"hello", None)
    await client.send(b"POST /proxy/up/rerank HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert (request.body, request.header("content-length")) == (b"", "0")


@pytest.mark.parametrize(
    "path",
    ["files/../organization/users", "files/%2e%2e/organization", "files%2f..%2forganization", "files//x", "files/..\\x",
     "files/%5c..%5cx", "files/%252e%252e/x", "files/..;/x"],
)  # fmt: skip
async def test_no_spelling_escapes_a_passthrough_prefix(path: str, up: Upstream, through: Gateway) -> None:
    answer = await ask(through, "GET", f"/proxy/up/{path}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_path")
    assert up.connections == []


async def test_other_paths_are_rejected(up: Upstream, through: Gateway) -> None:
    for method, path in (("POST", "files"), ("GET", "filesystem"), ("GET", "rerank"), ("PUT", "files/abc")):
        answer = await ask(through, method, f"/proxy/up/{path}")
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_path"), path
    assert up.connections == []
