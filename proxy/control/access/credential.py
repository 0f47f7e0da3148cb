"""The admin's credential: the token, and the sessions that a browser gets for it.

A session is a value signed with the token (HMAC-SHA-256) that holds its expiry and a random id. Every process with
the same token accepts it, so sessions survive a restart, and a new token ends them all.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from proxy.config.schema import Admin
from proxy.config.service_checks import SESSION_COOKIE
from proxy.control.access import token_file
from proxy.errors import ConfigError
from proxy.server.request import Request

COOKIE: Final = SESSION_COOKIE
SESSION_SECS: Final = 12 * 3600

_SESSION = re.compile(r"((\d{1,12})\.([A-Za-z0-9_-]{1,32}))\.([0-9a-f]{64})", re.ASCII).fullmatch


class AdminCredential:
    """The admin token, configured or generated.

    ``generated``: the token is not in the configuration, so the start line prints the login link.
    ``now`` is the time in Unix seconds. Raises ConfigError if the generated token can be neither read nor stored.
    """

    def __init__(self, settings: Admin, data_dir: str, now: Callable[[], float] = time.time) -> None:
        self.generated = not settings.token
        self.token = settings.token or token_file.read_or_make(Path(data_dir))
        self._digest = sha256(self.token.encode()).digest()
        self._now = now
        self._ended: dict[str, float] = {}  # ids of sessions that were logged out, with their expiry

    @classmethod
    def open(cls, settings: Admin, data_dir: str, warn: Callable[[str], None]) -> AdminCredential:
        """Like the constructor, but without a usable token file the token lasts for this run only, with a warning.

        A read-only file system is no reason not to start.
        """
        try:
            return cls(settings, data_dir)
        except ConfigError as error:
            for mistake in error.mistakes:
                warn(f"{mistake}; the token is generated for this run only")
            credential = cls(Admin(token=secrets.token_urlsafe(32)), data_dir)
            credential.generated = True
            return credential

    def __repr__(self) -> str:
        return f"<AdminCredential {'generated' if self.generated else 'configured'}>"

    @property
    def login_path(self) -> str:
        """Path and query of the login link, which contain the token."""
        return f"/admin/login?token={quote(self.token, safe='')}"

    def is_token(self, text: str) -> bool:
        """Compare digests, in constant time for any length."""
        return hmac.compare_digest(sha256(text.encode("utf-8", "surrogatepass")).digest(), self._digest)

    def new_session(self) -> str:
        """The cookie value of a new session."""
        signed = f"{int(self._now()) + SESSION_SECS}.{secrets.token_urlsafe(9)}"
        return f"{signed}.{self._signature(signed)}"

    def check_session(self, session: str) -> Literal["valid", "expired", "forged"]:
        """``forged``: signed with another token, so it is a guess at this one. A malformed value is ``expired``."""
        found = _SESSION(session)
        if found is None:
            return "expired"
        signed, expires, id_, signature = found.groups()
        if not hmac.compare_digest(signature, self._signature(signed)):
            return "forged"
        return "valid" if self._now() < int(expires) and id_ not in self._ended else "expired"

    def end_session(self, session: str) -> None:
        """Reject ``session`` from now on, in this process."""
        if self.check_session(session) != "valid":  # so at most as many are remembered as there were logins
            return
        expires, id_, _ = session.split(".")
        now = self._now()
        self._ended = {each: expiry for each, expiry in self._ended.items() if expiry > now}
        self._ended[id_] = int(expires)

    def _signature(self, signed: str) -> str:
        return hmac.new(self.token.encode(), b"sluice admin session " + signed.encode(), sha256).hexdigest()


def session_of(request: Request) -> str | None:
    """The value of the session cookie. Elsewhere than below ``/admin/`` a cookie is ignored."""
    if not request.path.startswith("/admin/"):
        return None
    for line in request.headers.getall("Cookie", ()):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                return value
    return None


def session_cookie(session: str, *, secure: bool) -> bytes:
    """The Set-Cookie line for ``session`` (RFC 6265 4.1); ``""`` deletes the cookie."""
    age = SESSION_SECS if session else 0
    attributes = f"Path=/admin; Max-Age={age}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return f"Set-Cookie: {COOKIE}={session}; {attributes}\r\n".encode("ascii")
