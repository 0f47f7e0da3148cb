from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.wire.patch import MAX_MEMBERS, DuplicateMember, Members, NotAnObject, NotJSON, TooManyMembers, parse, size

Change = dict[str, bytes | None]


class Pairs(list[tuple[str, Any]]):
    """An object as the list of its members: order and duplicates at every level count."""


def decode(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    # Numbers stay text: 1e400 is not 2e400, and 1.0 is not 1.
    document = json.loads(body.decode(), object_pairs_hook=Pairs, parse_float=str, parse_int=str, parse_constant=refuse)
    json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return document


def changed(pairs: Pairs, changes: Change) -> Pairs:
    """The plain way: decode, change, encode."""
    result = Pairs()
    for name, value in pairs:
        if name not in changes:
            result.append((name, value))
        elif (new := changes[name]) is not None:
            result.append((name, decode(new)))
    present = {name for name, _ in pairs}
    result += [(name, decode(new)) for name, new in changes.items() if new is not None and name not in present]
    return result


def joined(segments: list[bytes | memoryview]) -> bytes:
    body = b"".join(segments)
    assert size(segments) == len(body)
    return body


# --- JSON texts of any shape: white space, escapes, duplicates, odd numbers ---

SPACE = st.text(" \t\n\r", max_size=3)
NAMES = st.sampled_from(
    [
        "model",
        "stream",
        "messages",
        "a",
        "b",
        "",
        '"',
        "\\",
        "a\\",
        '""x',
        "größe",
        "éé:",
        '"":',
        "🎉",
        ":",
        "{",
        '":',
        "\n",
    ]
)
NUMBERS = st.sampled_from(["0", "-0", "1", "12", "123456789012345678901234567890", "1e400", "-1.5E-3", "0.10"])


@st.composite
def strings(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A JSON string, any of its characters escaped in any of the allowed ways."""
    source = ""
    for character in draw(texts):
        units = character.encode("utf-16-be")
        longest = "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
        forms = [
            json.dumps(character)[1:-1],
            longest,
            longest.replace("\\u00", "\\u00").upper().replace("\\U", "\\u"),
        ]
        if character not in '"\\\n' and ord(character) >= 0x20:
            forms = [character] * 4 + forms
        source += draw(st.sampled_from(forms))
    return f'"{source}"'


SCALARS = st.one_of(NUMBERS, st.sampled_from(["true", "false", "null"]), strings(st.text(max_size=6) | NAMES))


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    items = [draw(SPACE) + value + draw(SPACE) for value in draw(st.lists(values, max_size=3))]
    return "[" + (",".join(items) or draw(SPACE)) + "]"


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    members = [
        draw(SPACE) + draw(strings(NAMES)) + draw(SPACE) + ":" + draw(SPACE) + value + draw(SPACE)
        for value in draw(st.lists(values, max_size=4))
    ]
    return "{" + (",".join(members) or draw(SPACE)) + "}"


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | objects(inner), max_leaves=8)
BODIES = st.builds(lambda before, text, after: (before + text + after).encode(), SPACE, objects(VALUES), SPACE)
CHANGES = st.dictionaries(NAMES, st.none() | VALUES.map(str.encode), max_size=4)


@given(BODIES, CHANGES)
@example(b'{"a":1,"b":2,"c":3}', {"b": None, "c": None})
@example(b'{"a":1,"b":2,"c":3}', {"a": None, "b": None})
@example(b' { "a" : 1 , "b" : 2 } ', {"a": None, "b": None, "c": b"3"})
@example(b'{"a":1}', {"a": None, "b": b"2", "c": b"3"})
@example(b"{ }", {"a": b"1"})
@example('{"éé:":1,"b":2}'.encode(), {"éé:": b"3"})
@example(b'{"\\"\\":":1,"b":2}', {'"":': b"3"})
@example(b'{"a":1,"a":"1234"}', {"a": b"2"})
@example(b'{"a":1,"b":22,"a":{"b":1}}', {"b": b"3"})
def test_a_spliced_body_equals_decode_change_encode(body: bytes, changes: Change) -> None:
    assert decode(joined(parse(body).splice(changes))) == changed(decode(body), changes)


@given(BODIES)
def test_members_are_those_of_a_json_reader_and_their_bytes_are_exact(body: bytes) -> None:
    members = parse(body)
    pairs = decode(body)
    for name, value in dict(pairs).items():
        raw = members.raw(name)
        assert name in members
        assert raw is not None
        assert raw in body
        assert raw.strip() == raw
        assert decode(raw) == value
        assert members.first_byte(name) == raw[:1]
        assert members.size(name) == len(raw)
        for _ in range(2):  # before and after the places of all members are known
            begin, end = members.span(name)
            assert body[begin:end] == raw
            members.splice({name: None})
    assert "absent" not in members
    assert members.size("absent") == 0
    assert members.raw("absent") is None
    assert members.first_byte("absent") is None


@st.composite
def dismantled(draw: st.DrawFn) -> list[tuple[str, str, str, str]]:
    """Members with distinct names: the name, what stands before its value, the value, and what follows it."""
    return [
        (
            name,
            draw(SPACE) + draw(strings(st.just(name))) + draw(SPACE) + ":" + draw(SPACE),
            draw(VALUES),
            draw(SPACE),
        )
        for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=6))
    ]


def assembled(parts: list[tuple[str, str, str, str]]) -> bytes:
    return ("{" + ",".join(before + value + after for _, before, value, after in parts) + "}").encode()


@given(dismantled(), CHANGES)
def test_only_the_values_change_and_no_other_byte(parts: list[tuple[str, str, str, str]], changes: Change) -> None:
    new = {name: value.decode() for name, value in changes.items() if value is not None}
    present = {name for name, *_ in parts}
    expected = assembled([(name, before, new.get(name, value), after) for name, before, value, after in parts])
    replaced: Change = {name: value.encode() for name, value in new.items() if name in present}
    assert joined(parse(assembled(parts)).splice(replaced)) == expected


@given(dismantled(), st.sets(NAMES))
def test_other_members_keep_their_bytes_after_a_deletion(
    parts: list[tuple[str, str, str, str]], gone: set[str]
) -> None:
    rest = joined(parse(assembled(parts)).splice(dict.fromkeys(gone)))
    at = 0
    for name, before, value, _ in parts:
        if name not in gone:
            member = (before.lstrip(" \t\n\r") + value).encode()
            at = rest.index(member, at) + len(member)
    assert decode(rest) == changed(decode(assembled(parts)), dict.fromkeys(gone))


@pytest.mark.parametrize(
    ("body", "changes", "result"),
    [
        (b'{"model":"a","n":1}', {"model": b'"b"'}, b'{"model":"b","n":1}'),
        (b'{"model":"a","n":1}', {"n": None}, b'{"model":"a"}'),
        (b'{"model":"a","n":1}', {"model": None}, b'{"n":1}'),
        (b'{"model": "a", "n": 1}', {"model": None}, b'{"n": 1}'),
        (b'{"model": "a", "n": 1, "m": 2}', {"n": None}, b'{"model": "a", "m": 2}'),
        (b'{\n  "model": "a",\n  "n": 1\n}\n', {"n": None}, b'{\n  "model": "a"\n}\n'),
        (b'{"model":"a"}', {"model": None}, b"{}"),
        (b'{"model":"a"}', {"x": b"1"}, b'{"model":"a","x":1}'),
        (b'{\n  "model": "a"\n}\n', {"x": b"1"}, b'{\n  "model": "a","x":1\n}\n'),
        (b" { } ", {"x": b"1", "y": b"2"}, b' {"x":1,"y":2 } '),
        (b'{"model":"a"}', {"model": None, "x": b"1"}, b'{"x":1}'),
        (b'{"model":"a"}', {"absent": None}, b'{"model":"a"}'),
        (b'{"\\u006dodel":"a"}', {"model": b'"b"'}, b'{"\\u006dodel":"b"}'),
        (b'{"x":{"model":"a"},"model":"a"}', {"model": b'"b"'}, b'{"x":{"model":"a"},"model":"b"}'),
        (b'{"x":"\\"model\\":1","model":1}', {"model": b"2"}, b'{"x":"\\"model\\":1","model":2}'),
        (b'{"a":1,"a":2}', {"a": b"3"}, b'{"a":3,"a":3}'),
        (b'{"a":1,"b":0,"a":2}', {"a": None}, b'{"b":0}'),
        (b'{"model":"a"}', {'q"\n': b"1"}, b'{"model":"a","q\\"\\n":1}'),
    ],
)
def test_splicing_by_example(body: bytes, changes: Change, result: bytes) -> None:
    assert joined(parse(body).splice(changes)) == result


def test_the_untouched_parts_are_views_of_the_body() -> None:
    body = b'{"model":"a","messages":["' + b"x" * 100_000 + b'"],"n":1}'
    segments = parse(body).splice({"model": b'"b"', "n": b"2"})
    views = [segment for segment in segments if isinstance(segment, memoryview)]
    assert all(view.obj is body for view in views)
    assert size(views) == len(body) - len('"a"1')


def test_an_unchanged_body_is_the_same_object() -> None:
    body = b'{"model":"a"}'
    assert parse(body).splice({"absent": None})[0] is body


def test_the_same_members_can_be_spliced_again_for_another_attempt() -> None:
    members = parse(b'{"model":"a","x":1}')
    assert joined(members.splice({"model": b'"b"', "x": None})) == b'{"model":"b"}'
    assert joined(members.splice({"model": b'"c"'})) == b'{"model":"c","x":1}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":1,"model":1}',
        b'{"model":1,"x":2,"model":3}',
        b'{"model":1,"\\u006dodel":2}',
        b'{"\\u006Dodel":1,"mod\\u0065l":2}',
        b'{ "model" : 1 , "model" : "1 , \\"x\\" : 2" , "x" : 2 }',
        b'{"model":1,"model":{"model":2}}',
        b'{"pad":"' + b"x" * 100_000 + b'","model":1,"model":2}',
    ],
)
def test_a_watched_member_that_occurs_twice_is_refused(body: bytes) -> None:
    with pytest.raises(DuplicateMember) as caught:
        parse(body, frozenset(("stream", "model")))
    assert caught.value.name == "model"


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":1,"x":2,"model":3}',
        b'{"model":3,"x":{"model":1,"model":2}}',
        b'{"model":3,"x":["model","model"]}',
        b'{"model":3,"Model":4,"model ":5}',
        b'{"model":3,"x":"\\"model\\":1,\\"model\\":2"}',
    ],
)
def test_other_duplicates_are_allowed(body: bytes) -> None:
    members = parse(body, frozenset(("model",)))
    assert joined(members.splice({"stream": None})) == body
    assert members.raw("model") == b"3"


@given(BODIES, st.frozensets(NAMES))
def test_a_duplicate_is_refused_exactly_if_it_is_watched(body: bytes, watched: frozenset[str]) -> None:
    names = [name for name, _ in decode(body)]
    twice = {name for name in watched if names.count(name) > 1}
    if not twice:
        parse(body, watched)
        return
    with pytest.raises(DuplicateMember) as caught:
        parse(body, watched)
    assert caught.value.name in twice


MALFORMED = [
    b"",
    b" ",
    b"{",
    b"}",
    b"[1",
    b'{"a":1,}',
    b'{"a" 1}',
    b'{"a":1 "b":2}',
    b"{a:1}",
    b"{'a':1}",
    b'{"a":1}x',
    b'{"a":1}{}',
    b'{"a":01}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":"x\ny"}',
    b'{"a":"\\q"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\ud83d"}',
    b'{"\\ud83d":1}',
    b'{"a":["\\ud83d x"]}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xc3',
    b'{"\xff":1}',
    b'{"a":["\xc3"]}',
    b'{"a":"' + b"x" * 100_000 + b'\xc3"}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":1}\0',
    b'{"a":1,/**/"b":2}',
    '{"a":1}'.encode("utf-16"),
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"[" * 100_000,
    b'"text',
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:20]))
def test_invalid_json_is_refused(body: bytes) -> None:
    with pytest.raises(NotJSON) as caught:
        parse(body)
    assert str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b'["model"]', b'"model"', b"1", b"null", b"true", b" [{}] "])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnObject):
        parse(body)


def test_the_error_does_not_quote_the_body() -> None:
    with pytest.raises(NotJSON) as caught:
        parse(b'{"api_key":"secret",}')
    assert "secret" not in str(caught.value)
    assert "api_key" not in str(caught.value)


@pytest.mark.parametrize("edge", range(65_530, 65_542))
def test_text_outside_ascii_is_checked_across_pieces(edge: int) -> None:
    body = b'{"a":"' + b"x" * (edge - 6) + "🎉ü".encode() + b'"}'
    assert parse(body).raw("a") == body[5:-1]
    with pytest.raises(NotJSON):
        parse(body.replace("🎉".encode(), "🎉".encode()[:3]))


@pytest.mark.parametrize("value", [b"1", b'"' + b"x" * 10 + b'"'], ids=["small body", "large body"])
def test_the_number_of_members_is_limited(value: bytes) -> None:
    members = [b'"%d":%b' % (number, value) for number in range(MAX_MEMBERS)]
    assert str(MAX_MEMBERS - 1) in parse(b"{%b}" % b",".join(members))
    with pytest.raises(TooManyMembers):
        parse(b"{%b}" % b",".join([*members, b'"more":1']))


def outcome(body: bytes) -> Members | None:
    """Nothing but the three errors may come out."""
    try:
        return parse(body, frozenset(("model", "a")))
    except (NotJSON, NotAnObject, DuplicateMember):
        return None


def agrees_with_json(body: bytes) -> None:
    members = outcome(body)
    try:
        document = decode(body)
    except (ValueError, RecursionError):
        document = None
    if members is not None:
        assert isinstance(document, Pairs)
        assert joined(members.splice({})) == body
        assert decode(joined(members.splice({"a": b"[7]"}))) == changed(document, {"a": b"[7]"})
    elif isinstance(document, Pairs):
        names = [name for name, _ in document]
        assert any(names.count(name) > 1 for name in ("model", "a"))


@given(st.binary(max_size=40))
def test_random_bytes_give_one_of_the_three_errors(body: bytes) -> None:
    agrees_with_json(body)


@given(BODIES, st.integers(0, 2**32))
def test_a_damaged_body_is_refused_or_still_json(body: bytes, seed: int) -> None:
    random_ = random.Random(seed)
    damaged = bytearray(body)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(damaged) + 1)
        match random_.randrange(3):
            case 0:
                damaged[at:at] = random_.choice(
                    [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"\xff", b"\n", b" "]
                )
            case 1:
                del damaged[at : at + random_.randint(1, 3)]
            case _:
                damaged[at : at + 1] = bytes([random_.randrange(256)])
    agrees_with_json(bytes(damaged))


# -- edits within values --------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "bc", "def"]), min_size=1, max_size=5), st.sets(st.integers(0, 4)), st.booleans())
def test_edits_replace_bytes_within_the_values_of_other_members(
    words: list[str], chosen: set[int], removed: bool
) -> None:
    body = json.dumps({"model": "a", "words": words, "x": 1, "n": 2}, indent=1).encode()
    members = parse(body)
    begin, _ = members.span("words")
    edits = []
    for number, word in enumerate(words):
        at = body.index(f'"{word}"'.encode(), begin)
        begin = at + len(word) + 2
        if number in chosen:
            edits.append((at, begin, b'"changed"'))
    changes: Change = {"model": b'"other"', "x": None, "new": b"[]"} if removed else {}
    found = json.loads(joined(members.splice(changes, edits[::-1])))
    assert found["words"] == ["changed" if number in chosen else word for number, word in enumerate(words)]
    del found["words"]
    assert found == ({"model": "other", "n": 2, "new": []} if removed else {"model": "a", "x": 1, "n": 2})


def test_all_bytes_around_an_edit_stay() -> None:
    body = b' { "a" : [ 1 , 2 ] , "b" : 3 } '
    assert joined(parse(body).splice({}, [(11, 12, b"9"), (15, 16, b"")])) == b' { "a" : [ 9 ,  ] , "b" : 3 } '
