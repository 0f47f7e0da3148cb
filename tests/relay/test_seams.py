"""Between the blocks of a stream: halves of a CR LF, and comments that must not end an event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.table import CHAT, MESSAGES
from proxy.relay.seams import Seams, comment, has_id
from proxy.wire.sse import BOM, parse

fields = st.sampled_from([b"id: 7", b"id:", b"id", b"ident: 7", b"data: id: 7", b": id: 7", b"event: x", b"data: {}"])

PING = CHAT.writer.ping


@given(st.lists(fields, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_an_id_is_found_where_a_parser_finds_it(lines: list[bytes], end: bytes, bom: bool) -> None:
    block = (BOM if bom else b"") + b"".join(line + end for line in lines) + end
    assert has_id(block) == (parse(block, first=True).id is not None)


@pytest.mark.parametrize(
    ("block", "kept"), [(PING, b": ping\n"), (b": a\r\n: b\r\n\r\n", b": a\r\n: b\n"), (b"\n", b""), (b"\r\n\r", b"")]
)
def test_after_an_id_a_comment_loses_its_blank_line_and_a_blank_line_itself(block: bytes, kept: bytes) -> None:
    assert comment(block, numbered=True) == kept
    assert comment(block, numbered=False) == block


def test_a_ping_that_is_an_event_keeps_its_blank_line() -> None:
    assert comment(MESSAGES.writer.ping, numbered=True) == MESSAGES.writer.ping


def test_a_late_lf_goes_with_its_cr_and_only_once() -> None:
    seams = Seams()
    assert seams.late is None
    seams.close(b"data: x\r\r", b"data: x\r\r")
    assert seams.late is not None
    assert seams.split(b"\ndata: y\n\n") == (b"\n", b"data: y\n\n")
    assert seams.complete() == b"\n"  # before a ping
    assert seams.split(b"\ndata: y\n\n") == (b"", b"data: y\n\n")
    seams.close(b"data: y\n\n", b"data: y\n\n")
    assert (seams.late, seams.complete(), seams.split(b"\n")) == (None, b"", (b"", b"\n"))


def test_a_late_lf_of_a_block_that_was_left_out_is_left_out() -> None:
    seams = Seams()
    seams.close(b"data: {\r\r", b"")
    assert (seams.late, seams.complete()) == (b"", b"")
    assert seams.split(b"\n") == (b"", b"")
