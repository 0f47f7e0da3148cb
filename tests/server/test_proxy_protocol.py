"""The PROXY protocol's header (proxy-protocol.txt, sections 2.1 and 2.2), at every split."""

from __future__ import annotations

import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.proxy_protocol import LONGEST_BLOCK, LONGEST_LINE, ProxyHeader, ProxyHeaderError, read_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def block(ver_cmd: int, family: int, body: bytes, *, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", ver_cmd, family, len(body) if length is None else length) + body


def inet(source: str, destination: str = "192.0.2.1", ports: tuple[int, int] = (5000, 443)) -> bytes:
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    return socket.inet_pton(kind, source) + socket.inet_pton(kind, destination) + struct.pack("!HH", *ports)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


FOUR = inet("203.0.113.7")
SIX = inet("2001:db8::7", "2001:db8::1")

VALID = {
    # the example of section 2.1
    b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n": "192.168.0.1",
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255",
    b"PROXY TCP4 127.0.0.1 10.0.0.1 0 0\r\n": "127.0.0.1",
    b"PROXY TCP6 2001:DB8::7 2001:db8::1 1 2\r\n": "2001:db8::7",
    b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n": (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    ),
    b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2\r\n": "203.0.113.7",
    b"PROXY UNKNOWN\r\n": "",
    b"PROXY UNKNOWN ffff::1 anything \x00\xff 1\r\n": "",
    b"PROXY UNKNOWN " + b"f" * (LONGEST_LINE - 16) + b"\r\n": "",
    block(0x21, 0x11, FOUR): "203.0.113.7",
    block(0x21, 0x12, FOUR): "203.0.113.7",
    block(0x21, 0x21, SIX): "2001:db8::7",
    block(0x21, 0x22, SIX): "2001:db8::7",
    block(0x21, 0x21, inet("::ffff:203.0.113.7", "::")): "203.0.113.7",
    block(0x21, 0x31, bytes(216)): "",
    block(0x21, 0x32, b"/run/x".ljust(216, b"\0")): "",
    block(0x21, 0x00, b""): "",
    block(0x21, 0x00, b"whatever"): "",
    block(0x21, 0x10, b"whatever"): "",
    block(0x20, 0x00, b""): "",
    block(0x20, 0x11, FOUR): "",  # LOCAL: the family is ignored
    block(0x20, 0xFF, b"x"): "",
    block(0x21, 0x11, FOUR + tlv(0x02, b"gateway.example") + tlv(0x04, b"")): "203.0.113.7",
    block(0x21, 0x11, FOUR + tlv(0xEA, bytes(LONGEST_BLOCK - 15))): "203.0.113.7",
}


INVALID = {
    b"GET / HTTP/1.1\r\n": "does not begin",
    b"\x16\x03\x01": "does not begin",
    b"PROXYTCP4": "does not begin",
    b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n": "does not begin",
    b"\r\n\r\n\x00\r\nQUIT\r": "does not begin",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n" + b" " * LONGEST_LINE: "longer than 107",
    b"PROXY UNKNOWN " + b"f" * (LONGEST_LINE - 15) + b"\r\n": "longer than 107",
    b"PROXY UNKNOWNX\r\n": "not valid",
    b"PROXY \r\n": "not valid",
    b"PROXY TCP4\r\n": "not valid",
    b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n": "not valid",
    b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n": "not valid",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n": "not valid",
    b"PROXY TCP4 1.1.1.1\t1.1.1.1 1 1\r\n": "not valid",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n": "not valid",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n": "not valid",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n": "not valid",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n": "not valid",
    b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n": "address",
    b"PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n": "address",
    b"PROXY TCP4 1.1.1.1 1.1.1.1.1 1 1\r\n": "address",
    b"PROXY TCP4 ::1 ::1 1 1\r\n": "not valid",
    b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n": "address",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n": "not valid",
    b"PROXY TCP6 1::2::3 ::1 1 1\r\n": "address",
    block(0x11, 0x11, FOUR): "version or command",
    block(0x22, 0x11, FOUR): "version or command",
    block(0x21, 0x41, FOUR): "family or transport",
    block(0x21, 0x13, FOUR): "family or transport",
    block(0x21, 0x11, FOUR[:-1]): "incomplete",
    block(0x21, 0x21, FOUR): "incomplete",
    block(0x21, 0x31, bytes(215)): "incomplete",
    block(0x21, 0x11, b"", length=LONGEST_BLOCK + 1): "longer than 4096",
    block(0x20, 0x00, b"", length=65535): "longer than 4096",
    block(0x21, 0x11, FOUR + b"\x04\x00"): "TLV",
    block(0x21, 0x11, FOUR + b"\x04\x00\x02x"): "TLV",
    block(0x21, 0x11, FOUR + tlv(0x03, bytes(4))): "checksum",
    block(0x21, 0x11, FOUR + tlv(0x03, bytes(3))): "checksum",
}


def fed(pieces: list[bytes]) -> ProxyHeader | str | None:
    """What a connection comes to that receives these pieces: a header, the complaint, or ``None`` for more bytes."""
    received = b""
    for piece in pieces:
        received += piece
        try:
            found = read_header(received)
        except ProxyHeaderError as error:
            return str(error)
        if found is not None:
            return found
    return None


def single(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize("header", VALID)
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PROXY UNKNOWN\r\n"])
def test_a_valid_header_names_the_client_at_every_split(header: bytes, rest: bytes) -> None:
    data, expected = header + rest, ProxyHeader(len(header), VALID[header])
    assert read_header(data) == expected
    assert fed(single(data)) == expected
    for split in range(len(header)):
        assert read_header(data[:split]) is None
        assert fed([data[:split], data[split:]]) == expected


@pytest.mark.parametrize("data", INVALID)
def test_a_malformed_header_is_refused_whole_and_byte_by_byte(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match=INVALID[data]):
        read_header(data)
    assert isinstance(fed(single(data)), str)


def test_a_message_repeats_no_byte_of_the_peer() -> None:
    for data in INVALID:
        complaint = fed([data])
        assert isinstance(complaint, str)
        assert complaint.isprintable()
        assert "1.1.1" not in complaint


def test_the_checksum_is_verified() -> None:
    # As HAProxy computes it (hash_crc32c): "123456789" has the check value of the catalog of CRCs.
    assert crc32c(b"123456789") == 0xE3069283
    for more in (b"", tlv(0x04, b"padding")):
        without = block(0x21, 0x11, FOUR + tlv(0x03, bytes(4)) + more)
        good = without.replace(tlv(0x03, bytes(4)), tlv(0x03, struct.pack("!I", crc32c(without))))
        assert read_header(good) == ProxyHeader(len(good), "203.0.113.7")
        for index in (16, 19, len(good) - 1):
            bad = bytearray(good)
            bad[index] ^= 1
            with pytest.raises(ProxyHeaderError):
                read_header(bytes(bad))


def crc32c(data: bytes) -> int:
    """CRC32C by division of polynomials, bit after bit: the definition."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in data) + "0" * 32
    value = int(bits, 2) ^ (0xFFFFFFFF << len(bits) - 32)
    while value.bit_length() > 32:
        value ^= 0x11EDC6F41 << value.bit_length() - 33
    return int(f"{value:032b}"[::-1], 2) ^ 0xFFFFFFFF


def mutated(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    return bytes(changed)


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)
STARTS = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda rest: SIGNATURE + rest),
    st.binary(max_size=120).map(lambda rest: b"PROXY TCP4 " + rest),
    st.builds(mutated, st.sampled_from([*VALID, *INVALID]), CHANGES),
)


@given(data=STARTS, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_no_split_changes_the_result(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    whole, split, each = fed([data]), fed(pieces), fed(single(data))
    if isinstance(whole, str):  # the complaint may come earlier, about fewer bytes
        assert isinstance(split, str)
        assert isinstance(each, str)
    else:
        assert split == each == whole
    if isinstance(whole, ProxyHeader):
        assert whole.length <= len(data)
        assert read_header(data[: whole.length] + b"more") == whole
