"""The admin's credential: the token, and the sessions that a browser gets for it.

A session's value is a promise signed with the token (HMAC-SHA-256): when it ends, and a number of its own. Every
process that knows the token knows it, so it outlives a restart, while a new token ends all of them.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from proxy.config.schema import Admin
from proxy.control.access import token_file
from proxy.server.connection import Request

COOKIE = "sluice_admin"
SESSION_SECS = 12 * 3600

_SESSION = re.compile(r"((\d{1,12})\.([A-Za-z0-9_-]{1,32}))\.([0-9a-f]{64})", re.ASCII).fullmatch


class AdminCredential:
    """``generated``: nobody configured the token, so whoever starts the gateway has to be told it.

    ``now`` is the wall's time in Unix seconds. Raises ConfigError where no token can be had.
    """

    def __init__(self, settings: Admin, data_dir: str, now: Callable[[], float] = time.time) -> None:
        self.generated = not settings.token
        self.token = settings.token or token_file.read_or_make(Path(data_dir))
        self._digest = sha256(self.token.encode()).digest()
        self._now = now
        self._ended: dict[str, float] = {}  # sessions ended before their time, until then

    def __repr__(self) -> str:
        return f"<AdminCredential {'generated' if self.generated else 'configured'}>"

    @property
    def login_path(self) -> str:
        """The path that logs a browser in: it holds the token."""
        return f"/admin/login?token={quote(self.token, safe='')}"

    def is_token(self, text: str) -> bool:
        """Constant in time, whatever the length: digests are compared."""
        return hmac.compare_digest(sha256(text.encode("utf-8", "surrogatepass")).digest(), self._digest)

    def begin(self) -> str:
        """The value of a new session."""
        promise = f"{int(self._now()) + SESSION_SECS}.{secrets.token_urlsafe(9)}"
        return f"{promise}.{self._signature(promise)}"

    def judge(self, session: str) -> Literal["valid", "over", "forged"]:
        """``forged``: signed with another token, so that it is a guess at this one. What is no session is ``over``."""
        found = _SESSION(session)
        if found is None:
            return "over"
        promise, expires, number, signature = found.groups()
        if not hmac.compare_digest(signature, self._signature(promise)):
            return "forged"
        return "valid" if self._now() < int(expires) and number not in self._ended else "over"

    def end(self, session: str) -> None:
        """Nobody comes in by ``session`` any more, through this process at least."""
        if self.judge(session) != "valid":  # so that only as many are remembered as there were logins
            return
        expires, number, _ = session.split(".")
        now = self._now()
        self._ended = {each: until for each, until in self._ended.items() if until > now}
        self._ended[number] = int(expires)

    def _signature(self, promise: str) -> str:
        return hmac.new(self.token.encode(), b"sluice admin session " + promise.encode(), sha256).hexdigest()


def session_of(request: Request) -> str | None:
    """The value of the session cookie. It counts for ``/admin/...`` only, wherever else a client may send it."""
    if not request.path.startswith("/admin/"):
        return None
    for line in request.headers.getall("Cookie", ()):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                return value
    return None


def cookie(session: str, *, secure: bool) -> bytes:
    """The header line that hands out ``session`` (RFC 6265 4.1); ``""`` takes it back."""
    age = SESSION_SECS if session else 0
    attributes = f"Path=/admin; Max-Age={age}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return f"Set-Cookie: {COOKIE}={session}; {attributes}\r\n".encode("ascii")
