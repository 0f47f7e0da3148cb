"""Types for secret texts, which views and logs recognize.

``msgspec`` does not encode subclasses of ``str`` by itself, so a secret in a response by accident is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import to_builtins

MASKED = "********"
SHORTEST = 6  # characters; masking shorter ones in logs would hide ordinary words

# The userinfo (RFC 3986, section 3.2.1), and the query, which often contains keys.
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"\?[^#]+")


class Secret(str):
    """A credential, its hash, or a text that may contain one. Behaves as ``str``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    @property
    def shown(self) -> str:
        """The form for operators."""
        return MASKED if self else ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Texts that must not appear in logs."""
        return (str(self),)


class SecretUrl(Secret):
    """A URL that may contain a password, or a credential in its query."""

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
    """``settings`` as mappings, lists and plain values, with each secret replaced by ``take(secret)``."""
    return to_builtins(settings, enc_hook=take)


def secrets_in(settings: Any) -> set[str]:
    """All texts in ``settings`` that must not appear in logs."""
    found: set[str] = set()

    def take(secret: Secret) -> str:
        found.update(part for part in secret.parts if len(part) >= SHORTEST)
        return ""

    plain(settings, take)
    return found
