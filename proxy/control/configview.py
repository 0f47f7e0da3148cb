"""The route of the effective configuration, in which every secret is struck out by what the schema says of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from msgspec import Struct, inspect, json, to_builtins

from proxy.config.schema import Config
from proxy.control.replies import JSON
from proxy.transport.server import Request

MASKED = "********"
# Kinds of text in the schema that nobody may read: credentials, hashes of them, and what may hold one.
SECRET = frozenset(("key", "key hash", "header value"))

# RFC 3986 3.2.1: what stands between the scheme and the host; and the query, in which keys are often put.
_USERINFO = re.compile(r"(?<=://)[^/?#@]*@")
_QUERY = re.compile(r"\?[^#]+")


class ConfigView(Struct, rename="camel"):
    """``config`` as it could stand in the file, defaults filled in; ``path`` is ``null`` where there is no file;
    ``waitsForStart`` are the keys that were changed in it and are only looked at when the process starts."""

    config: dict[str, Any]
    path: str | None
    waits_for_start: list[str]


class ConfigPage:
    """``path`` is that of the configuration's file, ``""`` if there is none."""

    def __init__(
        self, config: Callable[[], Config], path: Callable[[], str], waits: Callable[[], Sequence[str]]
    ) -> None:
        self._config = config
        self._path = path
        self._waits = waits

    async def show(self, request: Request) -> None:
        """GET /admin/config."""
        # In a thread: thousands of models take a while, and the configuration never changes.
        body = await asyncio.to_thread(_encoded, self._config(), self._path() or None, list(self._waits()))
        request.reply.send(200, JSON, body)


def shown(config: Config) -> dict[str, Any]:
    """Keys in camelCase; every secret is ``********``."""
    found: dict[str, Any] = _masked(_description(), to_builtins(config))
    return found


def _encoded(config: Config, path: str | None, waits: list[str]) -> bytes:
    return json.encode(ConfigView(shown(config), path, waits))


@cache
def _description() -> inspect.Type:
    return inspect.type_info(Config)


def _masked(kind: inspect.Type, value: Any) -> Any:
    """``value``, already plain, as the schema's ``kind`` tells what stands where."""
    match kind:
        case inspect.Metadata():
            if (kind.extra or {}).get("kind") in SECRET:
                return MASKED if value else value
            return _masked(kind.type, value)
        case inspect.UnionType():
            return _masked(_chosen(kind, value), value)
        case inspect.StructType() if isinstance(value, dict):
            return {each.encode_name: _masked(each.type, value[each.encode_name]) for each in _present(kind, value)}
        case inspect.ListType() if isinstance(value, list):
            return [_masked(kind.item_type, item) for item in value]
        case inspect.DictType() if isinstance(value, dict):
            return {key: _masked(kind.value_type, item) for key, item in value.items()}
    return bare(value) if isinstance(value, str) else value


def _present(kind: inspect.StructType, value: dict[str, Any]) -> list[inspect.Field]:
    """The fields that are set."""
    return [field for field in kind.fields if field.encode_name in value]


def _chosen(kind: inspect.UnionType, value: Any) -> inspect.Type:
    """In the schema every union is of one type and of ``None``."""
    if value is None:
        return inspect.NoneType()
    return next(each for each in kind.types if not isinstance(each, inspect.NoneType))


def bare(text: str) -> str:
    """A URL without credentials and query; any other text as it is."""
    if "://" not in text:
        return text
    return _QUERY.sub(f"?{MASKED}", _USERINFO.sub(f"{MASKED}@", text))
