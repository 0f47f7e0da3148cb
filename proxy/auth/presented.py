"""The credentials that a request shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from multidict import istr

# Names that need not be folded and hashed by each request.
_AUTHORIZATION: Final = istr("Authorization")


def presented(headers: Mapping[str, str]) -> str | None:
    """The first: ``Authorization: Bearer`` (RFC 6750 2.1), else ``x-api-key`` or ``api-key``, which some send instead.

    ``None``: there is none. Other schemes are not ours.
    """
    value = headers.get(_AUTHORIZATION)
    if value is not None:
        if value.startswith("Bearer "):  # as nearly everybody writes it
            return value[7:].strip()
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return headers.get("x-api-key") or headers.get("api-key")


def all_presented(headers: Mapping[str, str]) -> tuple[str, ...]:
    """All of them, each once, in the order in which they count: some send an unused one beside the right one."""
    found = (presented(headers), headers.get("x-api-key"), headers.get("api-key"))
    return tuple(dict.fromkeys(each for each in found if each))
