"""The key of a request: what it depends on, and that no two requests that may differ in their answer share one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, structs

from proxy.cache.key import CountedHeaders, KeyContext, Shape, counted, pairs_key, prefix_of
from proxy.dialects.table import CHAT, EMBEDDINGS

ASKED = KeyContext("v1", "owner:ann", "", "chat/completions", "", "", "", "plain")
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}


def key_of(body: Any, asked: KeyContext = ASKED, headers: list[tuple[bytes, bytes]] | None = None) -> bytes:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = CHAT.requests.read(written)
    asked = structs.replace(asked, form="stream" if call.stream else "plain")
    members, lines = call.members, counted(headers or [], CountedHeaders())
    if members.pairs is not None:
        return pairs_key(prefix_of(asked), members.pairs, lines)
    return Shape(prefix_of(asked), tuple(members.values)).key(members.values, lines)


def test_equal_requests_share_a_key_of_32_bytes() -> None:
    assert key_of(BODY) == key_of(dict(BODY))
    assert len(key_of(BODY)) == 32


def test_the_order_of_members_and_the_space_between_them_do_not_count() -> None:
    turned = json.dumps(dict(reversed(BODY.items())), indent=None, separators=(", ", ":  ")).encode()
    compact = json.dumps(BODY, separators=(", ", ": ")).encode()
    assert key_of(turned.replace(b":  0", b":0")) != b""
    assert key_of(json.dumps(dict(reversed(BODY.items()))).encode()) == key_of(compact)


@pytest.mark.parametrize(
    "other",
    [
        BODY | {"temperature": 0.5},
        BODY | {"seed": 1},
        BODY | {"stream": True},
        BODY | {"model": "n"},
        BODY | {"model": ["m", "n"]},
        BODY | {"tags": ["code"]},
        BODY | {"user": "ann"},
        BODY | {"stream_options": {"include_usage": True}},
    ],
)
def test_each_member_counts(other: dict[str, Any]) -> None:
    assert key_of(other) != key_of(BODY)


def test_of_members_with_one_name_all_count() -> None:
    assert key_of(b'{"model":"m","a":1,"a":2}') != key_of(b'{"model":"m","a":2}')
    assert key_of(b'{"model":"m","a":1,"a":2}') != key_of(b'{"model":"m","a":2,"a":1}')


@pytest.mark.parametrize("field", [name for name in KeyContext.__struct_fields__ if name != "form"])
def test_who_asks_where_counts(field: str) -> None:
    assert key_of(BODY, structs.replace(ASKED, **{field: "other"})) != key_of(BODY)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("x-router-tags", True),
        ("X-Router-Type", True),
        ("x-router-anything-new", True),
        ("anthropic-beta", True),
        ("OpenAI-Beta", True),
        ("x-custom", True),
        ("Accept", True),
        ("accept-language", True),
        ("content-language", True),
        ("content-type", False),
        ("idempotency-key", False),
        ("traceparent", False),
        ("x-router-cache", False),
        ("x-router-labels", False),
        ("x-router-run", False),
        ("x-router-metadata", False),
        ("user-agent", False),
        ("x-request-id", False),
        ("x-stainless-retry-count", False),
    ],
)
def test_which_headers_count(name: str, counts: bool) -> None:
    lines = counted([(name.encode(), b"1")], CountedHeaders([b"x-custom"]))
    assert lines == ([name.lower().encode(), b"1"] if counts else [])


@pytest.mark.parametrize("line", [(b"Accept", b"*/*"), (b"accept", b"application/json"), (b"accept-language", b"*")])
def test_what_sdks_send_without_being_asked_does_not_count(line: tuple[bytes, bytes]) -> None:
    assert counted([line], CountedHeaders()) == []
    assert counted([line, (b"openai-beta", b"1")], CountedHeaders()) == [b"openai-beta", b"1"]


def test_headers_count_in_any_order_and_spelling() -> None:
    one = [(b"x-router-tags", b"a"), (b"anthropic-beta", b"b")]
    other = [(b"Anthropic-Beta", b"b"), (b"user-agent", b"u"), (b"X-Router-Tags", b"a")]
    assert key_of(BODY, headers=one) == key_of(BODY, headers=other)


def input_keys(body: bytes, headers: tuple[bytes, ...] = ()) -> list[bytes]:
    call = EMBEDDINGS.requests.read(body)
    values, items = call.members.values, json.loads(bytes(call.members.values["input"]))
    raws = [Raw(json.dumps(each).encode()) for each in items]
    return Shape(prefix_of(ASKED), tuple(values)).input_keys(values, headers, "input", raws)


def test_inputs_have_keys_of_their_own() -> None:
    keys = input_keys(b'{"model":"e","input":["a","b",["a","b"]]}')
    call = EMBEDDINGS.requests.read(b'{"model":"e","input":["a","b"]}')
    whole = Shape(prefix_of(ASKED), ("model", "input")).key(call.members.values)
    assert len({*keys, whole}) == 4
    assert input_keys(b'{"input":["c","a"],"model":"e"}')[1] == keys[0]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"model":"f","input":["a"]}', ()),
        (b'{"model":"e","input":["a"],"dimensions":2}', ()),
        (b'{"model":"e","input":["a"],"z":2}', ()),
        (b'{"model":"e","input":["a"]}', (b"openai-beta", b"1")),
    ],
)
def test_the_rest_of_the_call_counts_for_each_input(body: bytes, headers: tuple[bytes, ...]) -> None:
    assert input_keys(body, headers) != input_keys(b'{"model":"e","input":["a"]}')


def test_the_rest_of_the_call_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a client could hold the loop for seconds with 2048 inputs beside a large member."""
    hashed: list[int] = []

    class Counted:
        def __init__(self, data: bytes = b"") -> None:
            hashed.append(len(data))

        def copy(self) -> Counted:
            return Counted()

        def update(self, data: bytes) -> None:
            hashed.append(len(data))

        def digest(self) -> bytes:
            return b""

    monkeypatch.setattr("proxy.cache.key.sha256", Counted)
    input_keys(json.dumps({"model": "e", "input": ["a"] * 100, "user": "x" * 10_000}).encode())
    assert sum(hashed) < 12_000


