"""The test prompt of the dashboard: rewritten into a request of the API on the same connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.deployments.try_it import ADMIN
from proxy.routing.access import ALL
from proxy.server.body import BodyReader
from tests.control.admin import TWO, AdminServer

TRYING: dict[str, Any] = {"path": "chat/completions", "body": {"model": "m", "messages": []}}


@pytest.fixture
async def plane() -> AsyncIterator[AdminServer]:
    async with AdminServer(TWO) as plane:
        yield plane


async def test_the_request_is_rewritten_into_a_model_call(plane: AdminServer) -> None:
    wanted = TRYING | {"headers": {"x-router-metadata": "true", "X-Router-Decision": "true"}}
    answer = await plane.ask("POST", "/admin/try?x=y", ("Cookie", "a=b"), ("User-Agent", "browser"), json=wanted)
    assert (answer.status, answer.body) == (200, b"tried")
    ((request, _, _),) = plane.tried
    assert (request.method, request.path, request.query) == ("POST", "/v1/chat/completions", "")
    assert dict(request.headers) == {
        "Host": f"127.0.0.1:{plane.port}",
        "User-Agent": "browser",
        "Content-Type": "application/json",
        "Content-Length": str(len('{"model": "m", "messages": []}')),
        "x-router-metadata": "true",
        "X-Router-Decision": "true",
    }
    assert [name.decode() for name, _ in request.raw_headers] == list(request.headers)


async def test_the_body_is_passed_on_unchanged(plane: AdminServer) -> None:
    body = b'{"path":"chat/completions","body": {"n":1e0, "x":"\\u00e9\xc3\xa9"} }'
    await plane.ask("POST", "/admin/try", body=body)
    ((request, _, _),) = plane.tried
    reader = BodyReader(request, limit=1000, timeout=1.0, budget=plane.budget)
    reader.admit()
    assert reader.read_now() == b'{"n":1e0, "x":"\\u00e9\xc3\xa9"}'
    reader.release()


async def test_the_call_is_made_as_the_admin_without_limits(plane: AdminServer) -> None:
    await plane.ask("POST", "/admin/try", json=TRYING)
    ((_, caller, lines),) = plane.tried
    assert caller is ADMIN
    assert (caller.id, caller.access, caller.limits) == ("admin:try", ALL, None)
    assert b"Content-Security-Policy: sandbox\r\n" in lines


async def test_the_connection_is_kept_alive(plane: AdminServer) -> None:
    client = await plane.client()
    bearer = [("Authorization", f"Bearer {plane.credential.token}")]
    for _ in range(3):
        assert (await client.fetch("POST", "/admin/try", headers=bearer, json=TRYING)).body == b"tried"


async def test_a_message_has_the_version_that_anthropics_api_requires(plane: AdminServer) -> None:
    await plane.ask("POST", "/admin/try", json=TRYING | {"path": "messages"})
    ((request, _, _),) = plane.tried
    assert (request.path, request.headers["anthropic-version"]) == ("/v1/messages", "2023-06-01")


@pytest.mark.parametrize(
    ("path", "query"),
    [("models/a,b/c:8b:streamGenerateContent", "alt=sse"), ("models/m:generateContent", "")],
)
async def test_a_stream_of_googles_api_is_one_of_events(plane: AdminServer, path: str, query: str) -> None:
    await plane.ask("POST", "/admin/try", json=TRYING | {"path": path})
    ((request, _, _),) = plane.tried
    assert (request.path, request.query) == (f"/v1/{path}", query)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"path": "../admin/state"}, "path"),
        ({"path": "/chat/completions"}, "path"),
        ({"path": "chat//completions"}, "path"),
        ({"path": "chat/completions?x=y"}, "path"),
        ({"path": "chat/..%2f"}, "path"),
        ({"path": ""}, "path"),
        ({"path": "a" * 201}, "path"),
        ({"path": 3}, "path"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers"),
        ({"headers": {"x-router-": "x"}}, "headers"),
        ({"headers": {"x-router-metadata": "a\r\nb: c"}}, "headers"),
        ({"headers": {"x-router-metadata\r\nx": "a"}}, "headers"),
        ({"headers": {"x-router-metadata": "é"}}, "headers"),
        ({"headers": ["x"]}, "headers"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_other_paths_and_headers_are_rejected(
    wrong: dict[str, Any], param: str | None, plane: AdminServer
) -> None:
    answer = await plane.ask("POST", "/admin/try", json=TRYING | wrong)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert plane.tried == []


async def test_invalid_json_is_a_400(plane: AdminServer) -> None:
    answer = await plane.ask("POST", "/admin/try", body=b'{"path":')
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_json")


async def test_a_cross_site_form_is_rejected(plane: AdminServer) -> None:
    session = ("Cookie", f"sluice_admin={plane.credential.new_session()}")
    answer = await plane.fetch("POST", "/admin/try", session, ("Sec-Fetch-Site", "cross-site"), json=TRYING)
    assert (answer.status, plane.tried) == (403, [])
    assert (await plane.fetch("POST", "/admin/try", json=TRYING)).status == 401
    assert (await plane.fetch("POST", "/admin/try", session, json=TRYING)).status == 200
