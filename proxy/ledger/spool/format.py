"""Bytes of a spool segment: a header, then records. Pure: no file is opened here.

All integers are little-endian:

    header   magic 8 bytes, version u16, header length u16, number u32, nonce 16 bytes ASCII, CRC-32 of these u32
    record   CRC-32 u32, kind in the high 8 bits and payload length in the low 24 bits u32, payload
    the end  eight zeros, or the end of the file

The CRC of a record covers the rest of it and starts from the header's CRC. So a record of another segment, which a file
system may show after a crash, is never accepted. A reader that sees a record half written finds its CRC wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct, error
from typing import Final, Literal, NamedTuple
from zlib import crc32

VERSION: Final = 1
MAGIC: Final = b"SLSPOOL\n"

OPEN: Final = 1  # an attempt is about to be sent
CLOSE: Final = 2  # an attempt was settled
SEAL: Final = 3  # its writer finished the segment; nothing follows
EVENT: Final = 4  # for the outbox: an ``events.base.OutboxEvent``, as MessagePack

MOST_PAYLOAD: Final = 256 << 10  # bytes; a longer length is damage
NONCE_BYTES: Final = 16  # of ASCII
PREFIX: Final = 8  # bytes before a payload

_HEADER: Final = Struct(f"<8sHHI{NONCE_BYTES}s")
_WORD: Final = Struct("<I")
_pack_word: Final = _WORD.pack
_PREFIX: Final = Struct("<II")
HEADER_BYTES: Final = _HEADER.size + _WORD.size
_NOTHING: Final = bytes(PREFIX)
_LENGTH: Final = 0xFFFFFF


Record = tuple[int, bytes]
"""Kind and payload."""


class Header(NamedTuple):
    version: int
    nonce: str
    number: int
    length: int
    """Bytes before the first record."""
    seed: int
    """What the CRC of each record starts from."""


class Parsed(NamedTuple):
    records: list[Record]
    """The whole records, in order."""
    end: int
    """Offset of the first byte after them."""
    stop: Literal["end", "partial", "damaged"]
    """What is at ``end``: nothing yet, the start of a record whose rest is missing, or no valid record."""


def encode_header(nonce: str, number: int) -> bytes:
    head = _HEADER.pack(MAGIC, VERSION, HEADER_BYTES, number, nonce.encode("ascii"))
    return head + _pack_word(crc32(head))


def decode_header(data: bytes) -> Header | None:
    """The header at the start of ``data``, of whatever version; ``None``: there is none that can be trusted."""
    try:
        magic, version, length, number, nonce = _HEADER.unpack_from(data)
        (seed,) = _WORD.unpack_from(data, _HEADER.size)
        name = nonce.decode("ascii")
    except (error, UnicodeDecodeError):
        return None
    if magic != MAGIC or seed != crc32(data[: _HEADER.size]) or length < HEADER_BYTES:
        return None
    return Header(version, name, number, length, seed)


def encode_records(records: Iterable[Record], seed: int) -> bytes:
    """Records of the segment whose header has the CRC ``seed``. Raises ValueError if one is too long."""
    pieces = []
    for kind, payload in records:
        length = len(payload)
        if length > MOST_PAYLOAD:
            raise ValueError(f"A spool record has at most {MOST_PAYLOAD} bytes, not {length}.")
        body = _pack_word(kind << 24 | length) + payload
        pieces.append(_pack_word(crc32(body, seed)))
        pieces.append(body)
    return b"".join(pieces)


def parse(data: bytes, seed: int) -> Parsed:
    """The whole records at the start of ``data``, which begins with one."""
    records: list[Record] = []
    size, at = len(data), 0
    unpack = _PREFIX.unpack_from
    while (start := at + PREFIX) <= size:
        crc, word = unpack(data, at)
        kind, length = word >> 24, word & _LENGTH
        if not kind or length > MOST_PAYLOAD:
            return Parsed(records, at, "end" if not crc and not word else "damaged")
        end = start + length
        if end > size:
            return Parsed(records, at, "partial")
        payload = data[start:end]
        if crc32(payload, crc32(data[at + 4 : start], seed)) != crc:
            return Parsed(records, at, "damaged")
        records.append((kind, payload))
        at = end
    return Parsed(records, at, "partial" if at < size else "end")


def record_bytes(data: bytes) -> int:
    """Bytes of the record that starts ``data``, as its prefix says, whether it is whole or valid or not."""
    if len(data) < PREFIX:
        return PREFIX
    word: int = _PREFIX.unpack_from(data)[1]
    return PREFIX + (word & _LENGTH)
