"""The KV store: names of keys, entries as they are read, and transactions.

Sources: https://developer.hashicorp.com/consul/api-docs/kv, /api-docs/txn
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.consul.client import ConsulClient, ConsulReply, ConsulUnavailable

MOST_OPERATIONS: Final = 64  # of one transaction
MOST_VALUE: Final = 512 * 1024  # bytes, unless the agent is configured otherwise

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class KeyEntry(Struct, frozen=True, rename="pascal"):
    """``modify_index``: of its last change. ``value``: in base 64."""

    key: str
    modify_index: int = 0
    value: str | None = None
    session: str = ""

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.value or "")


_ENTRIES: Final = msgspec.json.Decoder(list[KeyEntry])


def key_name(text: str) -> str:
    """A part of a key for any text: other characters than letters, digits, - and _ as ``,2e``.

    Consul 1.22 takes letters, digits and ``,-_./`` only, and no key that ends like the name of a file (``.js``).
    """
    return "".join(chr(each) if each in _PLAIN else f",{each:02x}" for each in text.encode())


def path_of(prefix: str) -> str:
    """A configured prefix as the first part of keys, without a slash at either end."""
    return "/".join(key_name(part) for part in prefix.split("/") if part)


def entries_of(reply: ConsulReply) -> list[KeyEntry]:
    """Raises ConsulUnavailable if it is not what the KV store answers."""
    if not reply.found:
        return []
    try:
        return _ENTRIES.decode(reply.body)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConsulUnavailable(f"the answer cannot be read: {error}") from None


def operation(verb: str, key: str, value: bytes = b"", index: int = 0) -> dict[str, Any]:
    return {"KV": {"Verb": verb, "Key": key, "Value": base64.b64encode(value).decode(), "Index": index}}


async def transact(client: ConsulClient, operations: list[dict[str, Any]]) -> bool:
    """Make all of them or none. ``False``: a check failed. Raises ConsulUnavailable; then both are possible."""
    reply = await client.put("txn", None, msgspec.json.encode(operations))
    if not reply.found:
        raise ConsulUnavailable("the agent knows no transactions")
    return reply.status == 200
