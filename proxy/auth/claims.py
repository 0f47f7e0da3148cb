"""Checking the claims of a verified token: issuer, audience, times, and what the client may use.

A claim with an invalid value refuses the token: an intended restriction must never be ignored. All refusals are
``Unauthorized`` with the reason as detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from proxy.auth.apikey import PASSTHROUGH
from proxy.config.labels import MOST_LABELS, Labels, label_name, label_value, sorted_labels
from proxy.config.limit_schema import Limits
from proxy.config.schema import Jwt
from proxy.errors import Unauthorized
from proxy.identity import Client
from proxy.routing.access import access

Claims = Mapping[str, Any]

LONGEST_NAME = 200
LATEST = 253_402_300_800.0  # the year 10000; later times are milliseconds by mistake

_ABSENT: Final = object()
_NOTHING = ("",)  # matches no model; an empty tuple would mean all


def good_until(claims: Claims, settings: Jwt, now: float) -> float:
    """Check issuer, audience and times (RFC 7519, section 4.1).

    Returns the token's expiry with leeway, in Unix seconds.
    """
    _check_issuer(claims, settings.issuer)
    _check_audience(claims, settings.audience)
    end = _moment(claims, "exp")
    if end is None:
        raise Unauthorized(detail="the token has no exp")
    end += settings.leeway_secs
    if now >= end:
        raise Unauthorized(detail="the token has expired")
    begin = _moment(claims, "nbf")
    if begin is not None and now < begin - settings.leeway_secs:
        raise Unauthorized(detail="the token is not valid yet")
    return end


def client_of(claims: Claims, settings: Jwt) -> Client:
    """The client of a token.

    Equal subjects of different issuers are different clients and owners, unless one issuer is configured.
    """
    names = settings.claims
    subject = _name(_at(claims, names.client), names.client)
    owner = _optional_name(claims, names.owner)
    if settings.issuer:
        whose = subject
    else:
        issuer = _name(claims["iss"], "iss") if "iss" in claims else ""
        if "|" in issuer:
            raise Unauthorized(detail="iss is not a URI")
        whose = f"{issuer}|{subject}"
        if names.owner == names.client and (issuer or "|" in subject):
            owner = whose
    scopes = frozenset(_words(claims, names.scope) or ())
    return Client(
        id=f"jwt:{whose}",
        name=subject,
        access=access(_reach(claims, names.models), _reach(claims, names.providers)),
        limits=_limits(claims, names.limits),
        passthrough=PASSTHROUGH in scopes,
        scopes=scopes,
        owner=owner,
        team=_optional_name(claims, names.team),
        project=_optional_name(claims, names.project),
        labels=_labels(claims, names.labels),
    )


def _check_issuer(claims: Claims, expected: str) -> None:
    if expected and claims.get("iss") != expected:
        raise Unauthorized(detail="the token has another iss than auth.jwt.issuer")


def _check_audience(claims: Claims, ours: list[str]) -> None:
    named = claims.get("aud", [])
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise Unauthorized(detail="aud is neither text nor a list of texts")
    # RFC 7519, section 4.1.3: a recipient that is not in the audience must refuse. Without an audience all accept.
    if (ours or named) and not set(ours) & set(named):
        raise Unauthorized(detail="the token's aud has none of auth.jwt.audience")


def _moment(claims: Claims, name: str) -> float | None:
    value = claims.get(name, _ABSENT)
    if value is _ABSENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise Unauthorized(detail=f"{name} is not a time in Unix seconds")
    return float(value)


def _at(claims: Claims, path: str) -> Any:
    """The value at a path. A claim whose own name contains dots, such as a URI, takes precedence."""
    if path in claims:
        return claims[path]
    here: Any = claims
    for part in path.split("."):
        if not isinstance(here, dict):
            raise Unauthorized(detail=f"the claim {path} passes through a value that is not an object")
        here = here.get(part, _ABSENT)
        if here is _ABSENT:
            break
    return here


def _name(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        expected = f"printable text of up to {LONGEST_NAME} characters"
        raise Unauthorized(detail=f"the claim {path} is missing or not {expected}")
    return value


def _optional_name(claims: Claims, path: str) -> str:
    """``""`` if the claim is absent or not configured. A wrong one refuses the token, or it could avoid its budget."""
    value = _at(claims, path) if path else _ABSENT
    return "" if value is _ABSENT else _name(value, path)


def _labels(claims: Claims, path: str) -> Labels:
    value = _at(claims, path) if path else _ABSENT
    if value is _ABSENT:
        return ()
    if isinstance(value, dict) and len(value) <= MOST_LABELS and all(isinstance(text, str) for text in value.values()):
        try:
            return sorted_labels({label_name(name): label_value(text) for name, text in value.items()})
        except ValueError as error:
            raise Unauthorized(detail=f"the claim {path}: {error}") from None
    raise Unauthorized(detail=f"the claim {path} is not an object with at most {MOST_LABELS} texts")


def _words(claims: Claims, path: str) -> tuple[str, ...] | None:
    """A list of texts, or one text with words separated by spaces (RFC 8693, section 4.2); ``None`` if it is absent."""
    value = _at(claims, path)
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return tuple(value.split())
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise Unauthorized(detail=f"the claim {path} is neither text nor a list of texts")
    return tuple(value)


def _reach(claims: Claims, path: str) -> tuple[str, ...]:
    words = _words(claims, path)
    return () if words is None else words or _NOTHING


def _limits(claims: Claims, path: str) -> Limits | None:
    value = _at(claims, path)
    if value is _ABSENT:
        return None
    if isinstance(value, dict):
        try:
            return msgspec.convert(value, Limits)
        except msgspec.ValidationError:
            pass
    raise Unauthorized(detail=f"the claim {path} does not have the form of limits in the configuration")
