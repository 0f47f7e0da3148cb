from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.call import Call
from proxy.dialects.json_estimate import MOST_BYTES, MOST_PIECES, MOST_TOKENS
from proxy.dialects.openai.call import REQUESTS

read = REQUESTS.read
prompt_tokens, output_tokens = REQUESTS.prompt_tokens, REQUESTS.output_tokens

IMAGE, AUDIO = 1000, 300
PAYLOAD = "QUJD" * 2000


def call(**members: Any) -> Call:
    return read(json.dumps({"model": "m"} | members).encode())


def prompt(call: Call) -> int:
    return prompt_tokens(call, IMAGE, AUDIO)


def by_bytes(value: Any) -> int:
    return math.ceil(len(json.dumps(value)) / 4)


# -- what is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, 0),
        ({"messages": []}, 0),
        ({"messages": [{"role": "user", "content": "12345678"}]}, 2),
        ({"messages": [{"role": "user", "content": "123456789"}]}, 3),
        ({"messages": [{"role": "user", "content": "\u4e2d\u4e2d\u4e2d\u4e2d"}]}, 3),
        ({"messages": [{"content": "12"}, {"content": "34"}]}, 1),
        ({"messages": [{"content": [{"type": "text", "text": "1234"}, {"type": "image_url"}]}]}, 1001),
        ({"messages": [{"content": [{"type": "input_audio"}]}]}, 300),
        ({"prompt": "1234\n567"}, 2),
        ({"prompt": ["1234", "5678"]}, 2),
        ({"prompt": [1, 22, 333]}, 3),
        ({"prompt": [[1, 22], [333]]}, 3),
        ({"prompt": []}, 0),
        ({"prompt": None}, 0),
        ({"prompt": ""}, 0),
        ({"input": "1234"}, 1),
        ({"input": ["1234", "12345"]}, 3),
        ({"input": [5]}, 1),
        ({"input": [{"role": "user", "content": "1234"}], "instructions": "5678"}, 2),
        ({"instructions": None}, 0),
        ({"tools": None, "functions": "x"}, 0),
        ({"model": "long enough to count", "user": "long enough to count", "stop": ["long enough"]}, 0),
    ],
)
def test_four_bytes_of_text_are_a_token(members: dict[str, Any], expected: int) -> None:
    assert prompt(call(**members)) == expected


def test_tools_count_by_the_bytes_of_their_json() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert prompt(call(tools=tools)) == prompt(call(functions=tools)) == by_bytes(tools)


def test_base64_is_no_text() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PAYLOAD}"}},
        {"type": "input_audio", "input_audio": {"data": PAYLOAD, "format": "wav"}},
        {"type": "text", "text": "1234"},
    ]
    assert prompt(call(messages=[{"role": "user", "content": parts}])) == IMAGE + AUDIO + 1


# -- what is not read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"id": "pmpt_1", "variables": {"city": "Paris"}},
        5,
        True,
        ["text", 5],
        [["text"]],
        [{"type": "hologram", "what": "a new kind"}],
        [{"content": {"text": "x"}}],
    ],
)
def test_a_member_of_unknown_shape_counts_by_its_bytes(value: Any) -> None:
    assert prompt(call(input=value)) == by_bytes(value)
    assert prompt(call(messages=value if isinstance(value, list) else [value, "s"])) > 0


def test_base64_in_a_member_of_unknown_shape_is_no_text() -> None:
    def body(payload: str) -> list[Any]:
        return [{"type": "hologram", "data": payload}, {"type": "input_image", "image_url": f"data:image/{payload}"}]

    assert prompt(call(input=body(PAYLOAD))) == by_bytes(body("")) + AUDIO + IMAGE - math.ceil(len("data:image/") / 4)


def test_a_text_beyond_a_megabyte_counts_by_its_bytes() -> None:
    text = "\n" * MOST_BYTES
    assert prompt(call(prompt=text)) == 2 * MOST_BYTES // 4
    messages = [{"role": "user", "content": text}]
    assert prompt(call(messages=messages)) == by_bytes(messages)


