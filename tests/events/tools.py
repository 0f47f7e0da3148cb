"""The signature of a webhook, by hand, and TLS that must not be used."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.control.health.rig import no_tls

SECRET = "whsec_" + base64.b64encode(b"a key of exactly 24 byte").decode()


def signature(id_: str, timestamp: str, body: bytes, key: bytes) -> str:
    """HMAC-SHA256 by hand (RFC 2104), independent of the module that signs."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + f"{id_}.{timestamp}.".encode() + body).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()
    return f"v1,{base64.b64encode(outer).decode()}"


def no_tls_at_all() -> Any:
    return no_tls(None)  # type: ignore[arg-type]
