"""Decoding the JSON that providers send (RFC 8259), as leniently as the clients behind us would."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

_decode = msgspec.json.Decoder().decode


def decode(data: bytes) -> Any:
    """The document. Raises ValueError for what is no JSON text, or too deep or too large to read.

    msgspec refuses what its own types cannot hold: half a surrogate pair, as gateways send that cut an emoji
    between two deltas, or 1e999. It is JSON all the same, so what msgspec refuses gets a second hearing.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _loads(data.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_leniently(data: bytes) -> Any:
    """The document in JSON that RFC 8259 forbids and many clients read all the same. Raises ValueError.

    As ``json.loads(strict=False)``: ``NaN``, ``Infinity`` and raw control characters pass. Bytes that are no UTF-8
    are replaced, as readers of event streams do (WHATWG HTML, 9.2.6).
    """
    return _loads(data.decode("utf-8", "replace"), strict=False)


def read(data: bytes) -> tuple[Any, bool]:
    """The document, and whether strict parsers read it, too. Raises ValueError where not even lenient ones do."""
    try:
        return decode(data), True
    except ValueError:
        return decode_leniently(data), False


def is_json(data: bytes) -> bool:
    try:
        decode(data)
    except ValueError:
        return False
    return True


def is_utf8(data: bytes) -> bool:
    """msgspec does not look into strings that it skips; ASCII, the common case, costs 30 ns."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _loads(text: str, **options: Any) -> Any:
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
