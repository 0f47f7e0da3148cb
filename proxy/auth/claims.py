"""What a verified token says: whether it is for us and for now, and whom it lets in to what.

A claim that is there and does not say what it should refuses the token: what was meant as a bound must never turn
out to be none. All refusals are ``Unauthorized``; why stands in its detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from proxy.auth.apikey import PASSTHROUGH
from proxy.config.schema import Jwt, Limits
from proxy.errors import Unauthorized
from proxy.identity import Client
from proxy.routing.access import access

Claims = Mapping[str, Any]

LONGEST_NAME = 200
LATEST = 253_402_300_800.0  # the year 10000: what is later was meant as milliseconds

_ABSENT: Final = object()
_NOTHING = ("",)  # no model has an empty name, while no pattern at all would mean every one


def good_until(claims: Claims, settings: Jwt, now: float) -> float:
    """Check issuer, audience and times (RFC 7519, section 4.1). When the token ends, with leeway; Unix seconds."""
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
    """Who asks with it. Subjects of different issuers are different, unless there is only one."""
    names = settings.claims
    subject = _name(_at(claims, names.client), names.client)
    if settings.issuer:
        whose = subject
    else:
        issuer = _name(claims["iss"], "iss") if "iss" in claims else ""
        if "|" in issuer:
            raise Unauthorized(detail="iss is no URI")
        whose = f"{issuer}|{subject}"
    return Client(
        id=f"jwt:{whose}",
        name=subject,
        access=access(_reach(claims, names.models), _reach(claims, names.providers)),
        limits=_limits(claims, names.limits),
        passthrough=PASSTHROUGH in (_words(claims, names.scope) or ()),
    )


def _check_issuer(claims: Claims, expected: str) -> None:
    if expected and claims.get("iss") != expected:
        raise Unauthorized(detail="the token has another iss than auth.jwt.issuer")


def _check_audience(claims: Claims, ours: list[str]) -> None:
    named = claims.get("aud", [])
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise Unauthorized(detail="aud is neither text nor a list of texts")
    # RFC 7519, section 4.1.3: who finds himself in no audience must refuse; without one it is for everybody.
    if (ours or named) and not set(ours) & set(named):
        raise Unauthorized(detail="the token's aud names nobody of auth.jwt.audience")


def _moment(claims: Claims, name: str) -> float | None:
    value = claims.get(name, _ABSENT)
    if value is _ABSENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise Unauthorized(detail=f"{name} is no moment in Unix seconds")
    return float(value)


def _at(claims: Claims, path: str) -> Any:
    """What stands at a path; a claim whose own name has dots in it, as URIs do, goes before."""
    if path in claims:
        return claims[path]
    here: Any = claims
    for part in path.split("."):
        if not isinstance(here, dict):
            raise Unauthorized(detail=f"the claim {path} leads through something that is no object")
        here = here.get(part, _ABSENT)
        if here is _ABSENT:
            break
    return here


def _name(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        what = f"printable text of up to {LONGEST_NAME} characters"
        raise Unauthorized(detail=f"the claim {path} is missing, or no {what}")
    return value


def _words(claims: Claims, path: str) -> tuple[str, ...] | None:
    """A list of texts, or one text with spaces between its words (RFC 8693, section 4.2); ``None`` if it is absent."""
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
    raise Unauthorized(detail=f"the claim {path} has no limits as they stand in the configuration")
