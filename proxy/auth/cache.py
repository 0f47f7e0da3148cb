"""What is known about credentials, so that a request with one that was seen before waits for nobody.

Hot path: ``KeyCache.check`` runs once per request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.auth.apikey import ApiKey, digest_from
from proxy.identity import Client

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


GONE_SECS = 60.0  # longer than any look-up of a key takes


class Expiring(Generic[K, V]):
    """At most ``most`` values, each until its moment; where there is no room the oldest makes some."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        # A plain dict searches its front for the oldest, past all that were taken from there before.
        self._found: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: K, now: float) -> V | None:
        found = self._found.get(key)
        if found is None:
            return None
        value, until = found
        if now < until:
            return value
        del self._found[key]
        return None

    def put(self, key: K, value: V, until: float) -> None:
        self._found[key] = (value, until)
        self._found.move_to_end(key)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def drop(self, key: K) -> None:
        self._found.pop(key, None)


class _Held(Struct, frozen=True):
    """One secret of a key. ``until``: the moment at which it stops to work, Unix seconds."""

    digest: bytes
    until: float
    client: Client
    key: ApiKey


class KeyCache:
    """Keys by the digests (``apikey.digest_of``) of their secrets, the unknown ones among them.

    A key stays until it is dropped, replaced or pushed out: whoever hears of a change says so here, and a database
    that is down takes nothing away. What is unknown is so for ``unknown_secs``, and has room of its own, so that no
    flood of made-up keys pushes out a real one. Configured keys are never pushed out.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        *,
        most: int = 100_000,
        most_unknown: int = 10_000,
        unknown_secs: float = 5.0,
    ) -> None:
        """``wall`` tells Unix seconds, by which keys expire."""
        self._wall = wall
        self._most = most
        self._unknown_secs = unknown_secs
        self._held: dict[bytes, _Held] = {}
        self._configured: dict[str, ApiKey] = {}  # by id
        self._found: OrderedDict[str, ApiKey] = OrderedDict()  # by id, the oldest first
        self._unknown: Expiring[bytes, bool] = Expiring(most_unknown)
        self._gone: Expiring[str, int] = Expiring(most)  # the revision with which a key was dropped, by id

    def __len__(self) -> int:
        """How many keys are known."""
        return len(self._configured) + len(self._found)

    def check(self, secret: str) -> Client | None:
        """Who asks with ``secret``; ``None`` if it is not known here, or does not work (any more)."""
        digest = sha256(secret.encode("utf-8", "surrogateescape")).digest()
        held = self._held.get(digest)
        # The dict compares digests, not secrets, and so tells by its timing nothing that a client could steer;
        # comparing once more in constant time costs 0.06 us and spares the argument.
        if held is None or not compare_digest(held.digest, digest) or self._wall() >= held.until:
            return None
        return held.client

    def get(self, digest: bytes) -> ApiKey | None:
        """The key that has, or had, this secret, whether it works or not."""
        held = self._held.get(digest)
        return None if held is None else held.key

    def unknown(self, digest: bytes) -> bool:
        """Whether it was asked for a moment ago, and there was no such key."""
        return self._unknown.get(digest, self._wall()) is not None

    def put(self, key: ApiKey) -> None:
        """Know ``key``, in place of what was known under its id, unless a newer revision was told of before.

        So a look-up that was overtaken by a change does not bring back what the change took away.
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
        """There is no such key, for a while; unless one has been told of since it was looked up."""
        if digest not in self._held:
            self._unknown.put(digest, True, self._wall() + self._unknown_secs)

    def drop(self, id: str, revision: int = 0) -> None:  # noqa: A002 - the field's word
        """Know nothing of this key any more; ``revision`` is the one that says so, and older ones are not believed."""
        known = self._found.pop(id, None)
        if known is not None:
            self._remove(known)
        self._gone.put(id, revision, self._wall() + GONE_SECS)

    def forget(self, digests: Iterable[bytes]) -> None:
        """Know nothing of whatever is found under these, be it a key or that there is none."""
        for digest in digests:
            self._unknown.drop(digest)
            held = self._held.get(digest)
            if held is not None and held.key.id in self._found:
                self._remove(self._found.pop(held.key.id))

    def configure(self, keys: Iterable[ApiKey]) -> None:
        """These are the configuration's keys now, and those that it had before are none any more."""
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
            if held is None or held.key.id not in self._configured:  # the configuration has the last word
                self._held[digest] = _Held(digest, key.until(hash_), client, key)

    def _remove(self, key: ApiKey) -> None:
        for hash_ in key.hashes:
            digest = digest_from(hash_)
            held = self._held.get(digest)
            if held is not None and held.key.id == key.id:
                del self._held[digest]
