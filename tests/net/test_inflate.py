"""Decoding in bounded pieces, whatever the cuts and whatever the bytes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.net import inflate
from proxy.net.inflate import MAX_MEMBERS, PIECE, BadCompression, Inflater


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


WAYS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
}


def decoded(coding: str, *pieces: bytes) -> bytes:
    inflater = Inflater(coding)
    return b"".join(out for piece in pieces for out in inflater.feed(piece))


@given(st.sampled_from(sorted(WAYS)), st.binary(max_size=5000), st.sets(st.integers(1, 5000), max_size=8))
def test_any_split_of_a_compressed_body_decodes_to_the_same_bytes(way: str, data: bytes, cuts: set[int]) -> None:
    coding, squeeze = WAYS[way]
    small = squeeze(data)
    marks = [0, *sorted(cut for cut in cuts if cut < len(small)), len(small)]
    inflater = Inflater(coding)
    out = b"".join(piece for a, b in pairwise(marks) for piece in inflater.feed(small[a:b]))
    assert out == data
    assert inflater.finished
    assert not inflater.cut


@given(st.sampled_from(sorted(WAYS)), st.binary(min_size=1, max_size=2000), st.data())
def test_a_truncated_body_is_never_finished(way: str, data: bytes, draw: st.DataObject) -> None:
    coding, squeeze = WAYS[way]
    small = squeeze(data)
    inflater = Inflater(coding)
    kept = small[: draw.draw(st.integers(1, len(small) - 1))]
    assert data.startswith(b"".join(inflater.feed(kept)))
    assert not inflater.finished
    assert inflater.cut


@given(st.sampled_from(["gzip", "x-gzip", "deflate"]), st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_raise_only_bad_compression(coding: str, junk: bytes) -> None:
    inflater = Inflater(coding)
    try:
        assert all(inflater.feed(junk))
    except BadCompression:
        pass


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_bomb_is_decoded_in_bounded_pieces_on_demand(way: str) -> None:
    coding, squeeze = WAYS[way]
    bomb = squeeze(bytes(50 * PIECE))
    pieces = Inflater(coding).feed(bomb)
    assert [len(next(pieces)) for _ in range(3)] == [PIECE] * 3
    assert sum(map(len, pieces)) == 47 * PIECE


def test_a_gzip_body_may_be_a_series_of_members() -> None:
    assert decoded("gzip", gzip.compress(b"one ") + gzip.compress(b"two"), gzip.compress(b" three")) == b"one two three"


@pytest.mark.parametrize("way", sorted(WAYS))
def test_bytes_after_the_end_are_refused(way: str) -> None:
    coding, squeeze = WAYS[way]
    with pytest.raises(BadCompression):
        decoded(coding, squeeze(b"one") + b"trailing")
    with pytest.raises(BadCompression):
        decoded(coding, squeeze(b"one"), b"trailing")


def test_raw_deflate_is_only_taken_for_deflate() -> None:
    assert decoded("deflate", raw_deflate(b"hello")) == b"hello"
    with pytest.raises(BadCompression):
        decoded("gzip", raw_deflate(b"hello" * 100))


def test_raw_deflate_is_not_tried_after_damage_in_the_middle() -> None:
    good = zlib.compress(bytes(range(256)) * 100)
    bad = good[:40] + bytes(40) + good[80:]
    with pytest.raises(BadCompression):
        decoded("deflate", bad[:30], bad[30:])


def test_an_empty_input_is_neither_finished_nor_cut() -> None:
    inflater = Inflater("gzip")
    assert list(inflater.feed(b"")) == []
    assert not inflater.finished
    assert not inflater.cut


class Counting:
    """zlib, counting the bytes that its decoders are given."""

    def __init__(self) -> None:
        self.given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(zlib, name)

    def decompressobj(self, wbits: int) -> Any:
        return _Decoder(self, zlib.decompressobj(wbits))


class _Decoder:
    def __init__(self, counting: Counting, decoder: Any) -> None:
        self._counting = counting
        self._decoder = decoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def decompress(self, data: bytes, most: int) -> bytes:
        self._counting.given += len(data)
        return bytes(self._decoder.decompress(data, most))


def test_empty_gzip_members_are_read_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setattr(inflate, "zlib", counting)
    member = gzip.compress(b"")
    packed = member * MAX_MEMBERS
    assert decoded("gzip", packed) == b""
    # Each member is given a first step, most of which it hands back; never the whole rest of the body.
    assert counting.given <= 300 * MAX_MEMBERS


def test_a_body_has_a_bounded_number_of_gzip_members() -> None:
    member = gzip.compress(b"")
    with pytest.raises(BadCompression):
        decoded("gzip", member * (MAX_MEMBERS + 1))


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 258])
def test_the_end_is_seen_for_every_size_of_the_last_piece(way: str, size: int) -> None:
    coding, squeeze = WAYS[way]
    inflater = Inflater(coding)
    assert sum(map(len, inflater.feed(squeeze(bytes(size))))) == size
    assert inflater.finished
