from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.trace_context import Parent, Trace, read, state

ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

digits = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0"))


def draw(bits: int) -> int:
    return Random(1).getrandbits(bits)


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{ID}-{SPAN}-01", 1),
        (f"00-{ID}-{SPAN}-00", 0),
        (f"00-{ID}-{SPAN}-03", 3),
        (f"00-{ID}-{SPAN}-ff", 3),  # flags that nobody has defined are not handed on
        (f"cc-{ID}-{SPAN}-01", 1),  # a later version
        (f"cc-{ID}-{SPAN}-01-what-the-future-will-be-like", 1),
    ],
)
def test_a_parent_is_read(value: str, flags: int) -> None:
    assert read([value]) == Parent(ID, SPAN, flags)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["00-1-2-01"],
        [f"00-{ID}-{SPAN}"],
        [f"00-{ID}-{SPAN}-01-more"],  # this version has no more
        [f"00-{ID}-{SPAN}-01-"],
        [f"ff-{ID}-{SPAN}-01"],
        [f"cc-{ID}-{SPAN}-01.more"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{ID}-{'0' * 16}-01"],
        [f"00-{ID.upper()}-{SPAN}-01"],
        [f" 00-{ID}-{SPAN}-01"],
        [f"00-{ID}-{SPAN}-01\n"],
        [f"00-{ID}-{SPAN}-01", f"00-{ID}-{SPAN}-01"],
    ],
)
def test_an_invalid_traceparent_is_none(values: list[str]) -> None:
    assert read(values) is None


@given(st.lists(st.text(), max_size=2))
def test_any_header_values_are_read(values: list[str]) -> None:
    read(values)
    assert len(state(values)) <= 4096


@given(digits, digits, digits, st.integers(0, 1))
def test_written_header_lines_are_read_again(first: str, second: str, span: str, flags: int) -> None:
    trace = Trace.within(Parent(first + second, span, flags), "", draw)
    line = trace.lines(trace.span_id)
    assert read([line.decode().removeprefix("traceparent: ").rstrip()]) == Parent(first + second, trace.span_id, flags)


@given(st.lists(st.text(st.characters(max_codepoint=0x2FF)), max_size=3))
def test_a_state_never_breaks_its_line(values: list[str]) -> None:
    trace = Trace.within(Parent(ID, SPAN, 1), state(values), draw)
    block = trace.lines(SPAN)
    assert block.isascii()
    assert block.count(b"\r") == block.count(b"\n") == block.count(b"\r\n") == 1 + bool(trace.state)


def test_several_states_are_one_list() -> None:
    assert state(["a=1, b=2", "", " c=3 "]) == "a=1, b=2,c=3"
    assert state([]) == ""


def test_a_state_that_cannot_be_propagated_is_left_out() -> None:
    assert state(["a=\xe9"]) == state(["a=1\r\nX-Evil: 1"]) == state(["a=" + "1" * 4096]) == ""


def test_a_trace_that_begins_here_is_sampled_and_has_no_parent() -> None:
    trace = Trace.begun(Random(7).getrandbits)
    assert (len(trace.trace_id), len(trace.span_id), trace.parent_id, trace.state) == (32, 16, "", "")
    assert trace.lines(SPAN) == f"traceparent: 00-{trace.trace_id}-{SPAN}-01\r\n".encode()


def test_every_span_has_an_id_of_its_own_and_none_is_all_zero() -> None:
    trace = Trace.begun(Random(7).getrandbits)
    assert len({trace.span_id, *(trace.new_span() for _ in range(100))}) == 101
    zeros = Trace.begun(lambda bits: 0)
    assert (int(zeros.trace_id, 16), int(zeros.span_id, 16), int(zeros.new_span(), 16)) == (1, 1, 1)
