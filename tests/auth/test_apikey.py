"""Records of API keys, and the validity of their secrets."""

from __future__ import annotations

import hashlib
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.apikey import ApiKey, digest_from, digest_of, hash_from, hash_of, new_key, of_configuration, unused
from proxy.config.limit_schema import Limits
from proxy.config.schema import ConfiguredKey
from proxy.routing.access import ALL, Access

OLD, NEW, FOREIGN = (hash_of(f"sk-{word}") for word in ("old", "new", "foreign"))

moments = st.one_of(st.none(), st.floats(0, 1e10))


def test_a_secret_is_random_and_a_valid_header_value() -> None:
    made = [new_key() for _ in range(100)]
    assert len({secret for secret, _ in made}) == len({secret[:8] for secret, _ in made}) == 100
    assert all(re.fullmatch(r"sk-[A-Za-z0-9_-]{43}", secret) for secret, _ in made)


def test_a_hash_is_the_sha_256_of_the_secret() -> None:
    secret, hash_ = new_key()
    assert hash_ == hash_of(secret) == "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_any_header_text_has_a_digest_or_none(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert digest_of(raw.decode("utf-8", "surrogateescape")) == hashlib.sha256(raw).digest()


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_encodes_its_digest(digest: bytes) -> None:
    assert digest_from(hash_from(digest)) == digest


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "0" * 62, "0" * 64, "md5:" + "0" * 64, "sha256:" + "g" * 64]
)
def test_an_invalid_hash_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):
        digest_from(text)


def test_a_key_works_until_it_expires() -> None:
    key = ApiKey(id="1", name="n", hash=NEW, expires_at=100.0)
    assert key.usable(99.9, NEW)
    assert not key.usable(100.0, NEW)
    assert ApiKey(id="1", name="n", hash=NEW).until(NEW) == math.inf


def test_a_disabled_key_never_works() -> None:
    key = ApiKey(id="1", name="n", hash=NEW, enabled=False, previous_hash=OLD, previous_until=100.0)
    assert key.until(NEW) == key.until(OLD) == 0.0


def test_the_previous_secret_works_for_the_grace_period() -> None:
    key = ApiKey(id="1", name="n", hash=NEW, previous_hash=OLD, previous_until=100.0)
    assert key.hashes == (NEW, OLD)
    assert key.usable(99.9, OLD)
    assert not key.usable(100.0, OLD)
    assert key.usable(100.0, NEW)


def test_a_rotation_does_not_outlive_the_key() -> None:
    key = ApiKey(id="1", name="n", hash=NEW, previous_hash=OLD, previous_until=100.0, expires_at=50.0)
    assert key.until(OLD) == 50.0


@given(moments, moments, st.floats(0, 1e10), st.booleans())
def test_a_foreign_secret_never_works(expires: float | None, previous: float | None, now: float, enabled: bool) -> None:
    key = ApiKey(
        id="1", name="n", hash=NEW, enabled=enabled, expires_at=expires, previous_hash=OLD, previous_until=previous
    )
    assert not key.usable(now, FOREIGN)
    assert not key.usable(now, "")


def test_the_client_has_the_id_and_permissions_of_the_key() -> None:
    limits = Limits(requests_per_minute=5)
    key = ApiKey(
        id="7", name="n", hash=NEW, models=("gpt-*",), providers=("a",), scopes=("passthrough",), limits=limits
    )
    client = key.client()
    assert (client.id, client.name, client.limits, client.passthrough) == ("key:7", "n", limits, True)
    assert client.access == Access(("gpt-*",), ("a",))


def test_a_key_without_scopes_and_lists_allows_all_models_and_no_passthrough() -> None:
    client = ApiKey(id="7", name="n", hash=NEW).client()
    assert client.access is ALL
    assert not client.passthrough


def test_the_client_of_a_key_says_to_whom_its_calls_are_accounted() -> None:
    labels = {"ticket": "1", "cost": "2"}
    client = ApiKey(id="7", name="n", hash=NEW, owner="ann", team="web", project="shop", labels=labels).client()
    assert (client.key, client.owner, client.team, client.project) == ("7", "ann", "web", "shop")
    assert client.labels == (("cost", "2"), ("ticket", "1"))
    (key,) = of_configuration([ConfiguredKey(name="a", hash=NEW, team="web", project="shop", labels=labels)])
    assert (key.id, key.team, key.project, key.labels) == ("config:a", "web", "shop", labels)


def test_configured_keys_keep_their_identity_by_name_across_reloads() -> None:
    configured = ConfiguredKey(
        name="alice", hash=NEW, owner="team", expires="2030-01-01T00:00:00+00:00", models=["m"], providers=["p"], scopes=["passthrough"], limits=Limits(concurrent=1)
    )  # fmt: skip
    (key,) = of_configuration([configured])
    assert key == ApiKey(
        id="config:alice", name="alice", hash=NEW, owner="team", expires_at=1893456000.0, models=("m",), providers=("p",), scopes=("passthrough",), limits=Limits(concurrent=1)
    )  # fmt: skip


def test_a_configured_key_without_expiry_never_expires_and_can_be_disabled() -> None:
    (key,) = of_configuration([ConfiguredKey(name="a", hash=NEW, enabled=False)])
    assert key.expires_at is None
    assert not key.enabled


@pytest.mark.parametrize(("mode", "wanted"), [("none", "keys"), ("certificates", "keys"), ("jwt", "any")])
def test_keys_that_are_not_used_are_reported(mode: str, wanted: str) -> None:
    assert unused(mode) == f"auth.mode is {mode}: API keys are not used; set auth.mode to {wanted} and restart"
    assert unused(wanted) == ""
