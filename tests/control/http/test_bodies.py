"""What control requests may bring along, and what they may not."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterable

import pytest

from proxy.control.http.bodies import LIMIT
from proxy.control.http.replies import send
from proxy.control.http.router import Route
from proxy.server.connection import Request
from tests.control.served import Served
from tests.support import Answer


def routes(plane: Served) -> Iterable[Route]:
    async def mirror(request: Request) -> None:
        send(request, 200, await plane.bodies.members(request))

    async def lenient(request: Request) -> None:
        send(request, 200, await plane.bodies.members(request, optional=True))

    return [Route("POST", "/admin/mirror", "open", mirror), Route("POST", "/admin/lenient", "open", lenient)]


@pytest.fixture
async def plane() -> AsyncIterator[Served]:
    async with Served(routes, body_timeout=0.1) as plane:
        yield plane


def fault(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


async def test_an_object_is_read_however_it_comes(plane: Served) -> None:
    body = b'{"a": 1}'
    chunked = ("Transfer-Encoding", "chunked")
    for headers, sent in (
        ([], body),
        ([chunked], b"4\r\n" + body[:4] + b"\r\n4\r\n" + body[4:] + b"\r\n0\r\n\r\n"),
        ([("Content-Encoding", "gzip")], gzip.compress(body)),
        ([("Content-Type", "text/plain")], body),
    ):
        assert (await plane.fetch("POST", "/admin/mirror", *headers, body=sent)).json == {"a": 1}


async def test_a_client_that_asks_whether_to_send_it_is_told_to(plane: Served) -> None:
    client = await plane.client()
    await client.request("POST", "/admin/mirror", headers=[("Expect", "100-continue"), ("Content-Length", "2")])
    assert (await client.read_head()).status == 100
    await client.send(b"{}")
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b"null", b"\xff", b'{"a":1}x', b"[" * 100_000])
async def test_anything_else_is_a_400(body: bytes, plane: Served) -> None:
    assert fault(await plane.fetch("POST", "/admin/mirror", body=body)) == (400, "invalid_json")


async def test_where_a_body_may_be_missing_none_is_an_empty_one(plane: Served) -> None:
    assert (await plane.fetch("POST", "/admin/lenient")).json == {}
    assert (await plane.fetch("POST", "/admin/lenient", body=b"")).json == {}
    assert fault(await plane.fetch("POST", "/admin/lenient", body=b"[]")) == (400, "invalid_json")


async def test_a_megabyte_is_too_much_declared_or_not(plane: Served) -> None:
    client = await plane.client()
    await client.request("POST", "/admin/mirror", headers=[("Content-Length", str(LIMIT + 1))])
    answer = await client.read_answer()
    assert (fault(answer), answer.header("connection")) == ((413, "request_too_large"), "close")
    bomb = gzip.compress(b'{"a": "' + b"a" * LIMIT + b'"}')
    answer = await plane.fetch("POST", "/admin/mirror", ("Content-Encoding", "gzip"), body=bomb)
    assert fault(answer) == (413, "request_too_large")


async def test_a_body_that_does_not_come_is_not_waited_for(plane: Served) -> None:
    client = await plane.client()
    await client.request("POST", "/admin/mirror", headers=[("Content-Length", "10")])
    answer = await client.read_answer()
    assert (fault(answer), answer.header("connection")) == ((408, "body_timeout"), "close")


async def test_an_unknown_coding_is_a_415(plane: Served) -> None:
    answer = await plane.fetch("POST", "/admin/mirror", ("Content-Encoding", "br"), body=b"x")
    assert fault(answer) == (415, "content_encoding")
