"""What a control request says, read into the struct that describes it; every answer to a mistake names its field."""

from __future__ import annotations

import re
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec

from proxy.control.http.bodies import Bodies
from proxy.errors import ClientFault
from proxy.server.connection import Request

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")


async def body_of(bodies: Bodies, request: Request, kind: type[T]) -> T:
    """The JSON body as a ``kind``. Raises ClientFault (400, 408, 413, 415), Overloaded, ClientGone."""
    body = await bodies.read(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ClientFault("The request body is not valid JSON.", code="invalid_json") from None


def query_of(request: Request, kind: type[T]) -> T:
    """The query string as a ``kind``, whose fields are named as its parameters; of several values the last counts.

    Raises ClientFault (400).
    """
    try:
        given = parse_qs(request.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise ClientFault("The query string has too many parameters.", code="invalid_value") from None
    try:
        return msgspec.convert({name: values[-1] for name, values in given.items()}, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: msgspec.ValidationError) -> ClientFault:
    text = str(error)
    found = _PLACE.search(text)
    field = found[1] if found else ""
    told = text[: found.start()] if found else text
    return ClientFault(f"{field}: {told}." if field else f"{told}.", param=field or None, code="invalid_value")
