"""Configured secrets, struck out of whatever is logged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

# Keys like "none" or "x", given to local servers that want any, must not strike out half the log.
SHORTEST = 6

_SCHEME = re.compile(r"(?:Bearer|Basic|Token)\s+", re.IGNORECASE)


class Mask:
    """Replaces every one of ``secrets`` (keys, header values, passwords) by ``***``.

    Also found: the secret within a URL, and the credential of a header value without its scheme.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        bare = {form for secret in secrets for form in (secret, _SCHEME.sub("", secret, count=1))}
        forms = {form for text in bare if len(text) >= SHORTEST for form in (text, quote(text, safe=""))}
        # Longest first: a secret that begins with another one must go as a whole.
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub("***", text)
