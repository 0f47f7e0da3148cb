"""Decoding JSON of providers (RFC 8259), as leniently as clients do, and encoding what was decoded."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

import msgspec

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class NumberTooLarge(ValueError):
    """A number that no 64-bit float can hold. The text is the number's."""


def decode(data: bytes) -> Any:
    """Decode a document. Raises ValueError for text that is not JSON, or nested too deeply.

    msgspec refuses valid JSON that its types cannot hold: half a surrogate pair (gateways that cut an emoji between
    two deltas send it), or 1e999. Python's own decoder is the fallback.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _loads(data.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_finite(data: bytes) -> Any:
    """The same for a document that is encoded again, where 1e999 would become null: raises NumberTooLarge for it."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_leniently(data: bytes) -> Any:
    """Decode text that RFC 8259 forbids but many clients accept. Raises ValueError.

    Like ``json.loads(strict=False)``: ``NaN``, ``Infinity`` and raw control characters pass. Invalid UTF-8 is
    replaced, as event-stream parsers do (WHATWG HTML, 9.2.6).
    """
    return _loads(data.decode("utf-8", "replace"), strict=False)


def read(data: bytes) -> tuple[Any, bool]:
    """The document, and whether strict parsers accept it. Raises ValueError if not even lenient ones do."""
    try:
        return decode(data), True
    except ValueError:
        return decode_leniently(data), False


def encode(value: Any) -> bytes:
    """Encode what ``decode`` returns, or a part of it.

    msgspec refuses half a surrogate pair, which is escaped here, and integers above 64 bits.
    """
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def encode_for_parsers(value: Any) -> bytes:
    """The same for readers that refuse half a surrogate pair, which is replaced."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return without_halves(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def without_halves(text: str) -> str:
    """A text that JSON can hold: halves of a surrogate pair that stand together are joined, others are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_json(data: bytes) -> bool:
    try:
        decode(data)
    except ValueError:
        return False
    return True


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, which msgspec does not check in strings that it skips. ASCII costs 30 ns."""
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


def _finite(number: str) -> float:
    found = float(number)
    if math.isinf(found):
        raise NumberTooLarge(number)
    return found
