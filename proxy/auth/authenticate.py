"""The authentication middleware: identifies the client from the head of the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from multidict import istr

from proxy.auth.apikey import ApiKey, digest_of, hash_from
from proxy.auth.cache import KeyCache
from proxy.auth.certificates import CertificateClients
from proxy.auth.jwt import Verifier
from proxy.auth.presented import all_presented, in_query, presented
from proxy.errors import CertificateRequired, GatewayError, Unauthorized
from proxy.identity import Client
from proxy.net.address import TrustedProxies, key_of, peer_of
from proxy.responder import Responder
from proxy.server.request import Request
from proxy.wire.attribution import short

Handler = Callable[[Responder], Awaitable[None]]
Find = Callable[[bytes], Awaitable[ApiKey | None]]

LONGEST_ID = 64  # characters of an X-Client-ID; longer ones are hashed
MOST_CACHED = 4096  # unauthenticated clients, some 600 bytes each; and as many addresses

_CLIENT_ID: Final = istr("X-Client-ID")  # case-folded and hashed once


class Authenticator:
    """Makes the middleware (``wrap``). ``keys`` and ``verifier`` are set if ``auth.mode`` uses them.

    ``find`` looks up a key that is not cached, by its digest (``apikey.digest_of``). ``wall`` returns Unix seconds.
    ``certificates``: set if the listener verifies client certificates; ``nothing_else``: no other credential counts.
    """

    def __init__(
        self,
        *,
        keys: KeyCache | None,
        find: Find,
        trusted: TrustedProxies,
        wall: Callable[[], float],
        certificates: CertificateClients | None = None,
        nothing_else: bool = False,
    ) -> None:
        self._keys = keys
        self._find = find
        self._trusted = trusted
        self._direct = not trusted  # there are no trusted proxies
        self._wall = wall
        self.verifier: Verifier | None = None
        self.certificates = certificates
        self._nothing_else = nothing_else

    def wrap(self, handler: Handler) -> Handler:
        # Not a coroutine function, since cached credentials need no waiting.
        def authenticated(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            exchange.client = address = request.remote if self._direct else self.address(request)
            if self._keys is None and self.verifier is None:
                name = request.headers.get(_CLIENT_ID) if request.rare else None
                exchange.caller = _unproven(short(name, LONGEST_ID), address) if name else _nameless(address)
                return handler(responder)
            secret = presented(request.headers)
            if secret is None:
                secret = in_query(request.query) if request.query else None
                if secret is None:
                    raise Unauthorized(detail="no credential")
            client = self._known(secret)
            if client is None:
                return self._authenticate(responder, handler, all_presented(request.headers) or (secret,))
            exchange.caller = client
            return handler(responder)

        return authenticated if self.certificates is None else self._wrap_certified(handler, authenticated)

    def _wrap_certified(self, handler: Handler, otherwise: Handler) -> Handler:
        """A separate middleware, so that requests cost the same where no client has a certificate."""

        def certified(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            name, clients = request.certificate_name, self.certificates
            client = clients[name] if name and clients is not None else None
            if client is None and not self._nothing_else:
                return otherwise(responder)
            exchange.client = request.remote if self._direct else self.address(request)
            if client is None:
                raise CertificateRequired(
                    detail=f"{short(name, LONGEST_ID)} is not listed" if name else "no certificate"
                )
            exchange.caller = client
            return handler(responder)

        return certified

    async def identify(self, request: Request) -> Client:
        """The client of a request that is no model call. Raises GatewayError."""
        name, clients = request.certificate_name, self.certificates
        if clients is not None and name and (client := clients[name]) is not None:
            return client
        if self._nothing_else:
            raise CertificateRequired(detail="no certificate that is listed")
        if self._keys is None and self.verifier is None:
            return self.anonymous(request)
        secrets = all_presented(request.headers)
        if not secrets:
            raise Unauthorized(detail="no credential")
        return await self._any_of(tuple(secrets))

    def recognize(self, request: Request) -> Client | None:
        """What ``identify`` returns, without a wait; ``None``: it has to wait, or refuses."""
        name, clients = request.certificate_name, self.certificates
        if clients is not None and name and (client := clients[name]) is not None:
            return client
        if self._nothing_else:
            return None
        if self._keys is None and self.verifier is None:
            return self.anonymous(request)
        secret = presented(request.headers)
        return self._known(secret) if secret is not None else None

    def carries_own(self, request: Request) -> Awaitable[bool] | bool:
        """Whether a valid key or token of the gateway is in the headers. Not a coroutine: usually there is none, or
        it is known. Awaiting raises a GatewayError (503) if it could not be checked.
        """
        headers = request.headers
        if (self._keys is None and self.verifier is None) or presented(headers) is None:
            return False
        secrets = all_presented(headers)
        return any(map(self._known, secrets)) or self._carries_own(secrets)

    async def _carries_own(self, secrets: tuple[str, ...]) -> bool:
        try:
            await self._any_of(secrets)
        except Unauthorized:
            return False
        return True

    def anonymous(self, request: Request) -> Client:
        """The client of a request that needs no credential: what it calls itself, else its address."""
        address = request.remote if self._direct else self.address(request)
        given = request.headers.get(_CLIENT_ID) if request.rare else None
        return _unproven(short(given, LONGEST_ID), address) if given else _nameless(address)

    def address(self, request: Request) -> str:
        """The client's address, ``""`` on a Unix socket. Only trusted proxies are believed."""
        return request.remote if self._direct else peer_of(request.headers, request.remote, self._trusted)

    def _known(self, secret: str) -> Client | None:
        client = self._keys.check(secret) if self._keys is not None else None
        return client or (self.verifier.known(secret) if self.verifier is not None else None)

    async def _authenticate(self, responder: Responder, handler: Handler, secrets: tuple[str, ...]) -> None:
        """Authenticate credentials that are not cached. Raises GatewayError."""
        responder.exchange.caller = await self._any_of(secrets)
        await handler(responder)

    async def _any_of(self, secrets: tuple[str, ...]) -> Client:
        """The client of the first valid credential. Raises Unauthorized, or a 503 if one could not be checked."""
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
        # A cached key that was refused is expired or disabled, so it needs no lookup.
        key = await self._find(digest) if keys.get(digest) is None and not keys.unknown(digest) else None
        if key is None or not key.usable(self._wall(), hash_from(digest)):
            raise Unauthorized(detail="unknown, expired or disabled key")
        return key.client()


@lru_cache(MOST_CACHED)
def _unproven(name: str, address: str) -> Client:
    """A client that sends a name without authentication.

    The same name from another address is another client. All clients of an address share its buckets.
    """
    key = key_of(address)
    return Client(f"client:{name}@{key}", address=key)


@lru_cache(MOST_CACHED)
def _nameless(address: str) -> Client:
    return Client(f"address:{key_of(address)}")
