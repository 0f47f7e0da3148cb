"""A JSON Web Key Set (RFC 7517), reduced to keys that verify tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proxy.auth.publickey import ASYMMETRIC, algorithm_of
from proxy.config.remote import FetchFailed

if TYPE_CHECKING:
    from proxy.auth.publickey import PublicKey

MAX_KEYS = 100


class KeySet:
    """Keys by ID and algorithm."""

    def __init__(self, keys: list[tuple[str | None, str, PublicKey]]) -> None:
        self._named: dict[tuple[str, str], PublicKey] = {}
        self._all: dict[str, list[PublicKey]] = {}
        for kid, algorithm, key in keys:
            self._all.setdefault(algorithm, []).append(key)
            if kid is not None:
                self._named.setdefault((kid, algorithm), key)

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key for a token. Without an ID, the only key of its algorithm."""
        if kid is not None:
            return self._named.get((kid, algorithm))
        fitting = self._all.get(algorithm, ())
        return fitting[0] if len(fitting) == 1 else None


class _Document(msgspec.Struct):
    keys: list[Any]


def parse(document: bytes) -> KeySet:
    """The public keys for signatures; others are skipped. Raises ``FetchFailed``."""
    try:
        listed = msgspec.json.decode(document, type=_Document).keys
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise FetchFailed("holds no key set") from None
    if len(listed) > MAX_KEYS:
        raise FetchFailed(f"holds more than {MAX_KEYS} keys")
    keys = [key for entry in listed if (key := _key(entry)) is not None]
    if not keys:
        raise FetchFailed("holds no key that could verify tokens")
    return KeySet(keys)


def _key(entry: Any) -> tuple[str | None, str, PublicKey] | None:
    from jwt import PyJWK

    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "verify" not in _operations(entry):
        return None
    try:
        made = PyJWK(entry)
    except Exception:  # one invalid key must not invalidate the others
        return None
    kid, algorithm = entry.get("kid"), algorithm_of(made.key)
    # What the key is and what it says that it is for (RFC 7517, section 4.4) must agree. Only public keys have an
    # algorithm here: a symmetric key at a URL is public, and must not verify anything.
    if algorithm not in ASYMMETRIC or algorithm != made.algorithm_name or not isinstance(kid, str | None):
        return None
    return kid, algorithm, made.key


def _operations(entry: dict[str, Any]) -> list[Any]:
    """``key_ops`` (RFC 7517, section 4.3); without it a key is for any operation."""
    named = entry.get("key_ops", ["verify"])
    return named if isinstance(named, list) else []
