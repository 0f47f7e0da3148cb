"""Tokens with real keys: valid ones, and known attacks."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.jwks import Jwks, fetch
from proxy.auth.jwt import KEPT_SECS, MAX_CHARACTERS, MOST_KEPT, Verifier
from proxy.config.schema import Jwt
from proxy.errors import ConfigError, GatewayError, Unauthorized
from proxy.identity import Client
from tests.auth.keyserver import KeyServer
from tests.auth.tokens import GOOD, NOW, SECRET, by_hand, jwk, part, pem, pem_file, private, signed, weak_rsa

BY_SECRET = Jwt(secret=SECRET, issuer="", leeway_secs=0.0)


class Wall:
    """Unix seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def verifier(settings: Jwt = BY_SECRET, wall: Wall | None = None) -> Verifier:
    return Verifier(settings, wall or Wall())


def by_key(kind: str, folder: Path, **more: Any) -> Verifier:
    return verifier(Jwt(public_key_file=pem_file(folder, pem(private(kind))), leeway_secs=0.0, **more))


def client_of(token: str, made: Verifier | None = None) -> Client:
    return asyncio.run((made or verifier()).verify(token))


def refusal(token: str, made: Verifier | None = None) -> str:
    """The detail for the log; the client's message is always the same."""
    made = made or verifier()
    with pytest.raises(Unauthorized) as caught:
        client_of(token, made)
    error = caught.value
    assert (error.status, error.code, error.kind) == (401, "invalid_api_key", "unauthorized")
    assert error.message == Unauthorized.text
    assert made.known(token) is None
    return error.detail


# -- tokens that are good ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
def test_a_token_is_verified_by_a_public_key(kind: str, tmp_path: Path) -> None:
    token = signed(GOOD, private(kind), kind)
    assert client_of(token, by_key(kind, tmp_path)).name == "alice"
    assert "InvalidSignature" in refusal(signed(GOOD, private(kind, 1), kind), by_key(kind, tmp_path))


def test_a_token_is_verified_by_a_secret() -> None:
    assert client_of(signed(GOOD)).id == "jwt:|alice"
    assert client_of(signed(GOOD, kid="ignored where there is one key")).id == "jwt:|alice"
    assert "InvalidSignature" in refusal(signed(GOOD, SECRET + "x"))


def test_a_verified_token_is_cached_for_a_minute_but_not_past_exp() -> None:
    wall = Wall()
    made = verifier(wall=wall)
    long, short = signed(GOOD), signed({**GOOD, "exp": NOW + 10})
    assert made.known(long) is None
    clients = [client_of(token, made) for token in (long, short)]
    assert [made.known(long), made.known(short)] == clients
    wall.now += 10
    assert [made.known(long), made.known(short)] == [clients[0], None]
    wall.now += KEPT_SECS - 10
    assert made.known(long) is None
    assert client_of(long, made) == clients[0]
    assert "expired" in refusal(short, made)


def test_the_cache_of_tokens_is_bounded() -> None:
    made = verifier()

    async def flood() -> None:
        for number in range(MOST_KEPT + 10):
            await made.verify(signed({**GOOD, "sub": str(number)}))

    asyncio.run(flood())
    assert len(made._kept) == MOST_KEPT


# -- attacks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_an_unsigned_token_is_rejected(algorithm: str, tmp_path: Path) -> None:
    header = {"alg": algorithm, "typ": "JWT"}
    for made in (verifier(), by_key("RS256", tmp_path)):
        assert refusal(f"{part(header)}.{part(GOOD)}.", made) == "the credential is not a token with three parts"
        assert refusal(f"{part(header)}.{part(GOOD)}.AAAA", made) == "the token's alg is not accepted"
        assert refusal(by_hand(header, GOOD), made) == "the token's alg is not accepted"


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_not_accepted_as_a_secret(kind: str, tmp_path: Path) -> None:
    public = pem(private(kind))
    for secret in (public, public.strip(), json.dumps(jwk(private(kind))).encode()):
        token = by_hand({"alg": "HS256", "typ": "JWT"}, GOOD, secret)
        assert refusal(token, by_key(kind, tmp_path)) == "the token's alg is not accepted"


@pytest.mark.parametrize("text", [pem(private("ES256")).decode(), json.dumps(jwk(private("ES256")))])
def test_a_public_key_configured_as_a_secret_prevents_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^auth\.jwt\.secret: is a public key"):
        verifier(Jwt(secret=text))


