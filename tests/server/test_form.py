"""A form on its way through: every cut of its bytes, every place and length of its model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientFault
from proxy.server.form import SPOOL_IN_MEMORY, Form, chunked

TYPE = "multipart/form-data; boundary=b"


class Reader:
    """As much of a BodyReader as a form uses: these pieces, of that declared length."""

    def __init__(self, pieces: list[bytes], declared: int | None) -> None:
        self._pieces = pieces
        self.declared_plain = declared
        self.taken = 0

    async def pieces(self, *, hold: bool) -> AsyncIterator[bytes]:
        assert not hold
        for piece in self._pieces:
            self.taken += 1
            yield piece


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = [b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), v) for n, v in fields]
    return b"".join(parts) + b"--b--\r\n"


def cut(body: bytes, cuts: set[int]) -> list[bytes]:
    marks = [0, *sorted(mark for mark in cuts if 0 < mark < len(body)), len(body)]
    return [body[begin:end] for begin, end in pairwise(marks) if begin < end]


async def sent(pieces: list[bytes], model: str | None, *, length: int | None) -> tuple[str | None, int | None, bytes]:
    """(the model that was found, the length announced upstream, the body that went upstream)."""
    reader = Form(Reader(pieces, length), TYPE)  # type: ignore[arg-type]
    try:
        found = await reader.find_model()
        announced = reader.length(model)
        return found, announced, b"".join([piece async for piece in reader.pieces(model)])
    finally:
        reader.close()


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF), min_size=1, max_size=30)
values = st.binary(max_size=200).filter(lambda value: b"\r\n--b" not in value)


@given(
    st.lists(st.tuples(st.sampled_from(["file", "language", "prompt"]), values), max_size=3),
    st.integers(0, 3),
    names,
    names,
    st.sets(st.integers(1, 1000), max_size=6),
    st.sampled_from([b"", b"\r\n"]),
)
def test_only_the_model_changes_and_the_announced_length_is_right(
    fields: list[tuple[str, bytes]], place: int, before: str, after: str, cuts: set[int], preamble: bytes
) -> None:
    def whole(model: str) -> bytes:
        return preamble + form(*fields[:place], ("model", model.encode()), *fields[place:])

    body = whole(before)
    found, announced, out = asyncio.run(sent(cut(body, cuts), after, length=len(body)))
    assert (found, announced, out) == (before, len(whole(after)), whole(after))
    found, announced, out = asyncio.run(sent(cut(body, cuts), None, length=None))
    assert (found, announced, out) == (before, None, body)


@given(
    st.lists(st.tuples(st.sampled_from(["file", "language"]), values), max_size=3),
    names,
    st.sets(st.integers(1, 1000), max_size=6),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
)
def test_a_missing_model_is_put_first(
    fields: list[tuple[str, bytes]], model: str, cuts: set[int], preamble: bytes
) -> None:
    body = preamble + form(*fields)
    found, announced, out = asyncio.run(sent(cut(body, cuts), model, length=len(body)))
    assert (found, out) == (None, form(("model", model.encode()), *fields))
    assert announced == len(out)
    assert asyncio.run(sent(cut(body, cuts), None, length=len(body))) == (None, len(body), body)


async def test_no_more_is_read_than_the_model_needs() -> None:
    body = form(("model", b"m"), ("file", b"1234"))
    reader = Reader([body[:70], body[70:], b"behind the end"], None)
    upload = Form(reader, TYPE)  # type: ignore[arg-type]
    assert await upload.find_model() == "m"
    assert reader.taken == 1
    upload.close()


async def test_what_does_not_fit_in_memory_is_spooled_to_a_file_and_comes_back() -> None:
    content = bytes(range(256)) * (2 * SPOOL_IN_MEMORY // 256)
    body = form(("file", content), ("model", b"m"))
    upload = Form(Reader(cut(body, set(range(0, len(body), 100_000))), len(body)), TYPE)  # type: ignore[arg-type]
    assert await upload.find_model() == "m"
    assert upload._spool._rolled  # type: ignore[attr-defined]
    assert b"".join([piece async for piece in upload.pieces(None)]) == body
    assert upload._spool.closed


async def test_a_form_that_is_closed_early_leaves_no_file() -> None:
    upload = Form(Reader([form(("model", b"m"))], None), TYPE)  # type: ignore[arg-type]
    await upload.find_model()
    upload.close()
    assert upload._spool.closed


@pytest.mark.parametrize("kept", [0, 10, 60])
async def test_a_form_that_is_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(ClientFault) as caught:
        await sent([form(("model", b"m"))[:kept]] if kept else [], None, length=None)
    assert caught.value.code == "invalid_multipart"


async def test_a_form_that_is_cut_off_behind_its_model_is_refused_at_the_end() -> None:
    pieces = [form(("model", b"m"), ("file", b"1234"))[:-9]]
    with pytest.raises(ClientFault) as caught:
        await sent(pieces, "other", length=None)
    assert caught.value.code == "invalid_multipart"


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"])
def test_only_forms_with_a_boundary_are_taken(kind: str) -> None:
    with pytest.raises(ClientFault) as caught:
        Form(Reader([], None), kind)  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.code) == (400, "invalid_content_type")


@given(st.lists(st.binary(min_size=1, max_size=300)))
def test_chunks_unfold_to_the_pieces(pieces: list[bytes]) -> None:
    async def framed() -> bytes:
        async def source() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return b"".join([chunk async for chunk in chunked(source())])

    rest, found = asyncio.run(framed()), []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        piece, rest = rest[: int(size, 16)], rest[int(size, 16) :]
        assert rest.startswith(b"\r\n")
        rest = rest[2:]
        if not piece:
            break
        found.append(piece)
    assert (found, rest) == (pieces, b"")
