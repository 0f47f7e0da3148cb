"""JSON Web Tokens (RFC 7519) as credentials, following RFC 8725."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.auth import publickey
from proxy.auth.claims import client_of, good_until
from proxy.auth.jwks import Jwks
from proxy.caches import ExpiringCache
from proxy.config.schema import Jwt
from proxy.errors import ConfigError, Unauthorized
from proxy.identity import Client
from proxy.server.connection import MAX_FIELD

if TYPE_CHECKING:
    from proxy.auth.publickey import PublicKey

MAX_CHARACTERS = MAX_FIELD  # of a header line
SHORTEST_SECRET = 32  # bytes: RFC 7518, section 3.2
KEPT_SECS = 60.0  # how long a verified token is cached
MOST_KEPT = 10_000

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, section 7.1; signed


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None


class Verifier:
    """Verifies tokens: ``known`` for cached ones, ``verify`` for any."""

    def __init__(self, settings: Jwt, wall: Callable[[], float], jwks: Jwks | None = None) -> None:
        """``wall`` returns Unix seconds; ``jwks`` is set if ``settings`` has its URL. Raises ``ConfigError``."""
        publickey.require_library()
        from jwt import PyJWS

        self._settings = settings
        self._wall = wall
        self._jwks = jwks
        self._keys = {} if jwks is not None else _keys(settings)
        fitting = publickey.ASYMMETRIC if jwks is not None else tuple(self._keys)
        self._accepted = _accepted(settings, fitting)
        self._jws = PyJWS(sorted(self._accepted))  # accepts no other algorithm, in particular not `none`
        self._kept: ExpiringCache[bytes, Client] = ExpiringCache(MOST_KEPT)

    def known(self, token: str) -> Client | None:
        """The client of a token that was verified within ``KEPT_SECS`` and has not expired since."""
        return self._kept.get(_digest(token), self._wall())

    async def verify(self, token: str) -> Client:
        """The client of a token. Waits only if the token names an unknown key.

        Raises ``Unauthorized``, and GatewayError (503) if keys could not be fetched at all.
        """
        header = _header(token)
        if header.alg not in self._accepted:
            raise Unauthorized(detail="the token's alg is not accepted")
        key = await self._key(header)
        if key is None:
            raise Unauthorized(detail="the token's kid is not known")
        claims = self._claims(token, header.alg, key)
        now = self._wall()
        end = good_until(claims, self._settings, now)
        client = client_of(claims, self._settings)
        self._kept.put(_digest(token), client, min(end, now + KEPT_SECS))
        return client

    async def _key(self, header: _Header) -> PublicKey | bytes | None:
        if self._jwks is not None:
            return await self._jwks.find(header.kid, header.alg)
        return self._keys.get(header.alg)

    def _claims(self, token: str, algorithm: str, key: PublicKey | bytes) -> dict[str, Any]:
        from jwt import PyJWTError

        try:
            found = self._jws.decode_complete(token, key, [algorithm])
        except PyJWTError as error:
            raise Unauthorized(detail=f"the token cannot be verified: {type(error).__name__}") from None
        # PyJWT accepts the one extension that it supports, which no access token uses.
        if "crit" in found["header"]:
            raise Unauthorized(detail="the token requires an extension (crit)")
        try:
            return msgspec.json.decode(found["payload"], type=dict[str, Any])
        except (ValueError, RecursionError):
            raise Unauthorized(detail="the token's payload is not a JSON object") from None


def _header(token: str) -> _Header:
    """The header, for choosing a key. It is not verified yet."""
    if len(token) > MAX_CHARACTERS:
        raise Unauthorized(detail=f"the token is longer than {MAX_CHARACTERS} characters")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise Unauthorized(detail="the credential is not a token with three parts")
    try:
        return msgspec.json.decode(urlsafe_b64decode(parts[1] + "=="), type=_Header)
    except (ValueError, RecursionError):  # msgspec's and base64's errors are ValueErrors
        raise Unauthorized(detail="the token's header cannot be read") from None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _keys(settings: Jwt) -> dict[str, PublicKey | bytes]:
    if not settings.secret:
        algorithm, key = publickey.read(settings.public_key_file, "auth.jwt.publicKeyFile")
        return {algorithm: key}
    from jwt import InvalidKeyError
    from jwt.algorithms import HMACAlgorithm

    secret = settings.secret.encode()
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError([f"auth.jwt.secret: must have at least {SHORTEST_SECRET} bytes"])
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        # A public key as the secret would let anyone sign.
        raise ConfigError(["auth.jwt.secret: is a public key; put it into publicKeyFile"]) from None
    return {"HS256": secret}


def _accepted(settings: Jwt, fitting: tuple[str, ...]) -> frozenset[str]:
    accepted = frozenset(settings.algorithms or fitting) & frozenset(fitting)
    if not accepted:
        raise ConfigError([f"auth.jwt.algorithms: the configured key verifies {' or '.join(fitting)} only"])
    return accepted
