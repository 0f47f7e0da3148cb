from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.call import Call
from proxy.dialects.openai.call import READ, REQUESTS
from proxy.errors import ClientFault
from proxy.wire.criteria import NONE, Criteria

read, with_usage = REQUESTS.read, REQUESTS.with_usage


def call(**members: Any) -> Call:
    return read(json.dumps({"model": "m", "messages": []} | members).encode())


def spliced(call: Call, **changes: bytes | None) -> bytes:
    return b"".join(call.segments(changes))


# What is read


def test_model_stream_choices_and_usage_option_are_read() -> None:
    seen = call(stream=True, n=3, stream_options={"include_usage": True})
    assert (seen.model, seen.stream, seen.choices, seen.wants_usage) == ("m", True, 3, True)


def test_everything_may_be_left_out() -> None:
    seen = read(b"{}")
    assert (seen.model, seen.stream, seen.choices, seen.wants_usage) == (None, False, 1, False)


def test_null_is_the_same_as_absent() -> None:
    seen = call(model=None, stream=None, n=None, stream_options=None)
    assert (seen.model, seen.stream, seen.choices, seen.wants_usage) == (None, False, 1, False)


@pytest.mark.parametrize("name", ['"m\\u002fx"', '"m/x"', '"m\\/x"'])
def test_escapes_in_a_model_name_are_decoded(name: str) -> None:
    assert read(b'{"model": %b}' % name.encode()).model == "m/x"


@pytest.mark.parametrize(
    ("n", "choices"), [(1, 1), (128, 128), (0, 1), (-1, 1), (2.0, 2), ("3", 3), ([], 1), (10**9, 10_000)]
)
def test_an_invalid_n_is_left_to_the_provider(n: Any, choices: int) -> None:
    assert call(n=n).choices == choices


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("one", 2),
        (["one"], 2),
        (["one", "two", "three"], 6),
        ([[1, 2], [3]], 4),
        ([1, 2, 3], 2),
        ([], 2),
        ([None], 2),
        (5, 2),
    ],
)
def test_every_prompt_of_a_legacy_completion_gets_its_own_choices(prompt: Any, choices: int) -> None:
    assert call(prompt=prompt, n=2).choices == choices


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({}, False), ({"include_usage": False}, False), ({"include_usage": None}, False), ({"include_usage": "true"}, False),
     ({"include_usage": 1}, False), ({"include_usage": True}, True), ({"include_obfuscation": False, "include_usage": True}, True)],
)  # fmt: skip
def test_only_true_asks_for_usage(options: dict[str, Any], wanted: bool) -> None:
    assert call(stream_options=options).wants_usage is wanted


