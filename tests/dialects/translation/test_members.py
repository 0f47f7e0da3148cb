"""Reading the members of decoded requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.dialects.translation import members
from proxy.errors import ClientFault, Untranslatable, WrongMember

READERS: dict[Callable[[dict[str, Any], str], Any], tuple[Any, list[Any]]] = {
    members.text: ("", [1, [], {}, True]),
    members.flag: (None, [0, "true", []]),
    members.integer: (None, [True, 1.5, "1"]),
    members.number: (None, [True, "1", [], float("inf"), float("-inf")]),
    members.mapping: (None, [[], "x", 1]),
    members.texts: ([], ["x", [1], {}]),
    members.objects: ([], ["x", {}, [1]]),
}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_absent_and_null_are_the_same(reader: Callable[[dict[str, Any], str], Any]) -> None:
    absent, _ = READERS[reader]
    assert reader({}, "x") == reader({"x": None}, "x") == absent


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_another_type_is_refused_with_the_member_s_name(reader: Callable[[dict[str, Any], str], Any]) -> None:
    _, wrong = READERS[reader]
    for value in wrong:
        with pytest.raises(WrongMember, match="'x") as caught:
            reader({"x": value}, "x")
        assert str(caught.value.param).startswith("x")


def test_an_error_names_the_whole_path() -> None:
    fault = WrongMember("text", "a string").within("content[1]").within("messages[0]")
    assert (fault.message, fault.param) == (
        "'messages[0].content[1].text' must be a string.",
        "messages[0].content[1].text",
    )


@pytest.mark.parametrize("fault", [WrongMember("text", "a string"), Untranslatable("text", "Why.")])
def test_readers_of_outer_members_add_theirs_to_the_path(fault: WrongMember | Untranslatable) -> None:
    with (
        pytest.raises(type(fault), match="'messages") as caught,
        members.Within("messages[0]"),
        members.Within("content[1]"),
    ):
        raise fault
    assert caught.value.param == "messages[0].content[1].text"
    with pytest.raises(KeyError), members.Within("messages[0]"):
        raise KeyError


@pytest.mark.parametrize(("reader", "value"), [(members.required_text, "x"), (members.required_mapping, {"a": 1})])
def test_a_required_member_must_be_there(reader: Callable[[dict[str, Any], str], Any], value: object) -> None:
    assert reader({"x": value}, "x") == value
    for holder in ({}, {"x": None}, {"x": 1}):
        with pytest.raises(WrongMember, match="'x'"):
            reader(holder, "x")


def test_a_list_of_objects_is_read_one_by_one() -> None:
    def read(value: dict[str, Any]) -> str:
        return members.required_text(value, "text")

    assert list(members.each({"x": [{"text": "a"}, {"text": "b"}]}, "x", read)) == ["a", "b"]
    assert list(members.each({}, "x", read)) == []
    for wrong, path in (([{"text": "a"}, {}], "x[1].text"), ([{"text": "a"}, 1], "x[1]"), (1, "x")):
        with pytest.raises(WrongMember) as caught:
            list(members.each({"x": wrong}, "x", read))
        assert caught.value.param == path


def test_no_unknown_member_is_overlooked_but_null_ones() -> None:
    holder = {"a": 1, "b": 2, "c": None, "d": False}
    assert list(members.unknown(holder, frozenset("a"), "tools[].")) == ["tools[].b", "tools[].d"]
    assert list(members.unknown(holder, frozenset("abcd"))) == []


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{", "invalid_json", "valid JSON"),
        (b"[]", "invalid_body", "object"),
        (b'{"tools":[{"maximum":1e999}]}', "invalid_body", "1e999"),
    ],
)
def test_a_body_that_cannot_be_translated_is_refused(body: bytes, code: str, message: str) -> None:
    with pytest.raises(ClientFault, match=message) as caught:
        members.of_body(body)
    assert caught.value.code == code


def test_a_whole_number_may_have_a_point() -> None:
    assert members.integer({"x": 2.0}, "x") == 2


def test_errors_of_each_object_have_its_path() -> None:
    def refuse(holder: dict[str, Any]) -> str:
        if "type" in holder:
            raise Untranslatable("type", "It is unknown.")
        return members.text(holder, "text")

    assert list(members.each({"x": [{"text": "a"}, {}]}, "x", refuse)) == ["a", ""]
    for wrong, param in (({"text": 1}, "x[1].text"), ({"type": "odd"}, "x[1].type"), (1, "x[1]")):
        with pytest.raises((WrongMember, Untranslatable)) as caught:
            list(members.each({"x": [{}, wrong]}, "x", refuse))
        assert caught.value.param == param