def test_only_the_algorithm_of_the_key_is_accepted(tmp_path: Path) -> None:
    made = by_key("RS256", tmp_path)
    for algorithm in ("RS384", "RS512", "PS256"):
        assert refusal(signed(GOOD, private("RS256"), algorithm), made) == "the token's alg is not accepted"
    for algorithm in ("HS384", "HS512"):
        assert refusal(signed(GOOD, SECRET * 2, algorithm)) == "the token's alg is not accepted"


@pytest.mark.parametrize(
    "header",
    [{}, {"alg": None}, {"alg": ["HS256"]}, {"alg": "hs256"}, {"alg": "HS256 "}, {"alg": "HS256", "kid": 1}, {"alg": "HS256", "kid": ["a"]}, [], "HS256", None, 1, b"", b"\xff", b"[" * 4000, b'{"alg":"HS256"'],
)  # fmt: skip
def test_a_malformed_header_is_rejected(header: object) -> None:
    assert refusal(by_hand(header, GOOD))


def test_a_duplicate_alg_does_not_bypass_the_key() -> None:
    for header in (b'{"alg":"none","alg":"HS256"}', b'{"alg":"HS256","alg":"none"}'):
        token = f"{part(header)}.{part(GOOD)}.AAAA"
        assert refusal(token)


def test_critical_extensions_are_rejected() -> None:
    for extension in ({"crit": ["x"], "x": 1}, {"crit": []}, {"crit": "b64"}, {"crit": ["exp"], "exp": 1}):
        assert refusal(by_hand({"alg": "HS256", **extension}, GOOD))
    # A critical extension that PyJWT accepts.
    assert (
        refusal(by_hand({"alg": "HS256", "crit": ["b64"], "b64": True}, GOOD))
        == "the token requires an extension (crit)"
    )
    assert refusal(by_hand({"alg": "HS256", "b64": False}, GOOD))


def test_keys_embedded_in_the_token_are_ignored(tmp_path: Path) -> None:
    mine = jwk(private("ES256", 1))
    header = {"jwk": mine, "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/x", "x5c": ["AAAA"]}
    token = signed(GOOD, private("ES256", 1), "ES256", **header)
    assert "InvalidSignature" in refusal(token, by_key("ES256", tmp_path))


def test_an_oversized_token_is_rejected_without_parsing() -> None:
    token = signed({**GOOD, "padding": "x" * MAX_CHARACTERS})
    assert refusal(token) == f"the token is longer than {MAX_CHARACTERS} characters"
    fits = signed({**GOOD, "padding": "x" * 5000})
    assert len(fits) < MAX_CHARACTERS
    assert client_of(fits)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "sk-abc", " a.b.c", "a.b.c\n", "a.b.é", "a.b.\udcff", "a.b.c=", "a..c", "a b.c.d", "a+.b.c", "a/.b.c"],
)  # fmt: skip
def test_an_invalid_token_is_rejected(token: str) -> None:
    assert refusal(token)


@pytest.mark.parametrize("claims", [[], "text", 1, None, b"", b"{", b"\xff", b"[" * 4000, b'{"a":' * 1000])
def test_a_payload_that_is_not_an_object_is_rejected(claims: object) -> None:
    assert refusal(by_hand({"alg": "HS256"}, claims))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 1e6}, "expired"),
        ({"nbf": NOW + 1}, "not valid yet"),
        ({"iss": "https://evil.example.org"}, "iss"),
        ({"aud": "somebody else"}, "aud"),
        ({"limits": {"requestsPerMinute": "many"}}, "limits"),
    ],
)
def test_a_signed_token_with_invalid_claims_is_rejected(claims: dict[str, Any], why: str) -> None:
    made = verifier(Jwt(secret=SECRET, issuer="https://id.example.org", audience=["sluice"], leeway_secs=0.0))
    good = {**GOOD, "iss": "https://id.example.org", "aud": ["sluice"]}
    assert client_of(signed(good), made).id == "jwt:alice"
    assert why in refusal(signed({**good, **claims}), made)


def test_exp_is_required() -> None:
    assert refusal(signed({"sub": "alice"})) == "the token has no exp"


def test_clock_skew_within_the_leeway_is_accepted() -> None:
    made = verifier(Jwt(secret=SECRET, leeway_secs=30.0))
    assert client_of(signed({**GOOD, "exp": NOW - 29, "nbf": NOW + 29}), made)
    assert "expired" in refusal(signed({**GOOD, "exp": NOW - 30}), made)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_changing_any_character_invalidates_a_token(position: int, by: int) -> None:
    token = signed(GOOD)
    place = position % len(token)
    changed = token[:place] + chr((ord(token[place]) + by) % 256) + token[place + 1 :]
    assert refusal(changed)


