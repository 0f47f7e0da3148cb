"""``thoughtSignature`` of parts: base64, as Google's SDKs decode it.

Within it is a blob with the name of its issuer, see ``translation/blobs.py``. Clients send the signatures of calls and
texts back. Some leave out the thoughts (Gemini CLI 0.61), so a signature has the text of its reasoning within it.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob

# What Google takes, and clients send, in place of the signature of a call that Gemini did not make.
PLACEHOLDER: Final = "skip_thought_signature_validator"
_PLACEHOLDERS: Final = frozenset((PLACEHOLDER, "context_engineering_is_the_way_to_go"))

_to_standard: Final = str.maketrans("-_", "+/")


def of_reasoning(blob: Blob | None, text: str, issuer: str) -> str:
    """The signature that carries reasoning. ``issuer``: that of the answer."""
    return _encoded(blobs.pack(blob, issuer, text))


def of_call(blob: Blob, issuer: str) -> str:
    """The signature that a call has of its own."""
    return _encoded(blobs.pack_call(blob, issuer))


def unpacked(value: str) -> str:
    """What the gateway packed; the value itself if Google made it, and ``""`` for a placeholder."""
    try:
        text = base64.b64decode(standard_base64(value)).decode()
    except (ValueError, binascii.Error):  # Google's own are not text
        text = value
    if value in _PLACEHOLDERS or text in _PLACEHOLDERS:
        return ""
    return text if text.startswith(blobs.PREFIX) else value


def standard_base64(data: str) -> str:
    """Base64 in the alphabet that all APIs take, padded: Google's Python SDK sends that for URLs (RFC 4648, 5)."""
    if "-" in data or "_" in data:
        data = data.translate(_to_standard)
    return data + "=" * (-len(data) % 4)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
