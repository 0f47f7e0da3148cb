"""Control requests read into structs: whatever is sent, it is one or a 400."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from proxy.control.http.replies import send
from proxy.control.http.requests import body_of, query_of
from proxy.control.http.router import Route
from proxy.errors import ClientFault
from proxy.server.connection import Request
from tests.control.served import Served


class Wanted(Struct, forbid_unknown_fields=True):
    level: Literal["low", "high"]
    count: Annotated[int, Meta(ge=1)] = 1
    names: list[str] = []


class Filter(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1)] = 1
    name: str = ""


class Asked:
    """As much of a request as a query needs."""

    def __init__(self, query: str) -> None:
        self.query = query


@pytest.fixture
async def plane() -> AsyncIterator[Served]:
    def routes(plane: Served) -> list[Route]:
        async def echo(request: Request) -> None:
            send(request, 200, await body_of(plane.bodies, request, Wanted))

        return [Route("POST", "/admin/echo", "open", echo)]

    async with Served(routes) as plane:
        yield plane


async def test_a_body_is_read_with_its_defaults(plane: Served) -> None:
    answer = await plane.fetch("POST", "/admin/echo", json={"level": "low"})
    assert answer.json == {"level": "low", "count": 1, "names": []}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"level":"middle"}', "level"),
        (b'{"level":"low","count":0}', "count"),
        (b'{"level":"low","names":["a",1]}', "names[1]"),
        (b'{"level":"low","more":1}', None),
        (b"null", None),
    ],
)
async def test_a_mistake_is_told_with_its_place(body: bytes, param: str | None, plane: Served) -> None:
    answer = await plane.fetch("POST", "/admin/echo", body=body)
    error = answer.json["error"]
    assert (answer.status, error["param"], error["code"]) == (400, param, "invalid_value")
    assert "$" not in error["message"]


async def test_a_body_that_is_too_large_is_a_413(plane: Served) -> None:
    answer = await plane.fetch("POST", "/admin/echo", body=b"x" * (1024 * 1024 + 1))
    assert answer.status == 413


def test_the_last_of_several_values_counts() -> None:
    assert query_of(Asked("count=3&name=a&name=%C3%A9"), Filter) == Filter(3, "é")
    assert query_of(Asked(""), Filter) == Filter()


@given(st.text(max_size=200) | st.dictionaries(st.sampled_from(["count", "name", "x"]), st.text(max_size=20)).map(str))
def test_whatever_a_query_says_it_is_one_or_a_400(text: str) -> None:
    try:
        found = query_of(Asked(quote(text, safe="=&;+%")), Filter)
    except ClientFault:  # a 400, as they all are unless they say otherwise
        return
    assert found.count >= 1


def test_a_query_of_a_thousand_parameters_is_not_read() -> None:
    with pytest.raises(ClientFault):
        query_of(Asked("count=1&" * 1000), Filter)
