"""Signatures of webhooks, by Standard Webhooks 1.0 ("Signature scheme" and "Webhook headers").

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64encode

from proxy.config.webhook_checks import signing_key


def headers_of(id_: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers ``webhook-...``. ``timestamp``: of this try, in Unix seconds. Without a secret nothing is signed."""
    headers = {"webhook-id": id_, "webhook-timestamp": str(timestamp)}
    if secret:
        headers["webhook-signature"] = sign(id_, timestamp, body, secret)
    return headers


def sign(id_: str, timestamp: int, body: bytes, secret: str) -> str:
    """The signature of version 1: HMAC-SHA256 of the id, the timestamp and the body, in base64."""
    signed = b"%b.%d.%b" % (id_.encode(), timestamp, body)
    return f"v1,{b64encode(hmac.digest(signing_key(secret), signed, 'sha256')).decode()}"
