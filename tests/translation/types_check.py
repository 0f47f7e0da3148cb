"""JSON values checked against the types that an SDK has for requests.

    assert not list(misfits(body, CompletionCreateParamsNonStreaming))

A member that the type lacks is a misfit, as is a missing one that it requires: real APIs refuse both.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

_PRIMITIVES: dict[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}


def misfits(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """What does not fit, each with its path."""
    origin = get_origin(hint)
    if origin in (Required, NotRequired):
        yield from misfits(value, get_args(hint)[0], path)
    elif hint in (object, Any):
        return
    elif is_typeddict(hint):
        yield from _members(value, hint, path)
    elif origin in (Union, types.UnionType):
        yield from _choices(value, get_args(hint), path)
    elif origin is Literal:
        if not any(value == each and type(value) is type(each) for each in get_args(hint)):
            yield f"{path}: {value!r} is none of {get_args(hint)}"
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no object"
            return
        for name, each in value.items():
            yield from misfits(each, get_args(hint)[1], f"{path}.{name}")
    elif isinstance(origin, type) and issubclass(origin, Iterable):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no array"
            return
        for index, each in enumerate(value):
            yield from misfits(each, get_args(hint)[0], f"{path}[{index}]")
    elif not _is_primitive(value, hint):
        yield f"{path}: {value!r} is no {getattr(hint, '__name__', hint)}"


def _is_primitive(value: Any, hint: Any) -> bool:
    if hint in (None, type(None)):
        return value is None
    if isinstance(value, bool) and hint is not bool:
        return False
    return isinstance(value, _PRIMITIVES.get(hint, ()))  # classes, such as those of answers, are never JSON


def _members(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    hints = _hints(hint)
    for name, each in hints.items():
        if name in value:
            yield from misfits(value[name], each, f"{path}.{name}".lstrip("."))
        elif get_origin(each) is Required:
            yield f"{path}.{name}: is missing".lstrip(".")
    yield from (f"{path}.{name}: is unknown".lstrip(".") for name in value.keys() - hints.keys())


def _choices(value: Any, hints: tuple[Any, ...], path: str) -> Iterator[str]:
    """Nothing if one of the types fits, else what the nearest one misses."""
    found = [list(misfits(value, hint, path)) for hint in hints]
    if [] in found:
        return
    meant = [each for hint, each in zip(hints, found, strict=True) if _is_meant(value, hint)]
    yield from min(meant or found, key=len)


def _is_meant(value: Any, hint: Any) -> bool:
    """Whether a value is meant to have this type: it is an array as well, or an object of the same type or role."""
    origin = get_origin(hint)
    if isinstance(value, list):
        return isinstance(origin, type) and issubclass(origin, Iterable)
    if not isinstance(value, dict) or not is_typeddict(hint):
        return False
    tags = [name for name in ("type", "role") if name in _hints(hint)]
    return bool(tags) and all(not list(misfits(value.get(name), _hints(hint)[name])) for name in tags)


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint, include_extras=True)
