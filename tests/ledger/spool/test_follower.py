from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.follower import CHUNK, PEEK, Damage, SegmentFollower
from proxy.ledger.spool.format import HEADER_BYTES, OPEN, PREFIX, SEAL, encode_header, encode_records

NAME = SegmentName("0123456789abcdef", 1)
HEADER = encode_header(*NAME)
SEED = int.from_bytes(HEADER[-4:], "little")


def follower(folder: Path, data: bytes) -> SegmentFollower:
    """Of a segment that nobody writes."""
    (folder / NAME.file).write_bytes(data)
    return SegmentFollower(folder, NAME)


def record(payload: bytes) -> bytes:
    return encode_records([(OPEN, payload)], SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("segments")


@given(
    st.lists(st.integers(0, 3 * PEEK), max_size=12),
    st.sampled_from([PEEK - HEADER_BYTES - PREFIX, PEEK - PREFIX, CHUNK - PREFIX, CHUNK - 3 * PREFIX]),
    st.integers(1, CHUNK),
)
def test_records_that_end_anywhere_in_a_read_are_found(folder: Path, lengths: list[int], long: int, most: int) -> None:
    payloads = [bytes([number]) * length for number, length in enumerate([*lengths, long, *lengths])]
    segment = follower(folder, HEADER + b"".join(map(record, payloads)) + bytes(100))
    found = []
    while not segment.drained:
        found += [payload for _, payload in segment.read(most)]
    assert found == payloads
    assert segment.damage is None


@given(st.integers(0, 60))
def test_a_segment_cut_anywhere_tells_what_is_torn(folder: Path, cut: int) -> None:
    whole = record(b"x" * 12) * 3
    segment = follower(folder, HEADER + whole[:cut] + bytes(50))
    read = segment.read(1 << 20)
    assert len(read) == cut // 20
    rest = len(whole[20 * len(read) : cut].rstrip(b"\0"))
    assert segment.drained
    assert segment.damage == (Damage(HEADER_BYTES + 20 * len(read), rest, torn=True) if rest else None)


def test_a_hole_with_records_behind_it_is_no_torn_record(tmp_path: Path) -> None:
    segment = follower(tmp_path, HEADER + record(b"1") + bytes(4096) + record(b"2"))
    assert segment.read(1 << 20) == [(OPEN, b"1")]
    assert segment.damage == Damage(HEADER_BYTES + 9, 4096 + 9, torn=False)


def test_bytes_behind_the_seal_are_damage(tmp_path: Path) -> None:
    seal = encode_records([(SEAL, b"")], SEED)
    segment = follower(tmp_path, HEADER + record(b"1") + seal + bytes(20) + b"!")
    assert segment.read(1 << 20) == [(OPEN, b"1")]
    assert segment.sealed
    assert segment.damage == Damage(HEADER_BYTES + 9 + 8, 21, torn=False)


def test_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    segment = SegmentFollower(tmp_path, NAME)
    assert segment.read(1) == []
    assert not segment.sync()
    assert not segment.is_written()
    assert segment.gone
