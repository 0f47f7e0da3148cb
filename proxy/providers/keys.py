"""API keys of one provider: used in turn, with a cooldown for keys that were refused or rate-limited.

A refused key gets a cooldown only while another key works. With none left, requests are the only way to learn that it
works again, and the deployment's breaker limits their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.providers.credential_source import CredentialSource


class Key:
    """One credential.

    ``secret``: the key itself, ``""`` to send none. ``source``: where a credential comes from that is issued for a
    time, instead of a secret. ``number``: its place in the configuration, from 0.
    It is not used before ``cooldown_until`` (monotonic seconds). ``limited``: the cooldown is for a rate limit, not
    for a refusal.
    """

    __slots__ = ("cooldown_until", "limited", "number", "secret", "source")

    def __init__(self, number: int, secret: str, source: CredentialSource | None = None) -> None:
        self.number = number
        self.secret = secret
        self.source = source
        self.cooldown_until = 0.0
        self.limited = False

    def __repr__(self) -> str:  # without the secret
        return f"<Key {self.number}>"


class KeyRing:
    """The keys in turn. A provider without keys gets a null ``Key``, so callers need no special case.

    Keys that were in the ring ``before`` keep their cooldowns. ``source``: of the credential without ``keys``.
    """

    __slots__ = ("_keys", "_only", "_turn")

    _keys: tuple[Key, ...]

    def __init__(
        self, keys: Sequence[str], before: KeyRing | None = None, source: CredentialSource | None = None
    ) -> None:
        known = {} if before is None else {(key.secret, key.source): key for key in before._keys}
        made = [Key(number, secret) for number, secret in enumerate(keys)] or [Key(0, "", source)]
        self._keys = tuple(_kept(key, known.get((key.secret, key.source))) for key in made)
        self._only = self._keys[0] if len(self._keys) == 1 else None
        self._turn = 0
        if all(key.cooldown_until and not key.limited for key in self._keys):
            self.reset()  # all were refused, and the other keys were removed

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, now: float) -> Key | None:
        """The next key without a cooldown; ``None`` if there is none."""
        only = self._only
        if only is not None:  # the usual case
            return only if only.cooldown_until <= now else None
        keys, turn = self._keys, self._turn
        for place in range(turn, turn + len(keys)):
            key = keys[place % len(keys)]
            if key.cooldown_until <= now:
                self._turn = (place + 1) % len(keys)
                return key
        return None

    def cool_down(self, key: Key, until: float, *, limited: bool = False) -> None:
        """Do not use ``key`` before ``until``. Never shortens a cooldown."""
        if until > key.cooldown_until:
            key.cooldown_until = until
            key.limited = limited

    def refused(self, key: Key, until: float, now: float, *, limited: bool = False) -> bool:
        """Start a cooldown of ``key`` if another key is available now; whether there is one."""
        if not any(other.cooldown_until <= now for other in self._keys if other is not key):
            return False
        self.cool_down(key, until, limited=limited)
        return True

    def reset(self) -> None:
        """End all cooldowns."""
        for key in self._keys:
            key.cooldown_until = 0.0
            key.limited = False

    def cooling(self, now: float) -> int:
        """Number of keys in a cooldown."""
        return sum(key.cooldown_until > now for key in self._keys)

    @property
    def source(self) -> CredentialSource | None:
        """Where the credential comes from, if it is issued for a time."""
        return self._keys[0].source

    @property
    def limited(self) -> bool:
        """Whether a cooldown is for a rate limit, so that a key will work again by itself."""
        return any(key.limited for key in self._keys)

    def free_at(self) -> float:
        """When ``take`` returns a key; may be in the past."""
        return min(key.cooldown_until for key in self._keys)


def _kept(key: Key, before: Key | None) -> Key:
    """``key`` with its previous cooldown.

    The same object if its place is unchanged, since running attempts refer to it.
    """
    if before is None:
        return key
    if before.number == key.number:
        return before
    key.cooldown_until, key.limited = before.cooldown_until, before.limited
    return key
