from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis.strategies import binary, lists, text

from proxy.dialects.translation.conversation import ContentSource
from proxy.fetch.content_type import ContentType
from proxy.fetch.pieces import pieces_of
from proxy.fetch.unavailable import ContentUnavailable


def source(found: ContentType, pieces: list[bytes]) -> ContentSource:
    taken = pieces_of(found)
    for piece in pieces:
        taken.add(piece)
    return taken.source()


@given(lists(binary(max_size=9)))
def test_base64_does_not_depend_on_how_the_content_arrives(pieces: list[bytes]) -> None:
    found = source(ContentType("image/png"), pieces)
    assert found == ContentSource(data=base64.b64encode(b"".join(pieces)).decode(), media_type="image/png")


@given(text())
def test_a_text_may_be_cut_within_a_character(content: str) -> None:
    content = content.replace("\0", "").replace("\ufeff", "")
    data = content.encode()
    found = source(ContentType("text/plain", "utf-8-sig"), [data[at : at + 1] for at in range(len(data))])
    assert found == ContentSource(text=content, media_type="text/plain")


def test_a_mark_at_the_beginning_is_no_text() -> None:
    assert source(ContentType("text/plain", "utf-8-sig"), [b"\xef\xbb", b"\xbfa"]).text == "a"


def test_a_text_may_be_in_latin_letters() -> None:
    assert source(ContentType("text/plain", "cp1252"), [b"K\xf6ln \x80"]).text == "Köln €"


@pytest.mark.parametrize("pieces", [[b"a\xff"], [b"a\xe2\x82"], [b"a\0b"]])
def test_bytes_that_are_no_text_are_refused(pieces: list[bytes]) -> None:
    with pytest.raises(ContentUnavailable, match="is no text"):
        source(ContentType("text/plain", "utf-8-sig"), pieces)
