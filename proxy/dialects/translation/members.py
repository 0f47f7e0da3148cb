"""Reading decoded JSON objects of requests: each member with its type, and none overlooked.

``null`` counts as absent. An error names the member from where the reader stands; whoever read the outer objects adds
where that is, with ``Within``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypeAlias, TypeVar

from proxy.errors import ClientFault, Untranslatable, WrongMember
from proxy.wire import document

JsonObject: TypeAlias = dict[str, Any]
_T = TypeVar("_T")
_INFINITE: Final = (math.inf, -math.inf)  # 1e999, which would be sent on as null
_MOST_SHOWN: Final = 20  # characters of a number
_are_objects: Final = frozenset((dict,)).issuperset  # of the types of decoded values


class Within:
    """Adds the name of an outer member to the path of an error that its reader raises: ``with Within("tools[1]")``."""

    __slots__ = ("_outer",)

    def __init__(self, outer: str) -> None:
        self._outer = outer

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(fault, Untranslatable | WrongMember):
            raise fault.within(self._outer) from None


def of_body(body: bytes) -> JsonObject:
    """The object that a request body is. Raises ClientFault."""
    try:
        found = document.decode_finite(body)
    except document.NumberTooLarge as exc:
        message = f"The request body has a number that is too large: {str(exc)[:_MOST_SHOWN]}"
        raise ClientFault(message, code="invalid_body") from None
    except ValueError:
        raise ClientFault("The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(found, dict):
        raise ClientFault("The request body must be a JSON object.", code="invalid_body")
    return found


def text(holder: JsonObject, name: str) -> str:
    """``""`` if it is absent."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongMember(name, "a string")
    return value


def required_text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise WrongMember(name, "a string")
    return value


def flag(holder: JsonObject, name: str) -> bool | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, bool):
        raise WrongMember(name, "true or false")
    return value


def integer(holder: JsonObject, name: str) -> int | None:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongMember(name, "a whole number")
    return value


def number(holder: JsonObject, name: str) -> float | None:
    value = holder.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value in _INFINITE):
        raise WrongMember(name, "a number")
    return value


def mapping(holder: JsonObject, name: str) -> JsonObject | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, dict):
        raise WrongMember(name, "an object")
    return value


def required_mapping(holder: JsonObject, name: str) -> JsonObject:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise WrongMember(name, "an object")
    return value


def texts(holder: JsonObject, name: str) -> list[str]:
    """A list of strings; empty if it is absent."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WrongMember(name, "an array of strings")
    return value


def objects(holder: JsonObject, name: str) -> list[JsonObject]:
    """A list of objects; empty if it is absent."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongMember(name, "an array")
    if not _are_objects(map(type, value)):
        wrong = next(index for index, each in enumerate(value) if not isinstance(each, dict))
        raise WrongMember(f"{name}[{wrong}]", "an object")
    return value


def each(holder: JsonObject, name: str, read: Callable[[JsonObject], _T]) -> list[_T]:
    """What ``read`` makes of each object of a list. Its errors get the path of the object."""
    items, found = objects(holder, name), list[_T]()
    try:
        found.extend(map(read, items))  # one by one, so their number is the index of an error
    except (WrongMember, Untranslatable) as fault:
        raise fault.within(f"{name}[{len(found)}]") from None
    return found


def unknown(holder: JsonObject, known: frozenset[str], path: str = "") -> Sequence[str]:
    """The members that are not ``known``, as ``path`` and name: what a translation loses."""
    if known.issuperset(holder):
        return ()
    return [path + name for name, value in holder.items() if name not in known and value is not None]
