"""Request targets in absolute form (RFC 9112 3.2.2), as clients of proxies send them: ``GET http://gateway/v1/models``."""

from __future__ import annotations

import re

from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy

# RFC 9110 4.2: http and https name their authority; 4.2.4: one with user information is not for us.
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(/[^#]*|\?[^#]*|)", re.IGNORECASE).fullmatch


def origin_form(target: str, headers: CIMultiDictProxy[str]) -> tuple[str, CIMultiDictProxy[str]]:
    """The target as a path with its query, and the headers with the target's authority as their Host.

    The target decides, whatever the Host says. A request that needs a Host and has none stays without, and what is in
    no form that an origin server takes stays as it is: both are refused later.
    """
    found = _ABSOLUTE(target)
    if found is None:
        return target, headers
    authority, rest = found.groups()
    if hdrs.HOST in headers:
        ours = CIMultiDict(headers)
        ours[hdrs.HOST] = authority
        headers = CIMultiDictProxy(ours)
    return rest if rest.startswith("/") else f"/{rest}", headers
