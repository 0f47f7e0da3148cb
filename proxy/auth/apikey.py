"""API keys: what is stored of them, and when they are valid.

A secret is ``sk-`` and 256 random bits. Only its SHA-256 is stored. Slow hashes and salts protect guessable secrets;
these cannot be guessed. A secret contains neither a checksum nor the key's ID, so it reveals nothing.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from hmac import compare_digest

from msgspec import Struct

from proxy.config.labels import sorted_labels
from proxy.config.limit_schema import Limits
from proxy.config.schema import ConfiguredKey
from proxy.identity import Client
from proxy.routing.access import access

PREFIX = "sk-"
PASSTHROUGH = "passthrough"

_ALGORITHM = "sha256:"


class ApiKey(Struct, frozen=True, kw_only=True):
    """One key. Hashes are from ``hash_of``, times Unix seconds. No models or providers: all of them.

    ``previous_hash``: the secret before the last rotation, valid until ``previous_until``. ``revision`` grows with
    every change. Members of ``limits`` replace the configured ones. ``owner``, ``team``, ``project`` and ``labels`` say
    to whom its calls are accounted.
    """

    id: str
    name: str
    hash: str
    owner: str = ""
    enabled: bool = True
    expires_at: float | None = None  # never
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    limits: Limits | None = None
    created_at: float = 0.0
    previous_hash: str | None = None
    previous_until: float | None = None
    revision: int = 0
    team: str = ""
    project: str = ""
    labels: Mapping[str, str] = {}

    @property
    def hashes(self) -> tuple[str, ...]:
        """All hashes that identify the key."""
        return (self.hash,) if self.previous_hash is None else (self.hash, self.previous_hash)

    def until(self, hash: str) -> float:  # noqa: A002
        """When the secret of ``hash`` expires: infinity for never, 0 if it is not valid at all."""
        if not self.enabled:
            return 0.0
        end = math.inf if self.expires_at is None else self.expires_at
        if compare_digest(self.hash, hash):
            return end
        if self.previous_hash is None or not compare_digest(self.previous_hash, hash):
            return 0.0
        return min(end, self.previous_until or 0.0)

    def usable(self, now: float, hash: str) -> bool:  # noqa: A002
        """Whether the secret of ``hash`` is valid at ``now`` (Unix seconds)."""
        return now < self.until(hash)

    def client(self) -> Client:
        """The client with this key, a new object each time."""
        return Client(
            id=f"key:{self.id}",
            name=self.name,
            access=access(self.models, self.providers),
            limits=self.limits,
            passthrough=PASSTHROUGH in self.scopes,
            scopes=frozenset(self.scopes),
            key=self.id,
            owner=self.owner,
            team=self.team,
            project=self.project,
            labels=sorted_labels(self.labels),
        )


def unused(mode: str) -> str:
    """What to change so that keys are used, for a value of ``auth.mode``; ``""``: nothing."""
    if mode in ("keys", "any"):
        return ""
    wanted = "any" if mode == "jwt" else "keys"
    return f"auth.mode is {mode}: API keys are not used; set auth.mode to {wanted} and restart"


def new_key() -> tuple[str, str]:
    """A new secret, to be shown once, and its hash, to be stored."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, hash_of(secret)


def digest_of(secret: str) -> bytes:
    """SHA-256 of a secret from a header, which may contain bytes that are not UTF-8."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def hash_of(secret: str) -> str:
    """``sha256:`` and 64 hexadecimal digits."""
    return hash_from(digest_of(secret))


def hash_from(digest: bytes) -> str:
    return _ALGORITHM + digest.hex()


def digest_from(hash: str) -> bytes:  # noqa: A002
    """The 32 bytes of a hash. Raises ``ValueError`` for an invalid one."""
    digest = bytes.fromhex(hash.removeprefix(_ALGORITHM))
    if not hash.startswith(_ALGORITHM) or len(digest) != 32:
        raise ValueError("a key's hash is sha256: and 64 hexadecimal digits")
    return digest


def of_configuration(keys: Iterable[ConfiguredKey]) -> list[ApiKey]:
    """The configured keys. Their IDs follow from their names, so that they survive a reload."""
    return [
        ApiKey(
            id=f"config:{key.name}",
            name=key.name,
            hash=key.hash,
            owner=key.owner,
            enabled=key.enabled,
            expires_at=datetime.fromisoformat(key.expires).timestamp() if key.expires else None,
            models=tuple(key.models),
            providers=tuple(key.providers),
            scopes=tuple(key.scopes),
            limits=key.limits,
            team=key.team,
            project=key.project,
            labels=key.labels,
        )
        for key in keys
    ]
