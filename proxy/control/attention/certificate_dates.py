"""When certificates are valid, read from PEM text: the two times of the Validity field (RFC 5280, 4.1.2.5).

The standard library shows them only of a connection's peer, and the package cryptography may not be installed.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0  # [0], explicit; absent in version 1
_UTC_TIME: Final = 0x17  # two digits of the year: 50 to 99 are 19xx
_PIVOT: Final = 50


class Validity(Struct, frozen=True):
    """Unix seconds."""

    begins: float
    ends: float


def validity_of(pem: str) -> Validity | None:
    """That of the certificate that ends first; ``None``: there is none. Raises ValueError for a broken one."""
    found = [_validity(ssl.PEM_cert_to_DER_cert(block)) for block in _BLOCK.findall(pem)]
    return min(found, key=lambda each: each.ends, default=None)


def _validity(der: bytes) -> Validity:
    fields = [*_elements(_one(_one(der)))]
    # TBSCertificate: version (optional), serial number, signature algorithm, issuer, validity.
    place = 4 if fields and fields[0][0] == _VERSION else 3
    if len(fields) <= place:
        raise ValueError("a certificate has no validity")
    begins, ends = (_time(tag, value) for tag, value in _elements(fields[place][1]))
    return Validity(begins, ends)


def _one(der: bytes) -> bytes:
    """The content of the first element."""
    for _, content in _elements(der):
        return content
    raise ValueError("a certificate is empty")


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (X.690, 8.1). Raises ValueError for one that is cut."""
    place = 0
    while place < len(der):
        tag, length, place = der[place], int.from_bytes(der[place + 1 : place + 2]), place + 2
        if length & 0x80:
            size = length & 0x7F
            length, place = int.from_bytes(der[place : place + size]), place + size
        if place + length > len(der):
            raise ValueError("a certificate is cut off")
        yield tag, der[place : place + length]
        place += length


def _time(tag: int, value: bytes) -> float:
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = f"{'19' if int(text[:2]) >= _PIVOT else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
