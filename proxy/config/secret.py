"""Texts of the configuration that nobody may read: a type of their own, so that no view or log needs a list of them.

``msgspec`` encodes no subclass of ``str`` by itself: a secret that reaches an answer by accident is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import to_builtins

MASKED = "********"
SHORTEST = 6  # characters; in a log, shorter ones would strike out words that are none

# RFC 3986 3.2.1: what stands between the scheme and the host; and the query, in which keys are often put.
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"\?[^#]+")


class Secret(str):
    """A credential, the hash of one, or a text that may hold one. It is used as any text is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    @property
    def shown(self) -> str:
        """What an operator may see of it."""
        return MASKED if self else ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What must not stand in a log."""
        return (str(self),)


class SecretUrl(Secret):
    """An address in which a password, or a query with a credential, may stand."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        text = str(self)
        return _QUERY.sub(f"?{MASKED}", _USERINFO.sub(f"{MASKED}@", text)) if "://" in text else text

    @property
    def parts(self) -> tuple[str, ...]:
        url = urlsplit(str(self))
        if not url.netloc:
            return ()
        password = url.password or ""
        return (password, unquote(password), url.query)


def plain(settings: Any, take: Callable[[Secret], str]) -> Any:
    """``settings`` as mappings, lists and plain values, and of each secret in them what ``take`` makes of it."""
    return to_builtins(settings, enc_hook=take)


def secrets_in(settings: Any) -> set[str]:
    """What must not stand in a log."""
    found: set[str] = set()

    def take(secret: Secret) -> str:
        found.update(part for part in secret.parts if len(part) >= SHORTEST)
        return ""

    plain(settings, take)
    return found
