"""Names of members: Google's parser takes each in camelCase and in snake_case, and its Python SDK sends both.

Source: https://protobuf.dev/programming-guides/json
"""

from __future__ import annotations

from proxy.dialects.translation import members
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject


def spelled(holder: JsonObject, known: frozenset[str]) -> JsonObject:
    """The object with its ``known`` members in camelCase; all others keep their names.

    A member that is there in both spellings is known in camelCase only.
    """
    if known.issuperset(holder):
        return holder
    found: JsonObject = {}
    for name, value in holder.items():
        camel = camel_case(name)
        found[camel if camel in known and camel not in holder else name] = value
    return found


def known_members(holder: JsonObject, known: frozenset[str], path: str, losses: Losses) -> JsonObject:
    """The object as ``spelled`` returns it. The unknown members are told, behind the ``path`` of the object."""
    found = spelled(holder, known)
    if not found.keys() <= known:
        losses.drop(*members.unknown(found, known, path))
    return found


def camel_case(name: str) -> str:
    """The name in camelCase. A leading underscore stays."""
    if "_" not in name:
        return name
    first, *rest = name.removeprefix("_").split("_")
    return name[: name.startswith("_")] + first + "".join(map(str.capitalize, rest))
