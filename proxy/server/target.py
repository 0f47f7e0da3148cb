"""Request targets in absolute form (RFC 9112 3.2.2), as clients of proxies send them: ``GET http://gateway/v1/models``."""

from __future__ import annotations

import re

from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy

# RFC 9110 4.2: http and https URIs have an authority; 4.2.4: user information in it is refused.
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(/[^#]*|\?[^#]*|)", re.IGNORECASE).fullmatch


def origin_form(target: str, headers: CIMultiDictProxy[str]) -> tuple[str, CIMultiDictProxy[str]]:
    """The target as a path with its query, and the headers with the target's authority as Host.

    The authority of the target overrides Host. A missing Host and an invalid target are left as they are; both are
    refused later.
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
