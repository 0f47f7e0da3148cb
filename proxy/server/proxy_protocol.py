"""The PROXY protocol's header, versions 1 and 2 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).

A proxy that relays TCP sends it before the first byte of the client. Pure: bytes in, the client's address out.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from msgspec import Struct

LONGEST_LINE: Final = 107  # section 2.1, with the CRLF
LONGEST_BLOCK: Final = 4096  # as nginx: the specification says 536, and TLVs with a client's certificate are longer

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
HEALTH_CHECK: Final = _SIGNATURE + b"\x20\x00\x00\x00"  # LOCAL: a proxy's own connection, without addresses
_FIXED: Final = 16  # bytes of version 2 before the addresses
_TCP4: Final = re.compile(rb"PROXY TCP4 ([0-9.]{7,15}) ([0-9.]{7,15}) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})")
_TCP6: Final = re.compile(rb"PROXY TCP6 ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})")

_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command
_INET, _INET6, _UNIX = 0x1, 0x2, 0x3
_ADDRESS_BYTES: Final = {0x0: 0, _INET: 12, _INET6: 36, _UNIX: 216}  # by address family
_CRC32C: Final = 0x03  # a type of TLV
_REVERSED_POLYNOMIAL: Final = 0x82F63B78  # of Castagnoli (RFC 9260, appendix A)


class ProxyHeader(Struct, frozen=True):
    """``length``: bytes of the header. ``source``: the client's IP address; ``""``: that of the connection itself.

    There is none for a health check of the proxy (LOCAL), and for a client without an IP address (UNKNOWN, AF_UNIX).
    """

    length: int
    source: str


class ProxyHeaderError(ValueError):
    """The bytes are no valid header. The message repeats none of them."""


def read_header(data: bytes) -> ProxyHeader | None:
    """The header at the beginning of ``data``; ``None`` as long as it is incomplete.

    Raises ProxyHeaderError at the first byte that cannot belong to one.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _version_2(data) if len(data) >= _FIXED - 2 else None
    if data[:6] == b"PROXY "[: len(data)]:
        return _version_1(data)
    raise ProxyHeaderError("it does not begin with a PROXY protocol header")


def _version_1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE:
            raise ProxyHeaderError(f"the line of version 1 is longer than {LONGEST_LINE} bytes")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(end + 2, "")
    found = _TCP4.fullmatch(line) or _TCP6.fullmatch(line)
    if found is None or int(found[3]) > 65535 or int(found[4]) > 65535:
        raise ProxyHeaderError("the line of version 1 is not valid")
    kind = IPv4Address if found.re is _TCP4 else IPv6Address
    try:
        source, _ = kind(found[1].decode()), kind(found[2].decode())
    except ValueError:
        raise ProxyHeaderError("an address of version 1 is not valid") from None
    return ProxyHeader(end + 2, _text(source))


def _version_2(data: bytes) -> ProxyHeader | None:
    command, family, transport = data[12], data[13] >> 4, data[13] & 0xF
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("version 2 has an unknown version or command")
    if command == _PROXY and (family not in _ADDRESS_BYTES or transport > 2):
        raise ProxyHeaderError("version 2 has an unknown address family or transport")
    if len(data) < _FIXED:
        return None
    size = int.from_bytes(data[14:16])
    if size > LONGEST_BLOCK:
        raise ProxyHeaderError(f"the addresses and TLVs of version 2 are longer than {LONGEST_BLOCK} bytes")
    # Without a transport (UNSPEC) the whole block is to be skipped, whatever the family.
    begin = _FIXED + (_ADDRESS_BYTES[family] if command == _PROXY and transport else 0)
    length = _FIXED + size
    if begin > length:
        raise ProxyHeaderError("the addresses of version 2 are incomplete")
    if len(data) < length:
        return None
    if command == _LOCAL or not family or not transport:
        return ProxyHeader(length, "")
    _check_tlvs(data[:length], begin)
    if family == _INET:
        return ProxyHeader(length, _text(IPv4Address(data[16:20])))
    return ProxyHeader(length, _text(IPv6Address(data[16:32])) if family == _INET6 else "")


def _text(address: IPv4Address | IPv6Address) -> str:
    """As one client is written everywhere else: IPv4 within IPv6 as IPv4 (RFC 4291, section 2.5.5.2)."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _check_tlvs(header: bytes, begin: int) -> None:
    """Skip all TLVs but the checksum, which has to be right if there is one (section 2.2.3)."""
    while begin < len(header):
        value = begin + 3
        end = value + int.from_bytes(header[begin + 1 : value])
        if value > len(header) or end > len(header):
            raise ProxyHeaderError("a TLV of version 2 is longer than the header")
        if header[begin] == _CRC32C and (
            end - value != 4 or _crc32c(header[:value] + bytes(4) + header[end:]) != int.from_bytes(header[value:end])
        ):
            raise ProxyHeaderError("the checksum of version 2 is wrong")
        begin = end


def _crc32c(data: bytes) -> int:
    """Bit by bit: it runs once for a connection, over some hundred bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_REVERSED_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
