"""Login and logout of browsers: the admin token is exchanged for a session cookie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from msgspec import Struct

from proxy.control.access.credential import AdminCredential, session_cookie, session_of
from proxy.control.access.gate import AdminUnauthorized, check_same_origin
from proxy.control.access.throttle import LoginThrottle
from proxy.control.http.operation import Operation
from proxy.control.http.requests import MAX_PARAMETERS, RequestBodies
from proxy.control.http.responses import redirect, send_no_content
from proxy.control.http.router import ControlRoute
from proxy.errors import ClientFault
from proxy.server.request import Request

HOME: Final = "/admin"  # not /: a route to a service may have that


class LoginBody(Struct):
    """The admin token."""

    token: str


class LoginLinkQuery(Struct):
    """The query of the login link that is printed at the start."""

    token: str = ""


class Login:
    """Routes below /admin that need no credential, because a browser presents it there."""

    def __init__(self, credential: AdminCredential, throttle: LoginThrottle, bodies: RequestBodies) -> None:
        self._credential = credential
        self._throttle = throttle
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        return (
            ControlRoute(
                "GET",
                "/admin/login",
                "open",
                self.follow_link,
                Operation(
                    "session",
                    "Follow the login link that is printed at the start",
                    status=303,
                    media=(),
                    query=LoginLinkQuery,
                    errors=(401, 403, 429),
                ),
            ),
            ControlRoute(
                "POST",
                "/admin/login",
                "open",
                self.log_in,
                Operation(
                    "session", "Begin a session", status=204, media=(), body=LoginBody, form=True, errors=(401, 429)
                ),
            ),
            ControlRoute(
                "POST",
                "/admin/logout",
                "open",
                self.log_out,
                Operation("session", "End the session", status=204, media=(), errors=(403,)),
            ),
        )

    async def follow_link(self, request: Request) -> None:
        """GET /admin/login?token=...: 303 to the dashboard, with a session."""
        if request.headers.get("Sec-Fetch-Dest", "document") != "document":
            # An image on another site would use up the guesses of whoever views it.
            raise ClientFault("Open this link in a browser.", status=403, code="cross_site_request")
        redirect(request, HOME, await self._new_session(request, _token_of(parse_qs(request.query))))

    async def log_in(self, request: Request) -> None:
        """POST /admin/login with ``{"token": ...}`` or a form: 204 with a session, or 401."""
        send_no_content(request, await self._new_session(request, await self._token(request)))

    async def log_out(self, request: Request) -> None:
        """POST /admin/logout: end the session and delete the cookie. 204 even without a session."""
        check_same_origin(request)
        self._end_session(request)
        send_no_content(request, session_cookie("", secure=_is_secure(request)))

    async def _new_session(self, request: Request, token: str) -> bytes:
        """The Set-Cookie line of a new session; the previous one ends. Raises AdminUnauthorized, RateLimited."""
        if not token:
            raise AdminUnauthorized
        if not await self._throttle.check(request, self._credential.is_token(token)):
            raise AdminUnauthorized
        self._end_session(request)
        return session_cookie(self._credential.new_session(), secure=_is_secure(request))

    async def _token(self, request: Request) -> str:
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type == "application/x-www-form-urlencoded":
            return _token_of(_form(await self._bodies.read(request)))
        token = (await self._bodies.members(request)).get("token", "")
        if not isinstance(token, str):
            raise ClientFault("token: expected text.", param="token", code="invalid_value")
        return token

    def _end_session(self, request: Request) -> None:
        session = session_of(request)
        if session is not None:
            self._credential.end_session(session)


def _is_secure(request: Request) -> bool:
    # Any client may claim that a proxy in front of us uses TLS: that only restricts its own cookie.
    return request.secure or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise ClientFault("The form has too many fields.", code="invalid_value") from None


def _token_of(fields: dict[str, list[str]]) -> str:
    return fields.get("token", [""])[0]
