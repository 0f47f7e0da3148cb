"""Removing credentials and account names from text of providers before a client reads it.

Providers quote them: OpenAI's 403 names the project, its 429 the organization, a 401 most of the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

SHORTEST: Final = 6  # keys like "none", used with local servers, would remove ordinary words

# The prefix stays and tells what was removed. Digits or capitals are required where the prefix is a common word:
# "org-wide" is no account.
_PATTERNS: Final = (
    r"(?<![A-Za-z0-9])(sk-|rk-|gsk_|xai-|r8_|hf_|pplx-|csk-|nvapi-)[A-Za-z0-9_*.\-]{6,}",  # API keys by provider
    r"(?<![A-Za-z0-9])(AIza)[A-Za-z0-9_\-]{20,}",  # Google
    r"(?<![A-Za-z0-9])(org[-_])(?=[A-Za-z0-9]*[0-9A-Z])[A-Za-z0-9]{6,}",  # OpenAI org-..., Groq org_...
    r"(?<![A-Za-z0-9])(proj_)[A-Za-z0-9]{4,}",  # OpenAI
)


class Redactor:
    """Replaces ``secrets`` by ``***``, and strings that look like a key or an account by their prefix and ``***``.

    Secrets are also found in their JSON form, so whole bodies can be redacted.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # Longest first: a secret that begins with another one must be replaced as a whole.
        literal = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        known = sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)
        self._secrets = tuple(secret.encode("latin-1", "replace") for secret in known)
        self._pattern = re.compile("|".join((*literal, *_PATTERNS)))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_replacement, text)

    def body(self, body: bytes) -> bytes:
        """Redact bytes in any encoding; returns the same object if nothing was found."""
        text = body.decode("latin-1")  # a bijection, and every pattern is ASCII
        found = self(text)
        return body if found == text else found.encode("latin-1")

    def value(self, value: bytes) -> bytes:
        """A header's value, or several header lines, without ``secrets``."""
        for secret in self._secrets:
            value = value.replace(secret, b"***")
        return value


def _forms(secret: str) -> tuple[str, ...]:
    quoted = json.dumps(secret)[1:-1]
    utf8 = secret.encode("utf-8", "surrogateescape").decode("latin-1")
    return secret, utf8, quoted, quoted.replace("/", "\\/")


def _replacement(found: re.Match[str]) -> str:
    return f"{next(filter(None, found.groups()), '')}***"


redacted: Final = Redactor()  # for text of an unknown provider
