"""Signing JSON Web Tokens with ``auth.jwt.secret``, as the gateway itself accepts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from proxy.auth import publickey
from proxy.config.schema import Auth, Jwt
from proxy.errors import ConfigError

ALGORITHM: Final = "HS256"  # the only one that a secret is accepted for
OWN_CLAIMS: Final = ("exp", "iat")  # set here, so no further claim may have these names


def signing_settings(auth: Auth) -> Jwt:
    """The settings with a secret to sign with. Raises ``ConfigError`` where there is none."""
    settings = auth.jwt
    if settings is None:
        text = "is missing; set it, or the variable JWT_SECRET_KEY, to 32 bytes or more (the variable has no effect"
        raise ConfigError([f"auth.jwt.secret: {text} where the file sets auth.mode to anything but jwt or any)"])
    if not settings.secret:
        source = "publicKeyFile" if settings.public_key_file else "jwksUrl"
        raise ConfigError(
            [
                f"auth.jwt.secret: is missing; the tokens of auth.jwt.{source} are signed with a private key,"
                " which the gateway does not have"
            ]
        )
    return settings


def claims_of(settings: Jwt, subject: str, further: Mapping[str, Any], minutes: int, now: float) -> dict[str, Any]:
    """The claims of a token that is valid for ``minutes`` from ``now``, in Unix seconds.

    ``subject`` is in the claim that names the client. Issuer and audience are the configured ones. Names in ``further``
    are paths like those of ``auth.jwt.claims``; they replace issuer and audience. Raises ``ValueError``.
    """
    claims: dict[str, Any] = {}
    if settings.issuer:
        claims["iss"] = settings.issuer
    if settings.audience:
        claims["aud"] = list(settings.audience)
    for path, value in further.items():
        if path in OWN_CLAIMS or path == settings.claims.client:
            raise ValueError(f"the claim {path} is set by another option")
        _put(claims, path, value)
    _put(claims, settings.claims.client, subject)
    claims["iat"] = int(now)
    claims["exp"] = int(now) + minutes * 60
    return claims


def sign(settings: Jwt, claims: Mapping[str, Any]) -> str:
    """The token in its compact form (RFC 7515, section 7.1). Raises ``ConfigError`` if PyJWT is missing."""
    publickey.require_library()
    from jwt import PyJWS

    return PyJWS().encode(msgspec.json.encode(claims), settings.secret, ALGORITHM, headers={"typ": "JWT"})


def _put(claims: dict[str, Any], path: str, value: Any) -> None:
    """Set the claim at a path. A name with a slash is a URI, whose dots separate nothing (RFC 7519, section 4.2)."""
    *outer, name = [path] if "/" in path else path.split(".")
    here: Any = claims
    for part in outer:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise ValueError(f"the claim {path} passes through a value that is not an object")
    here[name] = value
