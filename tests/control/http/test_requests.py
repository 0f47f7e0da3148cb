"""Request bodies and query strings: decoded, or a 400 that names the field."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from proxy.control.http.requests import MAX_BODY, parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.errors import ClientFault
from proxy.server.request import Request
from tests.control.server import ControlServer
from tests.support import Answer
from tests.support.patience import PATIENCE


class Body(Struct, forbid_unknown_fields=True):
    level: Literal["low", "high"]
    count: Annotated[int, Meta(ge=1)] = 1
    names: list[str] = []


class Query(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)] = 1
    name: str = ""


def routes(plane: ControlServer) -> list[ControlRoute]:
    async def members(request: Request) -> None:
        send_json(request, 200, await plane.bodies.members(request))

    async def optional(request: Request) -> None:
        send_json(request, 200, await plane.bodies.members(request, optional=True))

    async def decode(request: Request) -> None:
        send_json(request, 200, await plane.bodies.decode(request, Body))

    return [
        ControlRoute("POST", "/admin/members", "open", members),
        ControlRoute("POST", "/admin/optional", "open", optional),
        ControlRoute("POST", "/admin/decode", "open", decode),
    ]


@pytest.fixture
async def plane() -> AsyncIterator[ControlServer]:
    async with ControlServer(routes, body_timeout=PATIENCE) as plane:
        yield plane


def fault(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


# -- bodies -------------------------------------------------------------------------------------------


async def test_an_object_is_read_with_any_framing_and_content_coding(plane: ControlServer) -> None:
    body = b'{"a": 1}'
    chunked = ("Transfer-Encoding", "chunked")
    for headers, sent in (
        ([], body),
        ([chunked], b"4\r\n" + body[:4] + b"\r\n4\r\n" + body[4:] + b"\r\n0\r\n\r\n"),
        ([("Content-Encoding", "gzip")], gzip.compress(body)),
        ([("Content-Type", "text/plain")], body),
    ):
        assert (await plane.fetch("POST", "/admin/members", *headers, body=sent)).json == {"a": 1}


async def test_expect_continue_is_answered(plane: ControlServer) -> None:
    client = await plane.client()
    await client.request("POST", "/admin/members", headers=[("Expect", "100-continue"), ("Content-Length", "2")])
    assert (await client.read_head()).status == 100
    await client.send(b"{}")
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b"null", b"\xff", b'{"a":1}x', b"[" * 100_000])
async def test_a_body_that_is_no_object_is_a_400(body: bytes, plane: ControlServer) -> None:
    assert fault(await plane.fetch("POST", "/admin/members", body=body)) == (400, "invalid_json")


async def test_an_optional_body_may_be_empty(plane: ControlServer) -> None:
    assert (await plane.fetch("POST", "/admin/optional")).json == {}
    assert (await plane.fetch("POST", "/admin/optional", body=b"")).json == {}
    assert fault(await plane.fetch("POST", "/admin/optional", body=b"[]")) == (400, "invalid_json")


@pytest.mark.parametrize("path", ["/admin/members", "/admin/decode"])
async def test_more_than_a_megabyte_is_a_413(path: str, plane: ControlServer) -> None:
    client = await plane.client()
    await client.request("POST", path, headers=[("Content-Length", str(MAX_BODY + 1))])
    answer = await client.read_answer()
    assert (fault(answer), answer.header("connection")) == ((413, "request_too_large"), "close")
    bomb = gzip.compress(b'{"a": "' + b"a" * MAX_BODY + b'"}')
    answer = await plane.fetch("POST", path, ("Content-Encoding", "gzip"), body=bomb)
    assert fault(answer) == (413, "request_too_large")


async def test_a_body_that_does_not_arrive_in_time_is_a_408() -> None:
    async with ControlServer(routes, body_timeout=0.1) as plane:
        client = await plane.client()
        await client.request("POST", "/admin/members", headers=[("Content-Length", "10")])
        answer = await client.read_answer()
    assert (fault(answer), answer.header("connection")) == ((408, "body_timeout"), "close")


async def test_an_unknown_content_coding_is_a_415(plane: ControlServer) -> None:
    answer = await plane.fetch("POST", "/admin/members", ("Content-Encoding", "br"), body=b"x")
    assert fault(answer) == (415, "content_encoding")


async def test_absent_members_have_their_defaults(plane: ControlServer) -> None:
    answer = await plane.fetch("POST", "/admin/decode", json={"level": "low"})
    assert answer.json == {"level": "low", "count": 1, "names": []}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"level":"middle"}', "level"),
        (b'{"level":"low","count":0}', "count"),
        (b'{"level":"low","names":["a",1]}', "names[1]"),
        (b'{"level":"low","more":1}', "more"),
        (b'{"count":1}', "level"),
        (b"null", None),
    ],
)
async def test_a_mistake_names_its_field(body: bytes, param: str | None, plane: ControlServer) -> None:
    answer = await plane.fetch("POST", "/admin/decode", body=body)
    error = answer.json["error"]
    assert (answer.status, error["param"], error["code"]) == (400, param, "invalid_value")
    assert "$" not in error["message"]


# -- query strings ------------------------------------------------------------------------------------


def request_with(query: str) -> Any:
    return SimpleNamespace(query=query)


def test_the_last_of_several_values_counts() -> None:
    assert parse_query(request_with("count=3&name=a&name=%C3%A9"), Query) == Query(3, "é")
    assert parse_query(request_with(""), Query) == Query()


@given(st.text(max_size=200) | st.dictionaries(st.sampled_from(["count", "name", "x"]), st.text(max_size=20)).map(str))
def test_any_query_is_parsed_or_a_400(text: str) -> None:
    try:
        found = parse_query(request_with(quote(text, safe="=&;+%")), Query)
    except ClientFault:  # status 400 by default
        return
    assert found.count >= 1


def test_a_query_with_too_many_parameters_is_a_400() -> None:
    with pytest.raises(ClientFault):
        parse_query(request_with("count=1&" * 1000), Query)
