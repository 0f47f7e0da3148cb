"""Masking of configured secrets in logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

# Dummy keys such as "none" or "x", for local servers that require one, must not mask half of the log.
SHORTEST = 6

_SCHEME = re.compile(r"(?:Bearer|Basic|Token)\s+", re.IGNORECASE)


class Mask:
    """Replaces all ``secrets`` (keys, header values, passwords) by ``***``.

    Also matches a secret percent-encoded in a URL, and the credential of a header value without its scheme.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        bare = {form for secret in secrets for form in (secret, _SCHEME.sub("", secret, count=1))}
        forms = {form for text in bare if len(text) >= SHORTEST for form in (text, quote(text, safe=""))}
        # Longest first: a secret that begins with another one must be masked as a whole.
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub("***", text)
