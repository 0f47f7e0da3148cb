"""Cached credentials: lookup, expiry and eviction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.auth.apikey import ApiKey, digest_of, hash_of
from proxy.auth.cache import KeyCache
from proxy.caches import ExpiringCache


class Wall:
    """Unix seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def key(name: str, revision: int = 1, **fields: object) -> ApiKey:
    """A key with the secret ``sk-{name}``."""
    return replace(ApiKey(id=name, name=name, hash=hash_of(f"sk-{name}"), revision=revision), **fields)


def digest(name: str) -> bytes:
    return digest_of(f"sk-{name}")


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def cache(wall: Wall) -> KeyCache:
    return KeyCache(wall, most=3, most_unknown=2, unknown_secs=5.0)


def test_a_known_key_identifies_the_client(cache: KeyCache) -> None:
    cache.put(key("a"))
    client = cache.check("sk-a")
    assert client is not None
    assert client.id == "key:a"
    assert cache.check("sk-a") is client  # made once
    assert cache.get(digest("a")) == key("a")


@pytest.mark.parametrize("secret", ["sk-b", "", "sk-", "sk-a ", "\udcff", "sk-ä", hash_of("sk-a")])
def test_other_keys_are_unknown(cache: KeyCache, secret: str) -> None:
    cache.put(key("a"))
    assert cache.check(secret) is None


def test_an_expired_key_is_rejected_and_stays_cached(cache: KeyCache, wall: Wall) -> None:
    cache.put(key("a", expires_at=1_010.0))
    wall.now = 1_009.9
    assert cache.check("sk-a")
    wall.now = 1_010.0
    assert cache.check("sk-a") is None
    assert cache.get(digest("a")) is not None


def test_a_disabled_key_is_cached_and_rejected(cache: KeyCache) -> None:
    cache.put(key("a", enabled=False))
    assert cache.check("sk-a") is None
    assert cache.get(digest("a")) is not None


def test_a_rotated_key_has_both_secrets_until_the_old_one_expires(cache: KeyCache, wall: Wall) -> None:
    cache.put(key("a"))
    cache.put(key("a", 2, hash=hash_of("sk-new"), previous_hash=hash_of("sk-a"), previous_until=1_010.0))
    assert cache.check("sk-new") is not None
    assert cache.check("sk-a") is not None
    wall.now = 1_010.0
    assert cache.check("sk-new") is not None
    assert cache.check("sk-a") is None


def test_only_the_last_two_secrets_are_kept(cache: KeyCache) -> None:
    cache.put(key("a"))
    cache.put(key("a", 3, hash=hash_of("sk-c"), previous_hash=hash_of("sk-b"), previous_until=2_000.0))
    assert cache.get(digest("a")) is None
    assert cache.check("sk-a") is None


def test_a_dropped_key_is_unknown_under_every_secret(cache: KeyCache) -> None:
    cache.put(key("a", previous_hash=hash_of("sk-old"), previous_until=2_000.0))
    cache.drop("a")
    cache.drop("never there")
    assert (cache.check("sk-a"), cache.check("sk-old"), len(cache)) == (None, None, 0)


def test_invalidating_one_secret_drops_the_key(cache: KeyCache) -> None:
    cache.put(key("a", previous_hash=hash_of("sk-old"), previous_until=2_000.0))
    cache.invalidate([digest("old"), digest("unknown")])
    assert (cache.check("sk-a"), len(cache)) == (None, 0)


def test_the_oldest_key_is_evicted(cache: KeyCache) -> None:
    for name in "abc":
        cache.put(key(name))
    cache.put(key("a", 2))  # added again
    cache.put(key("d"))
    assert [name for name in "abcd" if cache.check(f"sk-{name}")] == ["a", "c", "d"]
    assert len(cache) == 3


def test_an_older_revision_does_not_replace_a_newer_one(cache: KeyCache) -> None:
    cache.put(key("a", 2, enabled=False))
    cache.put(key("a", 1))
    assert cache.check("sk-a") is None


def test_an_overtaken_lookup_is_not_cached(cache: KeyCache) -> None:
    cache.put(key("a", 1))
    cache.drop("a", revision=2)  # deleted while the database was being read
    cache.put(key("a", 1))
    assert cache.check("sk-a") is None
    cache.put(key("a", 2))
    assert cache.check("sk-a")
    cache.put(key("b"))  # made while the database was being read
    cache.put_unknown(digest("b"))
    assert not cache.unknown(digest("b"))


