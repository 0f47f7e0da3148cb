"""An API key: what is kept of it, and for how long it opens the door.

A secret is ``sk-`` and 256 random bits. Only its SHA-256 is kept: slow hashes are for what people make up, since
nobody can try all of 2^256, and a salt would only hide that two keys are equal, which they never are. The secret
holds neither a checksum nor the key's id: nothing about it can be told without asking us.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable
from datetime import datetime
from hmac import compare_digest

from msgspec import Struct

from proxy.config.schema import ConfiguredKey, Limits
from proxy.identity import Client
from proxy.routing.access import access

PREFIX = "sk-"
PASSTHROUGH = "passthrough"

_ALGORITHM = "sha256:"


class ApiKey(Struct, frozen=True, kw_only=True):
    """One key. Hashes are as ``hash_of`` writes them, moments Unix seconds, ``()`` of models or providers is all.

    ``previous_hash``: the secret before the last rotation, good until ``previous_until``. ``revision`` grows with
    every change. ``limits`` override those of the configuration member by member.
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

    @property
    def hashes(self) -> tuple[str, ...]:
        """Under which it may be found."""
        return (self.hash,) if self.previous_hash is None else (self.hash, self.previous_hash)

    def until(self, hash: str) -> float:  # noqa: A002 - the field's word
        """The moment at which the secret of ``hash`` stops to work: infinity for never, 0 where it does not at all."""
        if not self.enabled:
            return 0.0
        end = math.inf if self.expires_at is None else self.expires_at
        if compare_digest(self.hash, hash):
            return end
        if self.previous_hash is None or not compare_digest(self.previous_hash, hash):
            return 0.0
        return min(end, self.previous_until or 0.0)

    def usable(self, now: float, hash: str) -> bool:  # noqa: A002 - the field's word
        """Whether the secret of ``hash`` opens the door at ``now`` (Unix seconds)."""
        return now < self.until(hash)

    def client(self) -> Client:
        """Who asks with it. Made anew each time: whoever needs it often keeps it."""
        return Client(
            id=f"key:{self.id}",
            name=self.name,
            access=access(self.models, self.providers),
            limits=self.limits,
            passthrough=PASSTHROUGH in self.scopes,
        )


def unused(mode: str) -> str:
    """What to change before any key is asked for, where ``auth.mode`` is ``mode``; ``""``: nothing."""
    if mode in ("keys", "any"):
        return ""
    wanted = "keys" if mode == "none" else "any"
    return f"auth.mode is {mode}: keys are not asked for; set auth.mode to {wanted} and restart"


def new_key() -> tuple[str, str]:
    """A new secret, to be shown once, and its hash, to be kept."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, hash_of(secret)


def digest_of(secret: str) -> bytes:
    """SHA-256 of a secret as a client sent it; a header may hold bytes that are no text."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def hash_of(secret: str) -> str:
    """``sha256:`` and 64 hexadecimal digits."""
    return hash_from(digest_of(secret))


def hash_from(digest: bytes) -> str:
    return _ALGORITHM + digest.hex()


def digest_from(hash: str) -> bytes:  # noqa: A002 - the field's word
    """The 32 bytes that a hash stands for. Raises ``ValueError`` for what is none."""
    digest = bytes.fromhex(hash.removeprefix(_ALGORITHM))
    if not hash.startswith(_ALGORITHM) or len(digest) != 32:
        raise ValueError("a key's hash is sha256: and 64 hexadecimal digits")
    return digest


def of_configuration(keys: Iterable[ConfiguredKey]) -> list[ApiKey]:
    """The keys that stand in the configuration; their ids follow from their names, and so outlive a reload."""
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
        )
        for key in keys
    ]