@pytest.mark.parametrize(
    ("members", "param"),
    [({"model": 5}, "model"), ({"model": [5]}, "model"), ({"model": ["m", None]}, "model"), ({"model": [["m"]]}, "model"), ({"model": {}}, "model"), ({"model": True}, "model"),
     ({"stream": "true"}, "stream"), ({"stream": 1}, "stream"), ({"stream": {}}, "stream"),
     ({"messages": "Hi"}, "messages"), ({"messages": {}}, "messages"), ({"messages": None}, "messages"), ({"messages": 5}, "messages"),
     ({"stream_options": True}, "stream_options"), ({"stream_options": []}, "stream_options"), ({"stream_options": "x"}, "stream_options")],
)  # fmt: skip
def test_a_wrong_type_is_refused_with_the_name_of_the_field(members: dict[str, Any], param: str) -> None:
    with pytest.raises(ClientFault) as caught:
        call(**members)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_type", param)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"model=m", b'{"model":"m",}', b"\xff", b'{"model":"\xff"}', b'{"model":"\\ud83d"}']
)
def test_invalid_json_is_refused(body: bytes) -> None:
    with pytest.raises(ClientFault) as caught:
        read(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ClientFault) as caught:
        read(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_body")


@pytest.mark.parametrize("name", sorted(READ))
def test_duplicate_members_are_refused(name: str) -> None:
    value = {
        "model": b'"m"',
        "messages": b"[]",
        "stream": b"true",
        "n": b"1",
        "prompt": b'""',
        "stream_options": b"{}",
    }.get(name, b"null")
    escaped = b"\\u%04x" % ord(name[0]) + name[1:].encode()
    for second in (name.encode(), escaped):
        with pytest.raises(ClientFault) as caught:
            read(b'{"%b":%b,"%b":%b}' % (name.encode(), value, second, value))
        assert (caught.value.status, caught.value.code, caught.value.param) == (400, "duplicate_member", name)


@pytest.mark.parametrize("body", [b'{"stream_options":{"include_usage":tru}}', b'{"stream_options":{"\\ud83d":1}}'])
def test_invalid_stream_options_are_refused(body: bytes) -> None:
    with pytest.raises(ClientFault):
        read(body)


# Which model


@pytest.mark.parametrize(
    ("model", "text", "names", "auto", "verbatim"),
    [
        ("m", "m", ("m",), False, True),
        ("p/m", "p/m", ("p/m",), False, True),
        (
            "openrouter/deepseek/deepseek-r1",
            "openrouter/deepseek/deepseek-r1",
            ("openrouter/deepseek/deepseek-r1",),
            False,
            True,
        ),
        ("", "", ("",), False, True),
        ("AUTO", "AUTO", ("AUTO",), False, True),
        ("auto", "auto", (), True, False),
        (None, None, (), True, True),
        (["m"], "m", ("m",), False, False),
        (["a", "p/b"], "a,p/b", ("a", "p/b"), False, False),
        (["a", "b", "auto"], "a,b,auto", ("a", "b"), True, False),
        (["auto"], "auto", (), True, False),
    ],
)
def test_every_form_of_a_model(
    model: Any, text: str | None, names: tuple[str, ...], auto: bool, verbatim: bool
) -> None:
    seen = call(model=model)
    assert (seen.model, seen.names, seen.auto, seen.verbatim) == (text, names, auto, verbatim)


def test_no_model_at_all_means_any() -> None:
    seen = read(b"{}")
    assert (seen.names, seen.auto, seen.verbatim) == ((), True, True)


@pytest.mark.parametrize("model", [[], [""], ["a", ""], ["auto", "a"], ["auto", "auto"], ["m"] * 65])
def test_an_invalid_list_of_models_is_refused(model: list[str]) -> None:
    with pytest.raises(ClientFault) as caught:
        call(model=model)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_value", "model")


def test_a_list_may_have_fifty_names() -> None:
    assert len(call(model=["m"] * 50).names) == 50


# What else is for us


def test_router_fields_are_read_and_listed_for_removal() -> None:
    seen = call(tags=["code"], prefer_fast=True, type=None)
    assert seen.criteria == Criteria(tags=("code",), prefer_fast=True)
    assert set(seen.router_fields) == {"tags", "prefer_fast", "type"}
    left = json.loads(spliced(seen, **dict.fromkeys(seen.router_fields)))
    assert left == {"model": "m", "messages": []}


def test_without_router_fields_there_are_no_criteria() -> None:
    assert call().criteria is NONE
    assert call().router_fields == ()


@pytest.mark.parametrize(
    ("store", "stateless"), [(False, True), (True, False), (None, False), (0, False), ("false", False)]
)
def test_only_store_false_is_stateless(store: Any, stateless: bool) -> None:
    assert call(store=store).stateless is stateless
    assert not call().stateless


# What is changed


def test_asking_for_usage_keeps_the_other_options_to_the_byte() -> None:
    seen = read(b'{"stream_options" : {"include_obfuscation":  false, "x":[1,  2.50], "include_usage":false}}')
    assert with_usage(seen) == b'{"include_obfuscation":false,"x":[1,  2.50],"include_usage":true}'
    assert with_usage(call()) == with_usage(call(stream_options=None)) == b'{"include_usage":true}'


def test_a_change_keeps_every_other_byte() -> None:
    body = b' {\n "messages" : [ {"role":"user", "content":"a\\u00e9 \\"model\\":\\"m\\"" } ],\r\n\t"model":  "m" ,"n":1.0e0,"x":NULL}'
    body = body.replace(b"NULL", b"null")
    changed = spliced(read(body), model=b'"up/model"', stream_options=b'{"include_usage":true}')
    assert changed == body.replace(b'"m" ', b'"up/model" ').replace(
        b"null}", b'null,"stream_options":{"include_usage":true}}'
    )


members = st.dictionaries(
    st.sampled_from(["messages", "temperature", "stream_options", "x", "modél", 'mo"del', "n"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
)


@given(members, st.sampled_from([None, 0, 2]), st.booleans(), st.text(), st.booleans())
@example({}, None, True, "", True)
def test_a_spliced_body_is_what_decoding_changing_and_encoding_would_give(
    members: dict[str, Any], indent: int | None, ascii_only: bool, model: str, named: bool
) -> None:
    document = members | {"messages": [members], "stream_options": {"x": 1}} | ({"model": "m"} if named else {})
    seen = read(json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode())
    changed = spliced(seen, model=json.dumps(model).encode(), stream=b"true", stream_options=with_usage(seen))
    expected = document | {"model": model, "stream": True, "stream_options": {"x": 1, "include_usage": True}}
    assert json.loads(changed) == expected
