"""The authentication middleware: who asks, from the head of the request alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from multidict import istr

from proxy.auth.apikey import ApiKey, digest_of, hash_from
from proxy.auth.cache import KeyCache
from proxy.auth.jwt import Verifier
from proxy.auth.presented import all_presented, presented
from proxy.errors import GatewayError, Unauthorized
from proxy.identity import Client
from proxy.net.address import TrustedProxies, key_of, peer_of
from proxy.responder import Responder
from proxy.server.request import Request

Handler = Callable[[Responder], Awaitable[None]]
Find = Callable[[bytes], Awaitable[ApiKey | None]]

LONGEST_ID = 64  # characters of an X-Client-ID that is taken as it is
REMEMBERED = 4096  # clients that prove nothing, some 600 bytes each; and as many addresses

_CLIENT_ID: Final = istr("X-Client-ID")  # a name that need not be folded and hashed by each request


class Authenticator:
    """``wrap`` makes the middleware. ``keys`` and ``verifier`` are there where the mode has them.

    ``find`` looks a key up by its digest (``apikey.digest_of``) beyond the cache. ``wall`` tells Unix seconds.
    """

    def __init__(
        self,
        *,
        keys: KeyCache | None,
        find: Find,
        trusted: TrustedProxies,
        wall: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._find = find
        self._trusted = trusted
        self._direct = not trusted  # nobody stands between us and the clients, as far as we believe
        self._wall = wall
        self.verifier: Verifier | None = None

    def wrap(self, handler: Handler) -> Handler:
        # No coroutine of its own: a credential that is known costs no more than looking at it.
        def authenticated(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            exchange.client = address = request.remote if self._direct else self.address(request)
            if self._keys is None and self.verifier is None:
                name = request.headers.get(_CLIENT_ID) if request.rare else None
                exchange.caller = _unproven(_short(name), address) if name else _nameless(address)
                return handler(responder)
            secret = presented(request.headers)
            if secret is None:
                raise Unauthorized(detail="no credential")
            client = self._known(secret)
            if client is None:
                return self._later(responder, handler, all_presented(request.headers))
            exchange.caller = client
            return handler(responder)

        return authenticated

    def address(self, request: Request) -> str:
        """Where a request comes from, ``""`` on a unix socket; other proxies than ours are not believed."""
        return peer_of(request.headers, request.remote, self._trusted)

    def _known(self, secret: str) -> Client | None:
        client = self._keys.check(secret) if self._keys is not None else None
        return client or (self.verifier.known(secret) if self.verifier is not None else None)

    async def _later(self, responder: Responder, handler: Handler, secrets: tuple[str, ...]) -> None:
        """The first time that somebody shows them, or somebody who has no business here. Raises GatewayError."""
        responder.exchange.caller = await self._any_of(secrets)
        await handler(responder)

    async def _any_of(self, secrets: tuple[str, ...]) -> Client:
        """Of the first that is valid. Raises Unauthorized, or the reason (503) why one of them cannot be judged."""
        failure: GatewayError = Unauthorized(detail="no credential")
        for number, secret in enumerate(secrets):
            try:
                return self._known(secret) or await self._looked_up(secret)
            except GatewayError as refused:
                if number == 0 or not isinstance(refused, Unauthorized):
                    failure = refused
        raise failure

    async def _looked_up(self, secret: str) -> Client:
        if self.verifier is not None and (self._keys is None or secret.count(".") == 2):  # RFC 7519: three parts
            return await self.verifier.verify(secret)
        keys, digest = self._keys, digest_of(secret)
        assert keys is not None
        # One that is known and did not pass is expired or disabled: nobody needs to be asked about it.
        key = await self._find(digest) if keys.get(digest) is None and not keys.unknown(digest) else None
        if key is None or not key.usable(self._wall(), hash_from(digest)):
            raise Unauthorized(detail="unknown, expired or disabled key")
        return key.client()


def _short(name: str) -> str:
    """A name that may be kept and shown: itself, or its SHA-256."""
    if len(name) > LONGEST_ID or not name.isprintable():
        return sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return name


@lru_cache(REMEMBERED)
def _unproven(name: str, address: str) -> Client:
    """A client that says who it is and proves nothing.

    Names are free: the same name from another address is another client, and all of an address share its buckets.
    """
    key = key_of(address)
    return Client(f"client:{name}@{key}", address=key)


@lru_cache(REMEMBERED)
def _nameless(address: str) -> Client:
    return Client(f"address:{key_of(address)}")
