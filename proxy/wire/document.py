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
        return _decode_leniently(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


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


def _decode_leniently(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
