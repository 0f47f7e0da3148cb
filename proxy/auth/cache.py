"""Caches of credentials, so that known ones need no lookup.

Hot path: ``KeyCache.check`` runs once per request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import sha256
from hmac import compare_digest

from msgspec import Struct

from proxy.auth.apikey import ApiKey, digest_from
from proxy.caches import ExpiringCache
from proxy.identity import Client

GONE_SECS = 60.0  # longer than any lookup of a key


class _CachedSecret(Struct, frozen=True):
    """One secret of a key. ``until``: when it expires, Unix seconds."""

    digest: bytes
    until: float
    client: Client
    key: ApiKey


class KeyCache:
    """API keys by the digests (``apikey.digest_of``) of their secrets, including unknown digests.

    A key stays until it is dropped, replaced or evicted. Changes must be reported here, and an outage of the database
    removes nothing. Unknown digests expire after ``unknown_secs`` and have a bound of their own, so that a flood of
    invented keys evicts no real one. Configured keys are never evicted.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        *,
        most: int = 100_000,
        most_unknown: int = 10_000,
        unknown_secs: float = 5.0,
    ) -> None:
        """``wall`` returns Unix seconds, for the expiry of keys."""
        self._wall = wall
        self._most = most
        self._unknown_secs = unknown_secs
        self._held: dict[bytes, _CachedSecret] = {}
        self._configured: dict[str, ApiKey] = {}  # by id
        self._found: OrderedDict[str, ApiKey] = OrderedDict()  # by ID, oldest first
        self._unknown: ExpiringCache[bytes, bool] = ExpiringCache(most_unknown)
        self._gone: ExpiringCache[str, int] = ExpiringCache(most)  # revisions of dropped keys, by ID

    def __len__(self) -> int:
        """Number of known keys."""
        return len(self._configured) + len(self._found)

    def check(self, secret: str) -> Client | None:
        """The client with ``secret``; ``None`` if it is not cached or not valid."""
        digest = sha256(secret.encode("utf-8", "surrogateescape")).digest()
        held = self._held.get(digest)
        # The dict compares digests, so its timing reveals nothing that a client can control. The comparison in
        # constant time costs 0.06 us and removes any doubt.
        if held is None or not compare_digest(held.digest, digest) or self._wall() >= held.until:
            return None
        return held.client

    def get(self, digest: bytes) -> ApiKey | None:
        """The key that has or had this secret, valid or not."""
        held = self._held.get(digest)
        return None if held is None else held.key

    def unknown(self, digest: bytes) -> bool:
        """Whether a recent lookup found no such key."""
        return self._unknown.get(digest, self._wall()) is not None

    def put(self, key: ApiKey) -> None:
        """Add or replace a key, unless a newer revision is known.

        A lookup that was overtaken by a change must not restore the older revision.
        """
        known = self._found.get(key.id)
        if key.revision < (known.revision if known is not None else self._gone.get(key.id, self._wall()) or 0):
            return
        if known is not None:
            self._remove(known)
        self._found[key.id] = key
        self._found.move_to_end(key.id)
        self._add(key)
        if len(self._found) > self._most:
            self._remove(self._found.popitem(last=False)[1])

    def put_unknown(self, digest: bytes) -> None:
        """Remember that there is no such key, unless one was added since the lookup."""
        if digest not in self._held:
            self._unknown.put(digest, True, self._wall() + self._unknown_secs)

    def drop(self, id: str, revision: int = 0) -> None:  # noqa: A002
        """Remove a key. Revisions older than ``revision`` are ignored from then on."""
        known = self._found.pop(id, None)
        if known is not None:
            self._remove(known)
        self._gone.put(id, revision, self._wall() + GONE_SECS)

    def invalidate(self, digests: Iterable[bytes]) -> None:
        """Invalidate everything that is cached for these digests."""
        for digest in digests:
            self._unknown.drop(digest)
            held = self._held.get(digest)
            if held is not None and held.key.id in self._found:
                self._remove(self._found.pop(held.key.id))

    def configure(self, keys: Iterable[ApiKey]) -> None:
        """Replace the configured keys."""
        for key in self._configured.values():
            self._remove(key)
        self._configured = {key.id: key for key in keys}
        for key in self._configured.values():
            self._add(key)

    def _add(self, key: ApiKey) -> None:
        client = key.client()
        for hash_ in key.hashes:
            digest = digest_from(hash_)
            self._unknown.drop(digest)
            held = self._held.get(digest)
            if held is None or held.key.id not in self._configured:  # configured keys take precedence
                self._held[digest] = _CachedSecret(digest, key.until(hash_), client, key)

    def _remove(self, key: ApiKey) -> None:
        for hash_ in key.hashes:
            digest = digest_from(hash_)
            held = self._held.get(digest)
            if held is not None and held.key.id == key.id:
                del self._held[digest]
