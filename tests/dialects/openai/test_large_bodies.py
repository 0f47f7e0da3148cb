"""A body costs memory in proportion to its size, whatever stands in it. Its members are small and many, or one and large."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from proxy.dialects.json_call import MOST_MODEL, MOST_NAMES
from proxy.dialects.openai.call import MOST_OF_OPTIONS, MOST_OPTIONS, MOST_PROMPTS, REQUESTS
from proxy.errors import ClientFault
from proxy.wire.criteria import MOST_TAGS
from proxy.wire.patch import MAX_MEMBERS, MAX_NAMES, TooManyMembers, parse

read, check, with_usage = REQUESTS.read, REQUESTS.check, REQUESTS.with_usage
prompt_tokens, output_tokens = REQUESTS.prompt_tokens, REQUESTS.output_tokens

SIZE = 2 * 1024 * 1024
HELLO = b'{"model":"m","messages":[{"role":"user","content":"hi"}]'


def filled(begin: bytes, unit: bytes, end: bytes, size: int = SIZE) -> bytes:
    return begin + unit * ((size - len(begin) - len(end)) // len(unit)) + end


BODIES: dict[str, bytes] = {
    "prompt of numbers": filled(b'{"model":"m","prompt":[1', b",1", b"]}"),
    "prompt of token arrays": filled(b'{"model":"m","prompt":[[1]', b",[1]", b"]}"),
    "prompt of texts": filled(b'{"model":"m","prompt":["a"', b',"a"', b"]}"),
    "prompt of empty texts": filled(b'{"model":"m","prompt":[""', b',""', b"]}"),
    "input of texts": filled(b'{"model":"m","input":["a"', b',"a"', b"]}"),
    "input of numbers": filled(b'{"model":"m","input":[1', b",1", b"]}"),
    "messages that are empty": filled(b'{"model":"m","messages":[{}', b",{}", b"]}"),
    "messages that are numbers": filled(b'{"model":"m","messages":[1', b",1", b"]}"),
    "model as many names": filled(b'{"model":["a"', b',"a"', b"]}"),
    "model as a long name": filled(b'{"model":"', b"a", b'"}'),
    "model of escapes": filled(b'{"model":"', rb"\n", b'"}'),
    "model that needs four bytes a character": filled(b'{"model":"\xf0\x9f\x8e\x89', b"a", b'"}'),
    "tags": filled(HELLO + b',"tags":["a"', b',"a"', b"]}"),
    "type": filled(HELLO + b',"type":"', rb"\n", b'"}'),
    "min_context_size": filled(HELLO + b',"min_context_size":1', b"0", b"}"),
    "stream": filled(HELLO + b',"stream":"', b"a", b'"}'),
    "stream_options of one name": filled(HELLO + b',"stream_options":{"a":1', b',"a":1', b"}}"),
    "stream_options of many names": HELLO
    + b',"stream_options":{%b}}' % b",".join(b'"%x":1' % number for number in range(SIZE // 9)),
    "n": filled(HELLO + b',"n":1', b"0", b"}"),
    "max_tokens": filled(HELLO + b',"max_tokens":1', b"0", b"}"),
    "tools": filled(HELLO + b',"tools":[{}', b",{}", b"]}"),
    "a name of escapes": filled(HELLO + b',"', rb"\n", b'":1}'),
    "a long name": filled(HELLO + b',"', b"k", b'":1}'),
    "names of escapes": HELLO + b"".join(b',"%04d%b":1' % (number, rb"\n" * 500) for number in range(2000)) + b"}",
    "many members": HELLO + b"".join(b',"%x":1' % number for number in range(SIZE // 9)) + b"}",
    "a member many times": filled(HELLO + b',"x":1', b',"x":1', b"}"),
    "a member that we read many times": filled(b'{"model":"m"', b',"model":"m"', b"}"),
    "numbers that we do not read": filled(HELLO + b',"metadata":[1', b",1", b"]}"),
    "nesting": HELLO + b',"x":' + b"[" * (SIZE // 2) + b"]" * (SIZE // 2) + b"}",
    "nesting that is allowed": filled(HELLO + b',"x":[0', b"," + b"[" * 400 + b"]" * 400, b"]}"),
    "space": filled(HELLO + b",", b" ", b'"n":1}'),
    "an array": filled(b"[1", b",1", b"]"),
    "a text": filled(b'"', b"a", b'"'),
}


def peak_of(step: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_whole(body: bytes) -> None:
    """Everything that is done with the body of a call."""
    try:
        call = read(body)
    except ClientFault:
        return
    prompt_tokens(call, 1, 1)
    output_tokens(call, 0, 1)
    call.segments({"model": b'"other"', "stream_options": with_usage(call), "tags": None})


@pytest.mark.parametrize("name", BODIES)
def test_reading_a_body_takes_at_most_its_own_size_again(name: str) -> None:
    body = BODIES[name]
    # The quarter is what msgspec's own buffer for a name of escapes is larger than the name.
    assert peak_of(lambda: read_whole(body)) < 1.25 * len(body)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_freed_without_the_garbage_collector(name: str) -> None:
    body = BODIES[name]
    gc.disable()
    try:
        before = sys.getrefcount(body)
        read_whole(body)
        assert sys.getrefcount(body) == before
    finally:
        gc.enable()


# The bounds


def refused(body: bytes, param: str | None, code: str = "invalid_value") -> str:
    with pytest.raises(ClientFault) as caught:
        read(body)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)
    return caught.value.message


def listed(count: int) -> bytes:
    return b",".join(b'"%d"' % number for number in range(count))


def test_a_model_may_be_a_list_of_64_names() -> None:
    assert len(read(b'{"model":[%b]}' % listed(64)).names) == MOST_NAMES == 64
    assert "64" in refused(b'{"model":[%b]}' % listed(65), "model")


def test_a_model_of_more_than_256_kb_is_refused() -> None:
    name = b"x" * (MOST_MODEL - 2)
    assert read(b'{"model":"%b"}' % name).model == name.decode()
    refused(b'{"model":"%bx"}' % name, "model")


def test_tags_are_at_most_64() -> None:
    assert len(read(b'{"tags":[%b]}' % listed(64)).criteria.tags) == MOST_TAGS == 64
    assert "64" in refused(b'{"tags":[%b]}' % listed(65), "tags")


def test_tags_of_the_longest_spelling_fit() -> None:
    tags = [b"%02d" % number + rb"\ud83c\udf89" * 198 for number in range(MOST_TAGS)]
    assert len(read(b'{"tags":["%b"]}' % b'","'.join(tags)).criteria.tags) == MOST_TAGS


def test_stream_options_have_at_most_16_members() -> None:
    options = [b'"%d":1' % number for number in range(15)]
    assert read(b'{"stream_options":{%b,"include_usage":true}}' % b",".join(options)).wants_usage
    message = refused(b'{"stream_options":{%b,"a":1,"b":1}}' % b",".join(options), "stream_options")
    assert str(MOST_OPTIONS) in message


def test_stream_options_of_more_than_4_kb_are_refused() -> None:
    refused(b'{"stream_options":{"a":"%b"}}' % (b"x" * MOST_OF_OPTIONS), "stream_options")


def test_too_many_members_are_named_as_the_reason() -> None:
    body = HELLO + b"".join(b',"%x":1' % number for number in range(MAX_MEMBERS)) + b"}"
    assert "10,000 members" in refused(body, None, "invalid_body")


def test_names_of_more_than_256_kb_are_named_as_the_reason() -> None:
    assert "256 KB" in refused(HELLO + b',"%b":1}' % (b"k" * MAX_NAMES), None, "invalid_body")


def test_names_up_to_256_kb_pass() -> None:
    name = rb"\n" * (MAX_NAMES - 10)
    members = parse(b'{"a":1,"%b":2}' % name)
    assert b"".join(members.splice({"a": b"3"})) == b'{"a":3,"%b":2}' % name
    with pytest.raises(TooManyMembers):
        parse(b'{"a":1,"%b%b":2}' % (name, rb"\n" * 10))


@pytest.mark.parametrize(
    ("unit", "choices"),
    [
        (b'"text"', 30_000),
        (b'"with \\"quotes\\" in it"', 30_000),
        (b"[1,2]", 30_000),
        (b"12345", 1),
    ],
)
def test_the_prompts_of_a_large_array_are_counted(unit: bytes, choices: int) -> None:
    body = b'{"model":"m","n":2,"prompt":[%b]}' % b",".join([unit] * 30_000)
    assert len(body) > MOST_PROMPTS
    assert read(body).choices == 2 * choices


@pytest.mark.parametrize(
    ("body", "prompts"),
    [
        (b'"%b"' % (b"a" * 2_000_000), 1),
        (b",".join([b'"%b \\" x"' % (b"a" * 500_000)] * 3), 3),
        (b",".join([b"[%b1]" % (b"1," * 500_000)] * 3), 3),
        (b"1," * 1_000_000 + b"1", 1),
    ],
)
def test_prompts_of_megabytes_are_counted(body: bytes, prompts: int) -> None:
    assert read(b'{"model":"m","prompt":[%b]}' % body).choices == prompts


def test_the_text_of_a_large_body_can_be_checked_in_steps() -> None:
    body = b'{"model":"m","x":"%b"}' % ("ü".encode() * 1_000_000)
    assert len(list(check(body))) > 20
    assert read(body, checked=True).model == "m"
    with pytest.raises(ClientFault) as caught:
        list(check(body[:-2] + b'\xff"}'))
    assert caught.value.code == "invalid_json"
    assert len(list(check(b"{}" * 1_000_000))) == 2  # what is ASCII needs no look at its text
