from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.base import RequestReader
from proxy.dialects.call import AUTO
from proxy.dialects.json_call import MOST_MODEL, MOST_NAMES, JsonRequestReader, members_of
from proxy.dialects.openai.call import READ
from proxy.dialects.table import DIALECTS
from proxy.errors import ClientFault

READERS: Mapping[str, RequestReader] = {
    name: dialect.requests for name, dialect in DIALECTS.items() if isinstance(dialect.requests, JsonRequestReader)
}

each_dialect = pytest.mark.parametrize("requests", READERS.values(), ids=READERS.keys())


def refused(requests: RequestReader, body: bytes) -> tuple[int, str | None, str | None]:
    with pytest.raises(ClientFault) as caught:
        requests.read(body)
    return caught.value.status, caught.value.code, caught.value.param


@each_dialect
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("m", ("m", ("m",), False, True)),
        (None, (None, (), True, True)),
        (AUTO, ("auto", (), True, False)),
        (["a", "b"], ("a,b", ("a", "b"), False, False)),
        (["a", AUTO], ("a,auto", ("a",), True, False)),
        ([AUTO], ("auto", (), True, False)),
    ],
)
def test_a_model_is_a_name_a_list_or_auto(requests: RequestReader, model: Any, expected: Any) -> None:
    call = requests.read(json.dumps({"model": model}).encode())
    assert (call.model, call.names, call.auto, call.verbatim) == expected


@each_dialect
def test_everything_may_be_left_out(requests: RequestReader) -> None:
    call = requests.read(b"{}")
    assert (call.model, call.names, call.auto, call.verbatim, call.stream) == (None, (), True, True, False)
    assert (call.choices, call.wants_usage, call.other_models, call.router_fields) == (1, False, "", ())


@each_dialect
@pytest.mark.parametrize(("raw", "stream"), [(b"true", True), (b"false", False), (b"null", False)])
def test_the_stream_flag_is_read(requests: RequestReader, raw: bytes, stream: bool) -> None:
    assert requests.read(b'{"model": "m", "stream": %b }' % raw).stream is stream


@each_dialect
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"x":"\xff"}', "invalid_json", None),
        (b"[]", "invalid_body", None),
        (b'"model"', "invalid_body", None),
        (b'{"model":"a","model":"b"}', "duplicate_member", "model"),
        (b'{"stream":true,"str\\u0065am":false}', "duplicate_member", "stream"),
        (b'{"Model":"a"}', "ambiguous_member", "model"),
        (b'{"STREAM":true}', "ambiguous_member", "stream"),
        (b'{"stream":1}', "invalid_type", "stream"),
        (b'{"stream":"true"}', "invalid_type", "stream"),
        (b'{"messages":{}}', "invalid_type", "messages"),
        (b'{"messages":null}', "invalid_type", "messages"),
        (b'{"model":5}', "invalid_type", "model"),
        (b'{"model":[]}', "invalid_value", "model"),
        (b'{"model":["a",""]}', "invalid_value", "model"),
        (b'{"model":["a",5]}', "invalid_type", "model"),
        (b'{"model":["auto","a"]}', "invalid_value", "model"),
        (b'{"model":[%b]}' % b",".join([b'"m"'] * (MOST_NAMES + 1)), "invalid_value", "model"),
        (b'{"model":"%b"}' % (b"x" * MOST_MODEL), "invalid_value", "model"),
        (b"{%b}" % b",".join(b'"%d":1' % number for number in range(10_001)), "invalid_body", None),
    ],
)
def test_what_is_wrong_is_named(requests: RequestReader, body: bytes, code: str, param: str | None) -> None:
    assert refused(requests, body) == (400, code, param)


@each_dialect
def test_members_that_are_not_read_may_occur_twice(requests: RequestReader) -> None:
    assert requests.read(b'{"model":"m","x":1,"x":2}').model == "m"


@each_dialect
@pytest.mark.parametrize("name", ["models", "route", "preset", "fallbacks", "Fallbacks"])
def test_a_member_that_names_other_models_is_noted(requests: RequestReader, name: str) -> None:
    assert requests.read(json.dumps({"model": "m", name: ["x"]}).encode()).other_models == name


@each_dialect
@given(st.dictionaries(st.text().filter(lambda name: name.casefold() not in ("model", "stream")), st.integers()))
def test_no_unknown_member_is_refused_or_changed(requests: RequestReader, more: dict[str, int]) -> None:
    more = {name: value for name, value in more.items() if name not in READ}
    body = json.dumps({"model": "m"} | more).encode()
    call = requests.read(body)
    changed = json.loads(b"".join(call.segments({"model": b'"other"'})))
    assert changed == json.loads(body) | {"model": "other"}


@each_dialect
def test_a_large_body_is_checked_in_steps(requests: RequestReader) -> None:
    body = b'{"model":"m","x":"%b"}' % ("ü".encode() * 1_000_000)
    assert len(list(requests.check(body))) > 20
    assert requests.read(body, checked=True).model == "m"
    for broken, code in ((body[:-2] + b'\xff"}', "invalid_json"), (b"[" * 10_000_001, "invalid_body")):
        with pytest.raises(ClientFault) as caught:
            list(requests.check(broken))
        assert caught.value.code == code


@each_dialect
def test_a_request_for_usage_is_an_object(requests: RequestReader) -> None:
    assert json.loads(requests.with_usage(requests.read(b"{}"))) == {"include_usage": True}


def test_members_are_read_without_a_model() -> None:
    assert members_of(b'{"contents":[1]}', frozenset({"contents"})).raw("contents") == b"[1]"
    with pytest.raises(ClientFault) as caught:
        members_of(b'{"contents":[1],"contents":[2]}', frozenset({"contents"}))
    assert (caught.value.code, caught.value.param) == ("duplicate_member", "contents")
