"""The requests that a schema allows, one member at a time."""

from __future__ import annotations

import json

import pytest

from tests.support.schemas.known import SCHEMAS, documented
from tests.support.schemas.nodes import Either, Items, Leaf, Member, Shape
from tests.support.schemas.requests import RequestSchema
from tests.support.schemas.variants import ABSENT, MARK, Variants

LEAF = Shape("a.Leaf", lambda: {"type": Member(Leaf("enumeration", ("leaf",)), True), "data": Member(Leaf("text"))})
TREE = Shape(
    "a.Tree",
    lambda: {
        "type": Member(Leaf("enumeration", ("tree",)), True),
        "id": Member(Leaf("text"), True),
        "content": Member(Items(Either((LEAF, TREE)))),
    },
)
ROOT = Shape("a.Root", lambda: {"tree": Member(TREE), "numbers": Member(Items(Leaf("whole")))})


def made(companions: dict[str, dict[str, object]] | None = None) -> dict[str, object]:
    variants = Variants(companions or {}).of(ROOT)
    return {str(each): each.make(each.values[0]) for each in variants}


def test_each_member_is_reached_once_with_all_that_is_required_around_it() -> None:
    tree = {"type": "tree", "id": "filler00"}
    leaf = {"type": "leaf"}
    future = {"member_of_the_future": MARK}
    assert made() == {
        "tree (shape of Tree)": {"tree": tree},
        "tree.id (member of Tree)": {"tree": tree | {"id": MARK}},
        "tree.content[] (shape of Leaf)": {"tree": tree | {"content": [leaf]}},
        "tree.content[].data (member of Leaf)": {"tree": tree | {"content": [leaf | {"data": MARK}]}},
        "tree.content[].member_of_the_future (unknown member of Leaf)": {"tree": tree | {"content": [leaf | future]}},
        "tree.content[] (unknown type)": {"tree": tree | {"content": [{"type": "type_of_the_future", "text": MARK}]}},
        "tree.member_of_the_future (unknown member of Tree)": {"tree": tree | future},
        "numbers[] (member)": {"numbers": [5000]},
        "member_of_the_future (unknown member of Root)": future,
    }


def test_companions_stand_beside_the_members_of_their_shape() -> None:
    found = made({"Leaf": {"name": "beside"}})["tree.content[].data (member of Leaf)"]
    assert found == {
        "tree": {"type": "tree", "id": "filler00", "content": [{"type": "leaf", "name": "beside", "data": MARK}]}
    }


def test_what_is_absent_leaves_its_surroundings() -> None:
    found = {str(each): each.make(ABSENT) for each in Variants({}).of(ROOT)}
    assert found["tree.content[].data (member of Leaf)"] == {
        "tree": {"type": "tree", "id": "filler00", "content": [{"type": "leaf"}]}
    }
    assert found["numbers[] (member)"] == {"numbers": []}
    assert found["tree (shape of Tree)"] == {}


@pytest.mark.parametrize("schema", [*SCHEMAS, *documented()], ids=str)
def test_the_requests_of_a_real_schema_are_json_and_have_what_all_requests_have(schema: RequestSchema) -> None:
    for variant in schema.variants:
        for value in variant.values:
            request = json.loads(json.dumps(schema.request(variant, value)))
            assert request.keys() >= schema.base.keys(), str(variant)
            assert variant.leaf is None or variant.leaf.kind != "text" or MARK in json.dumps(request), str(variant)
