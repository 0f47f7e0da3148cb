"""How a browser gets a session for the admin token, and how it gives it back."""

from __future__ import annotations

from urllib.parse import parse_qs

from proxy.control.access.credential import AdminCredential, cookie, session_of
from proxy.control.access.gate import AdminUnauthorized, Attempts, check_site
from proxy.control.http.bodies import Bodies
from proxy.control.http.replies import done, redirect
from proxy.errors import ClientFault
from proxy.server.connection import Request

HOME = "/"


class Login:
    """The routes below /admin that need no credential, since they are how a browser shows it."""

    def __init__(self, credential: AdminCredential, attempts: Attempts, bodies: Bodies) -> None:
        self._credential = credential
        self._attempts = attempts
        self._bodies = bodies

    async def follow(self, request: Request) -> None:
        """GET /admin/login?token=...: the link that the start prints. 303 to the first page, with a session."""
        if request.headers.get("Sec-Fetch-Dest", "document") != "document":
            # An image on somebody's page would use up the attempts of whoever looks at it.
            raise ClientFault("This link is for opening.", status=403, code="cross_site_request")
        redirect(request, HOME, await self._session(request, _first(parse_qs(request.query))))

    async def log_in(self, request: Request) -> None:
        """POST /admin/login with ``{"token": ...}`` or a form that has it: 204 with a session, or 401."""
        done(request, await self._session(request, await self._token(request)))

    async def log_out(self, request: Request) -> None:
        """POST /admin/logout: the session ends, and the browser forgets it. 204, also for who has none."""
        check_site(request)
        self._leave(request)
        done(request, cookie("", secure=_is_secure(request)))

    async def _session(self, request: Request, token: str) -> bytes:
        """The header line of a new session; one that the browser had ends. Raises AdminUnauthorized, RateLimited."""
        if not token:
            raise AdminUnauthorized
        if not await self._attempts.passes(request, self._credential.is_token(token)):
            raise AdminUnauthorized
        self._leave(request)
        return cookie(self._credential.begin(), secure=_is_secure(request))

    async def _token(self, request: Request) -> str:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            return _first(_form(await self._bodies.read(request)))
        token = (await self._bodies.members(request)).get("token", "")
        if not isinstance(token, str):
            raise ClientFault("token: expected text.", param="token", code="invalid_value")
        return token

    def _leave(self, request: Request) -> None:
        session = session_of(request)
        if session is not None:
            self._credential.end(session)


def _is_secure(request: Request) -> bool:
    # Anybody may claim that a proxy in front of us speaks TLS: it only makes his own cookie stricter.
    return request.secure or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
    except ValueError:
        raise ClientFault("The form has too many fields.", code="invalid_value") from None


def _first(fields: dict[str, list[str]]) -> str:
    return fields.get("token", [""])[0]
