"""The credential check of the control plane: the admin token, or a browser's session.

The client's address never grants anything: a request over loopback needs the credential like any other.
"""

from __future__ import annotations

from typing import Final

from proxy.auth.presented import all_presented
from proxy.control.access.credential import AdminCredential, session_cookie, session_of
from proxy.control.access.throttle import LoginThrottle
from proxy.errors import ClientFault, GatewayError, Unauthorized
from proxy.server.request import Request

_SAFE: Final = ("GET", "HEAD", "OPTIONS")  # RFC 9110 9.2.1


class AdminUnauthorized(Unauthorized):
    """The admin token or the session is missing or wrong."""

    realm = "sluice-admin"
    text = "This needs the admin token (see the start line, or data/admin-token)."


class SessionExpired(AdminUnauthorized):
    """The session cookie is no longer valid. The response deletes it, so the browser does not go on sending it."""


class Gate:
    """Requires the admin's credential."""

    def __init__(self, credential: AdminCredential, throttle: LoginThrottle) -> None:
        self._credential = credential
        self._throttle = throttle

    async def authorize(self, request: Request) -> None:
        """Raises Unauthorized, RateLimited, and ClientFault (403) for a cross-site request."""
        tokens, session = all_presented(request.headers), session_of(request)
        status = None if session is None else self._credential.check_session(session)
        correct = any(map(self._credential.is_token, tokens))
        if tokens and (correct or status != "valid"):
            if not await self._throttle.check(request, correct, guesses=len(tokens)):
                raise AdminUnauthorized
            return
        if session is None:
            raise AdminUnauthorized
        # A forged signature is a guess at the token, so it counts as one. A valid session is no guess:
        # its owner does not wait for what others try from the same address.
        if status == "expired" or not (status == "valid" or await self._throttle.check(request, False)):
            raise SessionExpired
        check_same_origin(request)

    def is_admin(self, request: Request) -> bool:
        """Whether the admin token is the only credential of the request. ``authorize`` must follow."""
        tokens = all_presented(request.headers)
        return len(tokens) == 1 and self._credential.is_token(tokens[0])

    def error_headers(self, fault: GatewayError) -> bytes:
        """The line that deletes the cookie of an expired session; ``b""`` for any other error."""
        return session_cookie("", secure=False) if isinstance(fault, SessionExpired) else b""


def check_same_origin(request: Request) -> None:
    """Reject changes that another site made the browser send with the cookie. Raises ClientFault (403).

    SameSite=Strict is not enough: all ports of a host are one site. Hence Sec-Fetch-Site, and Origin for browsers
    that do not send it.
    """
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2].lower() != request.headers.get("Host", "").lower()
    if foreign or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ClientFault(
            "Changes by session cookie are accepted from the gateway's own pages only.",
            status=403,
            code="cross_site_request",
        )