def test_images_beyond_a_megabyte_are_images() -> None:
    def messages(payload: str) -> list[Any]:
        image = {"type": "image_url", "image_url": {"url": payload}}
        return [{"role": "user", "content": [{"type": "text", "text": 'What "is" it?'}, image, image]}]

    seen = call(before="x", messages=messages("data:image/png;base64," + "QUJD" * (MOST_BYTES // 8)), after="y")
    assert seen.members.size("messages") > MOST_BYTES
    assert prompt(seen) == by_bytes(messages("")) + 2 * IMAGE


def test_a_text_without_an_end_is_no_image() -> None:
    assert prompt(call(input="x" * 2 * MOST_BYTES)) == 2 * MOST_BYTES // 4
    assert prompt(call(messages=[{"content": "x" * 2 * MOST_BYTES}])) > 2 * MOST_BYTES // 4


def test_too_many_pieces_count_by_their_bytes() -> None:
    few, many = ([{"content": "1234"}] * number for number in (MOST_PIECES, MOST_PIECES + 2))
    assert prompt(call(messages=few)) == MOST_PIECES
    assert prompt(call(messages=many)) == by_bytes(many)


# -- the answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, 70),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_output_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 8, "max_completion_tokens": 6}, 8),
        ({"max_tokens": None, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 0}, 70),
        ({"max_tokens": 0, "prompt": "a"}, 0),
        ({"max_tokens": 5.5}, 5),
        ({"max_tokens": -1}, 70),
        ({"max_tokens": None}, 70),
        ({"max_tokens": "5"}, 5),
        ({"max_tokens": [5]}, 70),
        ({"max_tokens": True}, 70),
        ({"max_tokens": 10**20}, MOST_TOKENS),
        ({"max_tokens": 10**50}, MOST_TOKENS),
        ({"max_tokens": 1e300}, MOST_TOKENS),
        ({"n": 3}, 210),
        ({"n": 3, "max_tokens": 5}, 15),
        ({"prompt": ["a", "b"], "n": 2, "max_tokens": 5}, 20),
    ],
)
def test_the_call_limits_the_output(members: dict[str, Any], expected: int) -> None:
    assert output_tokens(call(**members), 70, 9) == expected


def test_without_a_limit_the_output_is_the_models_most_or_the_default() -> None:
    assert [output_tokens(call(n=2), *known) for known in ((70, 9), (0, 9), (0, 0))] == [140, 18, 0]


def test_a_number_beyond_all_numbers_is_bounded() -> None:
    assert output_tokens(read(b'{"max_tokens":1e999}'), 70, 9) == MOST_TOKENS


# -- against json.loads -------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(['"', "\\", "\n\t", "é中🎉", "{,}[]"])
parts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "input_text", "text": text}, texts),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, texts),
    st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PAYLOAD}", "detail": "low"}}),
    st.just({"type": "input_audio", "input_audio": {"data": PAYLOAD, "format": "wav"}}),
)
functions = st.builds(lambda name, arguments: {"name": name, "arguments": arguments}, texts, texts)
tool_calls = st.builds(lambda function: {"id": "c", "type": "function", "function": function}, functions)
messages = st.builds(
    lambda content, more: {"role": "user", "content": content, "unknown": {"to": ["us"]}} | more,
    st.none() | texts | st.lists(parts, max_size=4),
    st.fixed_dictionaries(
        {}, optional={"name": texts, "refusal": texts, "tool_calls": st.lists(tool_calls, max_size=2)}
    ),
)
items = st.one_of(
    messages.map(lambda message: message | {"type": "message"}),
    functions.map(lambda function: function | {"type": "function_call", "call_id": "c"}),
    st.builds(lambda output: {"type": "function_call_output", "output": output}, texts | st.lists(parts, max_size=2)),
)
tokens = st.lists(st.integers(0, 200_000), min_size=1, max_size=9)
bodies = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        "messages": st.lists(messages, min_size=1, max_size=4),
        "prompt": texts | st.lists(texts, max_size=4) | tokens | st.lists(tokens, min_size=1, max_size=3),
        "input": texts | st.lists(texts, max_size=4) | tokens | st.lists(items, min_size=1, max_size=4),
        "instructions": st.none() | texts,
        "tools": st.lists(functions, max_size=2),
        "temperature": st.floats(0, 2),
    },
)

_LEAVES = ("text", "refusal", "name", "arguments")
_BRANCHES = ("content", "output", "tool_calls", "function")


def naive(value: Any) -> tuple[int, int]:
    """Bytes of text, and other tokens, of a value that was decoded by the standard library."""
    if isinstance(value, str):
        return len(value.encode()), 0
    if isinstance(value, int):
        return 0, 1
    if isinstance(value, list):
        found = [naive(each) for each in value]
    elif value is None or value.get("type") in ("image_url", "input_audio"):
        return 0, {None: 0, "image_url": IMAGE, "input_audio": AUDIO}[value and value["type"]]
    else:
        found = [naive(value[key]) for key in (*_LEAVES, *_BRANCHES) if key in value]
    return sum(text for text, _ in found), sum(other for _, other in found)


@given(bodies, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
@example({"messages": [{"content": ""}], "prompt": ["", ""]}, True, (",", ":"))
def test_counts_equal_those_of_the_standard_library(
    document: dict[str, Any], escaped: bool, separators: tuple[str, str]
) -> None:
    def dumped(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=escaped, separators=separators).encode()

    found = [naive(document.get(name)) for name in ("messages", "prompt", "input", "instructions")]
    text = sum(size for size, _ in found) + (len(dumped(document["tools"])) if "tools" in document else 0)
    assert prompt(read(dumped(document))) == math.ceil(text / 4) + sum(other for _, other in found)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "content", "text", "output", "summary", "tool_calls", "x"]), inner)
    ),
    max_leaves=20,
)


@given(
    anything.map(lambda value: value if isinstance(value, list) else [value]),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("prompt", "input", "instructions", "tools", "max_tokens"), anything)
    ),
)
def test_no_json_makes_it_raise_or_count_too_much(messages: Any, more: dict[str, Any]) -> None:
    seen = call(messages=messages, **more)
    assert 0 <= prompt_tokens(seen, 0, 0) <= len(seen.body)
    assert 0 <= output_tokens(seen, 70, 9) <= MOST_TOKENS * seen.choices
