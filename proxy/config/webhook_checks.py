"""Checks of webhooks: where they are, and the secret of their signatures."""

from __future__ import annotations

from base64 import b64decode
from typing import Final

from proxy.config.secret import MASKED, SecretUrl

ENCODED: Final = "whsec_"  # begins a secret in base64 (Standard Webhooks, "Signature scheme")


class WebhookUrl(SecretUrl):
    """An address whose path is secret, too: services put tokens there."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        scheme, _, rest = str(self).partition("://")
        host = rest.partition("/")[0].partition("?")[0]
        return f"{scheme}://{host}" + (f"/{MASKED}" if len(rest) > len(host) else "")


def webhook_secret(text: str) -> str:
    """Raises ``ValueError`` for a text that no signature can be made with. ``""``: there is none."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII text without spaces")
    if text.startswith(ENCODED):
        signing_key(text)
    return text


def signing_key(secret: str) -> bytes:
    """The key of HMAC: what ``whsec_`` and base64 encode, else the text itself. Raises ``ValueError``."""
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        key = b64decode(secret.removeprefix(ENCODED), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError(f"begins with {ENCODED}, so base64 must follow")
    return key
