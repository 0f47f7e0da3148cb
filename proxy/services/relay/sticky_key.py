"""The key of a request that stays at one address: from a cookie, or from a header."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final

from multidict import istr

if TYPE_CHECKING:
    from proxy.config.service_schema import Stickiness
    from proxy.server.request import Request

LONGEST_KEY: Final = 256  # characters of a cookie's value; a longer one is not ours

_COOKIE: Final = istr("Cookie")


def sticky_key(request: Request, sticky: Stickiness) -> tuple[bytes, bytes]:
    """The key, and the header line that gives a client without one its cookie; ``b""``: none.

    A header goes before the cookie. Without any, requests of a service with only a header go to any address.
    """
    if sticky.header and (value := request.headers.get(sticky.header)):
        return _encoded(value), b""
    if not sticky.cookie:
        return b"", b""
    value = _value_of(sticky.cookie, request.headers.getall(_COOKIE, ()))
    if value:
        return _encoded(value), b""
    value = token_urlsafe(16)
    secure = "; Secure" if request.secure else ""
    return value.encode(), f"Set-Cookie: {sticky.cookie}={value}; Path=/; HttpOnly; SameSite=Lax{secure}\r\n".encode()


def _value_of(name: str, cookies: list[str] | tuple[()]) -> str:
    """The value of a cookie (RFC 6265 5.4); ``""``: it is missing or too long."""
    for line in cookies:
        for pair in line.split(";"):
            found, _, value = pair.strip().partition("=")
            if found == name:
                return value.strip('"') if len(value) <= LONGEST_KEY else ""
    return ""


def _encoded(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
