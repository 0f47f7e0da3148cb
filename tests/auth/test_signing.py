"""Signing tokens: their claims, and that the verifier accepts them."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import msgspec
import pytest

from proxy.auth.jwt import Verifier
from proxy.auth.signing import claims_of, sign, signing_settings
from proxy.config.schema import Auth, Jwt, JwtClaims
from proxy.errors import ConfigError
from proxy.identity import Client
from tests.auth.tokens import NOW, SECRET

SETTINGS = Jwt(secret=SECRET)


async def client_of(settings: Jwt, subject: str = "alice", minutes: int = 30, **further: Any) -> Client:
    """The client that a gateway with the same settings sees."""
    token = sign(settings, claims_of(settings, subject, further, minutes, NOW))
    return await Verifier(settings, lambda: NOW).verify(token)


def test_a_token_has_subject_and_times() -> None:
    assert claims_of(SETTINGS, "alice", {}, 5, NOW + 0.9) == {"sub": "alice", "iat": int(NOW), "exp": int(NOW) + 300}


async def test_the_verifier_accepts_a_signed_token() -> None:
    client = await client_of(SETTINGS)
    assert (client.name, client.owner) == ("alice", "alice")


async def test_issuer_and_audience_are_the_configured_ones() -> None:
    settings = Jwt(secret=SECRET, issuer="https://id.example.org", audience=["gateway", "other"])
    assert (await client_of(settings)).id == "jwt:alice"


@pytest.mark.parametrize("name", ["sub", "user_id", "user.id", "https://example.org/user.id"])
async def test_the_subject_is_in_the_configured_claim(name: str) -> None:
    settings = Jwt(secret=SECRET, claims=JwtClaims(client=name, owner=name))
    client = await client_of(settings)
    assert (client.name, client.owner) == ("alice", "alice")


async def test_further_claims_say_who_pays_and_what_is_allowed() -> None:
    settings = Jwt(secret=SECRET, claims=JwtClaims(team="org.team", project="project", labels="labels"))
    further = {"org.team": "red", "project": "p", "labels": {"a": "b"}, "models": ["gpt-*"], "limits": {"tokensPerMinute": 7}}  # fmt: skip
    client = await client_of(settings, **further)
    assert (client.team, client.project, client.labels) == ("red", "p", (("a", "b"),))
    assert not client.access.allows_name("openai", "claude")
    assert client.limits is not None
    assert client.limits.tokens_per_minute == 7


def test_a_claim_with_a_slash_is_one_name() -> None:
    claims = claims_of(SETTINGS, "alice", {"https://example.org/a": 1, "b.c": 2, "b.d": 3}, 1, NOW)
    assert claims["https://example.org/a"] == 1
    assert claims["b"] == {"c": 2, "d": 3}


@pytest.mark.parametrize("name", ["exp", "iat", "sub"])
def test_a_claim_that_is_set_anyway_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"the claim {name} is set by another option"):
        claims_of(SETTINGS, "alice", {name: 1}, 1, NOW)


def test_a_claim_within_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the claim a\.b passes through"):
        claims_of(SETTINGS, "alice", {"a": "x", "a.b": 1}, 1, NOW)


def test_the_header_names_the_algorithm_and_the_type() -> None:
    head = sign(SETTINGS, claims_of(SETTINGS, "alice", {}, 1, NOW)).partition(".")[0]
    assert msgspec.json.decode(urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize(
    ("auth", "complaint"),
    [
        (Auth(), "JWT_SECRET_KEY, to 32 bytes or more"),
        (Auth(mode="jwt", jwt=Jwt(public_key_file="k.pem")), "the tokens of auth.jwt.publicKeyFile are signed"),
        (Auth(mode="any", jwt=Jwt(jwks_url="http://a/b")), "the tokens of auth.jwt.jwksUrl are signed"),
    ],
)
def test_without_a_secret_the_message_says_what_is_missing(auth: Auth, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signing_settings(auth)
    (line,) = caught.value.mistakes
    assert line.startswith("auth.jwt.secret: is missing; ")
    assert complaint in line


def test_settings_with_a_secret_are_used() -> None:
    assert signing_settings(Auth(mode="jwt", jwt=SETTINGS)) is SETTINGS
