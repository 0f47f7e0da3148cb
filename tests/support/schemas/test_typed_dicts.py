"""Schemas out of TypedDicts as the SDKs write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Literal, Required

from typing_extensions import TypedDict

from tests.support.schemas.nodes import Either, Items, Leaf, Member
from tests.support.schemas.typed_dicts import shape_of


class Inner(TypedDict, total=False):
    type: Required[Literal["inner"]]
    again: "Inner"  # noqa: UP037


class Outer(TypedDict, total=False):
    inner: Required[Iterable[Inner | str]]
    model: str | Literal["a", "b"]
    file: IO[bytes]
    data: str | IO[bytes]
    table: dict[str, object]
    tier: Literal["auto", "fast"] | None


class Whole(Outer):
    stream: Required[Literal[True]]


def test_members_have_their_types_and_no_files() -> None:
    members = shape_of(Whole).members
    inner = shape_of(Inner)
    assert members == {
        "inner": Member(Items(Either((inner, Leaf("text")))), True),
        "model": Member(Leaf("text")),
        "data": Member(Leaf("text")),
        "table": Member(Leaf("table")),
        "tier": Member(Leaf("enumeration", ("auto", "fast"))),
        "stream": Member(Leaf("enumeration", (True,)), True),
    }
    assert inner.members["again"].node is inner
    assert inner.constants() == {"type": "inner"}
