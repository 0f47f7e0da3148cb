"""Checks of the texts of services and routes."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from proxy.config.address_schema import SERVICE

SESSION_COOKIE: Final = "sluice_admin"  # of the dashboard (control/access/credential.py)
is_token: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 5.6.2

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCOPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:~-]*")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]*")
_PARAMETER: Final = re.compile(r"\{(\+?)([A-Za-z][A-Za-z0-9_]*)\}")
_STATUSES: Final = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?(,\s*[1-5][0-9]{2}(-[1-5][0-9]{2})?)*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def service_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a service's name may contain only letters, digits, dots, dashes and underscores")
    return text


def service_url(text: str) -> str:
    """``service://name`` with or without a path, which has no slash at its end."""
    name, slash, path = text.removeprefix(SERVICE).partition("/")
    return f"{SERVICE}{service_name(name)}{route_path(slash + path).rstrip('/')}"


def scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError("a scope may contain only letters, digits and . _ : / -")
    return text


def route_id(text: str) -> str:
    if text and not _ID.fullmatch(text):
        raise ValueError("an id may contain only letters, digits and . _ : ~ -")
    return text


def route_host(text: str) -> str:
    host = text.lower().rstrip(".")
    if host and not _HOST.fullmatch(host):
        raise ValueError("expected a host name without scheme and port, or one after *.")
    return host


def route_path(text: str) -> str:
    """``""``, or a path without a slash at its end; ``/`` stays."""
    if text and not text.startswith("/"):
        raise ValueError("must begin with a slash")
    path = text.rstrip("/") or text[:1]
    _check_segments(path)
    return path


def route_pattern(text: str) -> str:
    if not text:
        return ""
    if not text.startswith("/"):
        raise ValueError("must begin with a slash")
    names = [name for _, name in _PARAMETER.findall(text)]
    if len(set(names)) != len(names):
        raise ValueError("has a name twice")
    segments = text.split("/")
    for number, segment in enumerate(segments):
        found = _PARAMETER.fullmatch(segment)
        if found is None and ("{" in segment or "}" in segment):
            raise ValueError("a {name} must be a whole segment, such as /users/{id}/files/{+rest}")
        if found is not None and found[1] and number + 1 < len(segments):
            raise ValueError("{+name} stands for the rest of the path, so it must be the last segment")
    _check_segments("/".join("x" if _PARAMETER.fullmatch(each) else each for each in segments))
    return text


def route_rewrite(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("must begin with a slash")
    _check_segments(_PARAMETER.sub("x", text))
    return text


def route_method(text: str) -> str:
    method = text.upper()
    if not _METHOD.fullmatch(method):
        raise ValueError("expected a method such as GET")
    if method in ("CONNECT", "TRACE"):
        raise ValueError(f"{method} is never relayed")
    return method


def statuses(text: str) -> str:
    if not _STATUSES.fullmatch(text):
        raise ValueError("expected statuses such as 200-399, or 200, 204")
    return text


def parameters(pattern: str) -> tuple[str, ...]:
    """The names in a pattern or a rewrite, in order."""
    return tuple(name for _, name in _PARAMETER.findall(pattern))


def literal_path(pattern: str) -> str:
    """A path that a pattern matches."""
    return _PARAMETER.sub("x", pattern)


def _check_segments(path: str) -> None:
    if not all(map(_SEGMENT.fullmatch, path.split("/"))):
        raise ValueError("has a character that must be percent-encoded")
    if _BAD_ESCAPE.search(path):
        raise ValueError("has a '%' that is not followed by two hexadecimal digits")
    if "//" in path or any(each in (".", "..") for each in unquote(path).split("/")):
        raise ValueError("must not contain empty or dot segments")