@given(st.text(st.sampled_from("abcXYZ019-_=. \u00e9"), max_size=60))
def test_arbitrary_text_does_not_crash_the_verifier(text: str) -> None:
    assert refusal(text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_three_arbitrary_parts_do_not_crash_the_verifier(header: bytes, claims: bytes, signature: bytes) -> None:
    assert refusal(f"{part(header)}.{part(claims)}.{part(signature)}")


# -- a key set ------------------------------------------------------------------------------------------------


def by_url(server: KeyServer, **more: Any) -> Verifier:
    loop = asyncio.get_running_loop()
    sets = Jwks(server.url, 300.0, partial(fetch, environ={}), now=loop.time, warn=lambda _: None, info=lambda _: None)
    return Verifier(Jwt(jwks_url=server.url, leeway_secs=0.0, **more), Wall(), sets)


async def refused(token: str, made: Verifier) -> str:
    with pytest.raises(Unauthorized) as caught:
        await made.verify(token)
    return caught.value.detail


async def test_tokens_are_verified_by_the_keys_of_a_set() -> None:
    async with KeyServer() as server:
        server.show(*(jwk(private(kind), kid=kind, use="sig") for kind in ("RS256", "ES256", "EdDSA")))
        made = by_url(server)
        for kind in ("RS256", "ES256", "EdDSA"):
            assert await made.verify(signed(GOOD, private(kind), kind, kid=kind))
            assert await made.verify(signed(GOOD, private(kind), kind))  # the only one of its algorithm
            assert "InvalidSignature" in await refused(signed(GOOD, private(kind, 1), kind, kid=kind), made)
        assert server.fetches == 1


async def test_an_unknown_key_id_is_rejected() -> None:
    async with KeyServer() as server:
        server.show(jwk(private("ES256"), kid="one"))
        token = signed(GOOD, private("ES256"), "ES256", kid="two")
        assert await refused(token, by_url(server)) == "the token's kid is not known"


async def test_symmetric_keys_of_a_set_are_ignored() -> None:
    async with KeyServer() as server:
        server.show({"kty": "oct", "k": part(SECRET.encode()), "kid": "s"}, jwk(private("RS256"), kid="r"))
        made = by_url(server)
        for token in (signed(GOOD, kid="s"), by_hand({"alg": "HS256", "kid": "r"}, GOOD, pem(private("RS256")))):
            assert await refused(token, made) == "the token's alg is not accepted"
        assert server.fetches == 0


async def test_a_key_verifies_only_its_own_algorithm() -> None:
    async with KeyServer() as server:
        server.show(jwk(private("ES256"), kid="one"), jwk(weak_rsa(), kid="weak"))
        made = by_url(server)
        assert await refused(signed(GOOD, private("RS256"), "RS256", kid="one"), made) == "the token's kid is not known"
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            weak = signed(GOOD, weak_rsa(), "RS256", kid="weak")
        assert await refused(weak, made) == "the token's kid is not known"


async def test_only_configured_algorithms_are_accepted() -> None:
    async with KeyServer() as server:
        server.show(jwk(private("ES256"), kid="e"), jwk(private("RS256"), kid="r"))
        made = by_url(server, algorithms=["ES256"])
        assert await made.verify(signed(GOOD, private("ES256"), "ES256", kid="e"))
        assert (
            await refused(signed(GOOD, private("RS256"), "RS256", kid="r"), made) == "the token's alg is not accepted"
        )


async def test_without_any_set_the_status_is_503() -> None:
    async with KeyServer() as server:
        server.status = 500
        with pytest.raises(GatewayError) as caught:
            await by_url(server).verify(signed(GOOD, private("ES256"), "ES256", kid="e"))
        assert caught.value.status == 503


# -- configurations that cannot work ------------------------------------------------------------------------------


def test_a_short_secret_prevents_the_start() -> None:
    with pytest.raises(ConfigError, match=r"^auth\.jwt\.secret: must have at least 32 bytes"):
        verifier(Jwt(secret="x" * 31))


def test_algorithms_that_do_not_match_the_key_prevent_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^auth\.jwt\.algorithms: the configured key verifies HS256 only"):
        verifier(Jwt(secret=SECRET, algorithms=["RS256"]))
    with pytest.raises(ConfigError, match="verifies ES256 only"):
        by_key("ES256", tmp_path, algorithms=["HS256", "RS256"])