NAMES = st.text(max_size=4) | st.sampled_from(["a", "b", "ab", "a\0b", "", "\0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
REQUESTS = st.fixed_dictionaries(
    {
        "members": st.dictionaries(NAMES.filter(lambda n: n.casefold() not in ("model", "stream")), VALUES, max_size=3),
        "model": st.sampled_from(["m", "n", ["m"], ["m", "n"], "m,n"]),
        "stream": st.booleans(),
        "headers": st.lists(
            st.tuples(st.sampled_from([b"x-router-tags", b"x-router-type", b"openai-beta"]), st.binary(max_size=3)),
            max_size=2,
        ),
        "scope": st.sampled_from(["owner:a", "owner:b", "", "ab"]),
        "access": st.sampled_from(["", "a", "b"]),
    }
)


@given(REQUESTS, REQUESTS)
def test_two_requests_that_may_differ_in_their_answer_never_share_a_key(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    def key(request: dict[str, Any]) -> bytes:
        body = request["members"] | {"model": request["model"], "stream": request["stream"]}
        asked = structs.replace(ASKED, scope=request["scope"], access=request["access"])
        return key_of(body, asked, request["headers"])

    def meaning(request: dict[str, Any]) -> str:
        raw = sorted((name, json.dumps(value)) for name, value in request["members"].items())
        lines = sorted(request["headers"], key=lambda line: line[0])
        rest = [request[name] for name in ("model", "stream", "scope", "access")]
        return repr((raw, lines, rest))

    assert (key(one) == key(other)) == (meaning(one) == meaning(other))
