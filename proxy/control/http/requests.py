"""Read the body and the query string of a request into the types that describe them.

Every error names the field that it is about.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from proxy.errors import ClientFault
from proxy.net.budget import Budget
from proxy.server.body import BodyReader
from proxy.server.request import Request
from proxy.wire import document

T = TypeVar("T")

MAX_BODY: Final = 1024 * 1024  # bytes
MAX_PARAMETERS: Final = 100  # of a query string or a form

_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")  # how msgspec's messages end
_MEMBER = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`")  # of the object at that place


class RequestBodies:
    """Reads request bodies of at most 1 MiB.

    ``budget`` is the buffer budget of the process. ``timeout`` is in seconds for a whole body; 0: no limit.
    """

    def __init__(self, budget: Budget, timeout: float) -> None:
        self._budget = budget
        self._timeout = timeout

    async def read(self, request: Request) -> bytes:
        """The body without its content coding. Raises ClientFault (400, 408, 413, 415), Overloaded, ClientGone."""
        reader = BodyReader(request, limit=MAX_BODY, timeout=self._timeout, budget=self._budget)
        try:
            reader.admit()
            body = reader.read_now()
            return await reader.read_all() if body is None else body
        finally:
            reader.release()

    async def decode(self, request: Request, kind: type[T]) -> T:
        """The JSON body as a ``kind``. Raises as ``read`` does."""
        body = await self.read(request)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError as error:
            raise _invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _no_json() from None

    async def members(self, request: Request, *, optional: bool = False) -> dict[str, Any]:
        """The members of the JSON object in the body; ``optional``: none for an empty body. Raises as ``read`` does."""
        body = await self.read(request)
        if optional and not body:
            return {}
        try:
            found = document.decode(body)
        except ValueError:
            raise _no_json() from None
        if not isinstance(found, dict):
            raise ClientFault("The request body must be a JSON object.", code="invalid_json")
        return found


def parse_query(request: Request, kind: type[T], prefix: str | None = None) -> T:
    """The query string as a ``kind``, whose fields have the names of its parameters.

    Of several values of a parameter the last counts. Those whose name begins with ``prefix`` are left out. Raises
    ClientFault (400).
    """
    try:
        given = parse_qs(request.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise ClientFault("The query string has too many parameters.", code="invalid_value") from None
    try:
        members = {name: values[-1] for name, values in given.items() if prefix is None or not name.startswith(prefix)}
        return msgspec.convert(members, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: msgspec.ValidationError) -> ClientFault:
    text = str(error)
    found = _FIELD.search(text)
    field = found[1] if found else ""
    message = text[: found.start()] if found else text
    if member := _MEMBER.fullmatch(message):
        field = f"{field}.{member[2]}" if field else member[2]
        message = "is missing" if member[1] == "missing required" else "is unknown"
    return ClientFault(f"{field}: {message}." if field else f"{message}.", param=field or None, code="invalid_value")


def _no_json() -> ClientFault:
    return ClientFault("The request body is not valid JSON.", code="invalid_json")
