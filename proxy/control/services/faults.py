"""Errors of the routes of services and routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.errors import ClientFault

MOST_REPORTED: Final = 20  # mistakes; further ones are only counted
_FIELD: Final = re.compile(r"((?:[\w.\[\]-]|\"[^\"]*\")+): ")


def invalid(mistakes: Sequence[str]) -> ClientFault:
    """Status 400 with every mistake; ``param`` is the field of the first."""
    more = [f"and {len(mistakes) - MOST_REPORTED} more"] if len(mistakes) > MOST_REPORTED else []
    field = _FIELD.match(mistakes[0])
    text = "; ".join([*mistakes[:MOST_REPORTED], *more])
    return ClientFault(text, param=field[1] if field else None, code="invalid_parameters")


def unknown_service(name: str) -> ClientFault:
    return ClientFault(f"There is no service {name!r}.", status=404, code="unknown_service")


def unknown_route(id_: str) -> ClientFault:
    return ClientFault(f"There is no route {id_!r}.", status=404, code="unknown_route")


def unknown_address(name: str, url: str) -> ClientFault:
    text = f"The service {name!r} has no address {url!r}."
    return ClientFault(text, status=404, param="url", code="unknown_address")


def configured(what: str, name: str, more: str = "") -> ClientFault:
    """Status 409. ``what``: service or route. ``more``: what can be done instead, as a sentence."""
    text = f"The {what} {name!r} is configured in the file, so it can be changed only there."
    return ClientFault(f"{text} {more}".rstrip(), status=409, code=f"configured_{what}")
