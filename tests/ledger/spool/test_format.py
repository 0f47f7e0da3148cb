import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.spool.format import (
    CLOSE,
    HEADER_BYTES,
    MOST_PAYLOAD,
    OPEN,
    PREFIX,
    SEAL,
    VERSION,
    Parsed,
    decode_header,
    encode_header,
    encode_records,
    parse,
    record_bytes,
)

NONCE = "0123456789abcdef"
SEED = 0x1234ABCD

record_lists = st.lists(st.tuples(st.sampled_from([OPEN, CLOSE, SEAL]), st.binary(max_size=40)), max_size=8)


def encoded(records: list[tuple[int, bytes]], seed: int = SEED) -> bytes:
    return encode_records(records, seed)


def boundaries(records: list[tuple[int, bytes]]) -> list[int]:
    """Offset after each count of records."""
    offsets = [0]
    for _, payload in records:
        offsets.append(offsets[-1] + PREFIX + len(payload))
    return offsets


@given(record_lists, st.integers(0, 32))
def test_records_are_parsed_up_to_the_zeros_behind_them(records: list[tuple[int, bytes]], zeros: int) -> None:
    data = encoded(records)
    found = parse(data + bytes(zeros), SEED)
    assert found[:2] == (records, len(data))
    assert found.stop == ("partial" if 0 < zeros < PREFIX else "end")


@given(record_lists, st.data())
def test_a_cut_keeps_the_whole_records_before_it(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = encoded(records)
    cut = data.draw(st.integers(0, len(whole)))
    offsets = boundaries(records)
    count = sum(offset <= cut for offset in offsets) - 1
    expected = "end" if cut == offsets[count] else "partial"
    assert parse(whole[:cut], SEED) == Parsed(records[:count], offsets[count], expected)


@given(record_lists, st.data())
def test_a_record_half_written_over_zeros_is_not_accepted(
    records: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    whole = encoded(records)
    cut = data.draw(st.integers(0, len(whole)))
    found = parse(whole[:cut] + bytes(len(whole) - cut + PREFIX), SEED)
    count = len(found.records)
    assert found.records == records[:count]
    # All that were written whole, and perhaps one whose last bytes are zeros anyway.
    assert count >= sum(offset <= cut for offset in boundaries(records)) - 1
    assert whole[: found.end] == (whole[:cut] + bytes(len(whole)))[: found.end]


@given(record_lists.filter(bool), st.data())
def test_a_flipped_bit_ends_the_records_before_it(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    flipped = bytearray(encoded(records))
    bit = data.draw(st.integers(0, 8 * len(flipped) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    found = parse(bytes(flipped), SEED)
    count = sum(offset <= bit // 8 for offset in boundaries(records)) - 1
    assert found.records == records[:count]
    assert found.end == boundaries(records)[count]
    assert found.stop in ("damaged", "partial")


@given(record_lists, st.data())
def test_a_file_read_in_pieces_gives_the_same_records(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = encoded(records)
    ends = sorted([*data.draw(st.lists(st.integers(0, len(whole)), max_size=5)), len(whole)])
    found, offset = [], 0
    for end in ends:
        parsed = parse(whole[offset:end], SEED)
        found += parsed.records
        offset += parsed.end
    assert (found, offset) == (records, len(whole))


@given(st.binary(max_size=200))
def test_garbage_is_parsed_without_an_error(garbage: bytes) -> None:
    found = parse(garbage, SEED)
    assert 0 <= found.end <= len(garbage)
    assert record_bytes(garbage) >= PREFIX
    decode_header(garbage)


def test_records_of_another_segment_are_damage() -> None:
    foreign = encoded([(OPEN, b"of a file that was removed")], SEED + 1)
    assert parse(encoded([(OPEN, b"a")]) + foreign, SEED) == Parsed([(OPEN, b"a")], PREFIX + 1, "damaged")


def test_a_header_comes_back_and_seeds_its_records() -> None:
    data = encode_header(NONCE, 7)
    header = decode_header(data + b"more")
    assert header is not None
    assert header[:4] == (VERSION, NONCE, 7, HEADER_BYTES)
    assert len(data) == HEADER_BYTES
    other = decode_header(encode_header(NONCE, 8))
    assert other is not None
    assert other.seed != header.seed


@given(st.integers(0, 8 * HEADER_BYTES - 1))
def test_a_header_with_a_flipped_bit_is_refused(bit: int) -> None:
    data = bytearray(encode_header(NONCE, 1))
    data[bit // 8] ^= 1 << bit % 8
    assert decode_header(bytes(data)) is None


@given(st.integers(0, HEADER_BYTES - 1))
def test_a_header_that_is_cut_is_refused(length: int) -> None:
    assert decode_header(encode_header(NONCE, 1)[:length]) is None


def test_the_longest_record_is_read_and_a_longer_one_is_refused() -> None:
    longest = bytes(MOST_PAYLOAD)
    assert parse(encoded([(CLOSE, longest)]), SEED).records == [(CLOSE, longest)]
    with pytest.raises(ValueError, match=str(MOST_PAYLOAD)):
        encoded([(CLOSE, longest + b"x")])
