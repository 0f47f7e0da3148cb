from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.provider.partial_arguments import PartialArguments

Path = tuple[str | int, ...]


def joined(*pieces: Any) -> Any:
    arguments = PartialArguments()
    for piece in pieces:
        arguments.add(piece)
    text = arguments.json()
    return json.loads(text) if text else None


def piece(path: str, value: Any, *, more: bool = False) -> dict[str, Any]:
    kinds = {str: "stringValue", bool: "boolValue", float: "numberValue", int: "numberValue", type(None): "nullValue"}
    found = {"jsonPath": path, kinds[type(value)]: "NULL_VALUE" if value is None else value}
    return found | ({"willContinue": True} if more else {})


def test_values_stand_where_their_paths_say() -> None:
    found = joined(
        piece("$.a", "x"),
        piece("$.b.c[0].d", 1.5),
        piece("$.b.c[1].d", True),
        piece("$.b.e", None),
        piece("$.list[0][1]", "y"),
    )
    assert found == {"a": "x", "b": {"c": [{"d": 1.5}, {"d": True}], "e": None}, "list": [["y"]]}


def test_the_pieces_of_a_text_are_joined() -> None:
    pieces = [piece("$.a", "Bos", more=True), piece("$.b", 1.0), piece("$.a", "ton", more=True), piece("$.a", "")]
    assert joined(*pieces) == {"a": "Boston", "b": 1}


def test_a_second_text_after_a_whole_one_replaces_it() -> None:
    assert joined(piece("$.a", "x"), piece("$.a", "y")) == {"a": "y"}


def test_whole_numbers_are_no_fractions() -> None:
    assert joined(piece("$.a", 3.0), piece("$.b", 3), piece("$.c", 0.5)) == {"a": 3, "b": 3, "c": 0.5}
    arguments = PartialArguments()
    arguments.add(piece("$.a", 3.0))
    assert arguments.json() == '{"a":3}'


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$['a b']", {"a b": "x"}),
        ("$[\"a.b\"]['c']", {"a.b": {"c": "x"}}),
        (r"$['it\'s']", {"it's": "x"}),
        ("$.a.0", {"a": {"0": "x"}}),
        ("a", {"a": "x"}),
        ("$.größe", {"größe": "x"}),
    ],
)
def test_names_are_read_in_every_form(path: str, found: Any) -> None:
    assert joined(piece(path, "x")) == found


def test_a_large_index_takes_no_room() -> None:
    assert joined(piece("$.a[999999999]", "x"), piece("$.a[7]", "y")) == {"a": ["y", "x"]}
    assert joined(piece("$.a[99999999999999999999]", "x")) == {"a": {"99999999999999999999": "x"}}


@pytest.mark.parametrize("lost", [{}, {"stringValue": "x"}, {"jsonPath": "$"}, {"jsonPath": "$.a"}, {"jsonPath": 5}])
def test_a_piece_without_a_path_or_a_value_is_left_out(lost: Any) -> None:
    assert joined(lost) is None
    assert joined(lost, piece("$.b", "x")) == {"b": "x"}


def test_a_deep_path_is_left_out() -> None:
    assert joined(piece("$" + ".a" * 5000, "x")) is None


values = st.recursive(
    st.text(max_size=5) | st.booleans() | st.none() | st.integers(-9, 9) | st.sampled_from((0.5, -2.25)),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("ab' \"\\.[]ü0", min_size=1, max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def pieces_of(value: Any, path: str, cut: int) -> list[dict[str, Any]]:
    """The pieces that Vertex AI would send for a value."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in pieces_of(inner, f"{path}[{quoted(key)}]", cut)]
    if isinstance(value, list):
        return [each for at, inner in enumerate(value) for each in pieces_of(inner, f"{path}[{at}]", cut)]
    if isinstance(value, str):
        return [piece(path, value[:cut], more=True), piece(path, value[cut:], more=True), piece(path, "")]
    return [piece(path, float(value) if type(value) is int else value)]


def quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(st.dictionaries(st.text("ab' .", min_size=1, max_size=4), values, min_size=1, max_size=3), st.integers(0, 5))
def test_pieces_of_any_arguments_become_them_again(arguments: Any, cut: int) -> None:
    assert joined(*pieces_of(arguments, "$", cut)) == arguments


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "jsonPath": st.text("$.[]'\"a0\\", max_size=9) | st.none(),
                "stringValue": st.text(max_size=2) | st.integers(),
                "numberValue": st.floats() | st.text(max_size=1),
                "willContinue": st.booleans(),
            },
        ),
        max_size=6,
    )
)
def test_no_pieces_raise(pieces: Any) -> None:
    arguments = PartialArguments()
    for each in pieces:
        arguments.add(each)
    arguments.json()