def test_an_invalidated_key_can_be_looked_up_again(cache: KeyCache) -> None:
    cache.put(key("a", 7))
    cache.invalidate([digest("a")])
    cache.put(key("a", 7))
    assert cache.check("sk-a")
    cache.drop("a")
    cache.put(key("a", 7))
    assert cache.check("sk-a")


def test_an_unknown_key_is_cached_for_a_while(cache: KeyCache, wall: Wall) -> None:
    assert not cache.unknown(digest("x"))
    cache.put_unknown(digest("x"))
    wall.now += 4.9
    assert cache.unknown(digest("x"))
    wall.now += 0.1
    assert not cache.unknown(digest("x"))


def test_a_new_key_replaces_its_negative_entry(cache: KeyCache) -> None:
    cache.put_unknown(digest("a"))
    cache.put(key("a"))
    assert not cache.unknown(digest("a"))
    cache.put_unknown(digest("b"))
    cache.invalidate([digest("b")])
    assert not cache.unknown(digest("b"))


def test_a_flood_of_unknown_keys_evicts_no_valid_one(cache: KeyCache) -> None:
    cache.put(key("a"))
    cache.configure([key("config:b", hash=hash_of("sk-b"))])
    for index in range(100):
        cache.put_unknown(digest(str(index)))
    assert cache.check("sk-a")
    assert cache.check("sk-b")
    assert [index for index in range(100) if cache.unknown(digest(str(index)))] == [98, 99]


def test_configured_keys_are_never_evicted_or_dropped(cache: KeyCache) -> None:
    cache.configure([key("config:a", 0, hash=hash_of("sk-a"))])
    for name in "bcde":
        cache.put(key(name))
    cache.drop("config:a")
    cache.invalidate([digest("a")])
    assert cache.check("sk-a")


def test_keys_removed_from_the_configuration_stop_at_once(cache: KeyCache) -> None:
    cache.configure([key("config:a", hash=hash_of("sk-a")), key("config:b", hash=hash_of("sk-b"))])
    cache.configure([key("config:b", hash=hash_of("sk-b2"))])
    assert [cache.check(secret) is not None for secret in ("sk-a", "sk-b", "sk-b2")] == [False, False, True]
    assert len(cache) == 1


def test_configured_keys_take_precedence(cache: KeyCache) -> None:
    off = key("config:a", 0, hash=hash_of("sk-a"), enabled=False)
    cache.put(key("a"))
    cache.configure([off])
    cache.put(key("a", 2))
    assert cache.check("sk-a") is None
    cache.drop("a")
    assert cache.get(digest("a")) == off


@given(
    st.lists(st.tuples(st.sampled_from(["put", "drop", "forget", "configure"]), st.integers(0, 5), st.integers(0, 5)))
)
def test_a_secret_works_only_if_the_latest_record_of_its_key_allows_it(
    steps: list[tuple[str, int, int]],
) -> None:
    cache = KeyCache(Wall(), most=4)
    held: dict[str, ApiKey] = {}
    configured: ApiKey | None = None
    for revision, (step, who, secret) in enumerate(steps):
        made = key(str(who), revision, hash=hash_of(f"sk-{secret}"))
        match step:
            case "put":
                cache.put(made)
                held[made.id] = made
            case "drop":
                cache.drop(made.id)
                held.pop(made.id, None)
            case "forget":
                cache.invalidate([digest_of(f"sk-{secret}")])
            case "configure":
                configured = replace(made, id="config:x")
                cache.configure([configured])
        for number in range(6):
            client = cache.check(f"sk-{number}")
            allowed = {
                f"key:{key.id}" for key in [*held.values(), configured] if key and key.hash == hash_of(f"sk-{number}")
            }
            assert client is None or client.id in allowed
        assert len(cache) <= 5


def test_values_expire_and_the_oldest_is_evicted() -> None:
    found: ExpiringCache[str, int] = ExpiringCache(2)
    found.put("a", 1, until=10.0)
    found.put("b", 2, until=20.0)
    assert (found.get("a", 9.9), found.get("a", 10.0), len(found)) == (1, None, 1)
    found.put("c", 3, until=20.0)
    found.put("b", 4, until=20.0)
    found.put("d", 5, until=20.0)
    assert [found.get(name, 0.0) for name in "bcd"] == [4, None, 5]
    found.drop("b")
    found.drop("b")
    assert found.get("b", 0.0) is None
