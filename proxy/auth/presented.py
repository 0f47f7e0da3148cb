"""Credentials in the headers of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from multidict import istr

# Case-folded and hashed once.
_AUTHORIZATION: Final = istr("Authorization")


def presented(headers: Mapping[str, str]) -> str | None:
    """The first credential: ``Authorization: Bearer`` (RFC 6750, section 2.1), else ``x-api-key`` or ``api-key``.

    ``None``: there is none. Other schemes are ignored.
    """
    value = headers.get(_AUTHORIZATION)
    if value is not None:
        if value.startswith("Bearer "):  # the usual spelling
            return value[7:].strip()
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return headers.get("x-api-key") or headers.get("api-key")


def all_presented(headers: Mapping[str, str]) -> tuple[str, ...]:
    """All credentials without duplicates, in order of precedence. Some clients send an unused one as well."""
    found = (presented(headers), headers.get("x-api-key"), headers.get("api-key"))
    return tuple(dict.fromkeys(each for each in found if each))
