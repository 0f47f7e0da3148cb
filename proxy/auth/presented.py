"""Credentials in the headers of a request, and in the query of Google's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from multidict import istr

# Case-folded and hashed once.
_AUTHORIZATION: Final = istr("Authorization")
# Of Anthropic's clients, Azure's and Google's.
_HEADERS: Final = (istr("x-api-key"), istr("api-key"), istr("x-goog-api-key"))


def presented(headers: Mapping[str, str]) -> str | None:
    """The first credential: ``Authorization: Bearer`` (RFC 6750, section 2.1), else a header of ``_HEADERS``.

    ``None``: there is none. Other schemes are ignored.
    """
    value = headers.get(_AUTHORIZATION)
    if value is not None:
        if value.startswith("Bearer "):  # the usual spelling
            return value[7:].strip()
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    for name in _HEADERS:
        if value := headers.get(name):
            return value
    return None


def all_presented(headers: Mapping[str, str]) -> tuple[str, ...]:
    """All credentials without duplicates, in order of precedence. Some clients send an unused one as well."""
    found = (presented(headers), *map(headers.get, _HEADERS))
    return tuple(dict.fromkeys(each for each in found if each))


def in_query(query: str) -> str | None:
    """The credential of Google's clients that send it as ``?key=``; ``None``: there is none.

    Source: https://cloud.google.com/docs/authentication/api-keys-use
    """
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name == "key" and value:
            return unquote_plus(value)
    return None
