"""Which keys of a foreign document verify tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.keyset import parse
from proxy.config.remote import FetchFailed
from tests.auth.tokens import SECRET, jwk, part, private, weak_rsa

ES, RS = "ES256", "RS256"


@pytest.mark.parametrize(
    "document",
    [b"", b"null", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null, {}]}', b"\xff", b"[" * 200_000],
)
def test_a_document_without_keys_is_not_a_key_set(document: bytes) -> None:
    with pytest.raises(FetchFailed, match="holds no key"):
        parse(document)


def test_a_set_with_too_many_keys_is_rejected() -> None:
    with pytest.raises(FetchFailed, match="more than 100 keys"):
        parse(json.dumps({"keys": [{}] * 101}).encode())


UNFIT: dict[str, dict[str, Any]] = {
    "symmetric": {"kty": "oct", "k": part(SECRET.encode())},
    "symmetric by its algorithm": jwk(private(RS), alg="HS256"),
    "for encryption": jwk(private(RS), use="enc"),
    "for other operations": jwk(private(RS), key_ops=["encrypt"]),
    "for another algorithm": jwk(private(RS), alg="PS256"),
    "for an algorithm of other keys": jwk(private(RS), alg="ES256"),
    "too short": jwk(weak_rsa()),
    "unknown": {"kty": "XYZ"},
    "without its numbers": {"kty": "RSA"},
    "with numbers for texts": {"kty": "RSA", "n": 5, "e": 3},
    "on no curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "on another curve": {**jwk(private(ES)), "crv": "secp256k1"},
    "private": {**jwk(private("EdDSA")), "d": part(b"d" * 32)},
    "with a key id that is no text": jwk(private(RS), kid=7),
}


@pytest.mark.parametrize("entry", UNFIT.values(), ids=UNFIT.keys())
def test_keys_that_are_not_for_signatures_are_skipped(entry: dict[str, Any]) -> None:
    with pytest.raises(FetchFailed, match="holds no key that could verify tokens"):
        parse(json.dumps({"keys": [{"kid": "x", **entry}]}).encode())
    found = parse(json.dumps({"keys": [entry, "noise", jwk(private(ES, 1), kid="good")]}).encode())
    assert found.find("good", ES) is not None
    assert found.find("x", RS) is None


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB"]),
)
entries = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "kid", "alg", "use", "key_ops"]), scalars
)


@given(st.lists(st.one_of(scalars, entries), max_size=5))
def test_arbitrary_documents_do_not_crash_the_parser(listed: list[Any]) -> None:
    good = jwk(private(ES), kid="good")
    found = parse(json.dumps({"keys": [*listed, good]}).encode())
    assert found.find("good", ES) is not None


@given(st.binary())
def test_arbitrary_bytes_do_not_crash_the_parser(document: bytes) -> None:
    with pytest.raises(FetchFailed):
        parse(document)
