"""Blobs with the name of their issuer, as clients get them and send them back unchanged.

A blob is valid only at its issuer: one provider with one credential. So a client gets ``sl1.<issuer>.<kind><data>``.
That needs no memory and survives a restart. It comes back from the client, so it decides nothing but whether the blob
is sent on. Where a client's dialect has no place for the text of the reasoning, the text goes before it:
``sl1.<issuer>.t<text>.<kind><data>``, in URL-safe base64. Where its calls have no place for a signature, that of a call
goes as ``sl1.<issuer>.c<data>`` into reasoning of its own, directly before the call.
"""

from __future__ import annotations

import base64
from typing import Final, Literal

from proxy.dialects.translation.conversation import Blob, Reasoning

PREFIX: Final = "sl1."
_OF_CALL: Final = "c"
_LETTERS: Final = {"signature": "s", "redacted": "r", "encrypted": "e"}
_KINDS: Final[dict[str, Literal["signature", "redacted", "encrypted"]]] = {
    "s": "signature",
    "r": "redacted",
    "e": "encrypted",
}


def pack(blob: Blob | None, issuer: str, text: str = "") -> str:
    """What the client gets; ``issuer`` is that of an answer without a translation. ``text``: of the reasoning."""
    own = "" if blob is None else _LETTERS[blob.kind] + blob.data
    if text:
        encoded = base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")
        own = f"t{encoded}.{own}"
    return f"{PREFIX}{(blob.issuer if blob is not None else '') or issuer}.{own}"


def unpack(value: str, kind: Literal["signature", "redacted", "encrypted"] = "signature") -> Reasoning:
    """The blob, and the text if there is one, of what a client sent back. Any other value is a blob of ``kind``."""
    if not value.startswith(PREFIX):
        return Reasoning(blob=Blob(value, kind) if value else None)
    issuer, _, own = value.removeprefix(PREFIX).partition(".")
    text = ""
    if own.startswith("t"):
        encoded, _, own = own[1:].partition(".")
        try:
            decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            text = decoded.decode("utf-8", "surrogatepass")
        except ValueError:  # the client changed it
            text = ""
    found = _KINDS.get(own[:1])
    return Reasoning(text=text, blob=Blob(own[1:], found, issuer) if found is not None else None)


def pack_call(blob: Blob, issuer: str) -> str:
    """What the client gets of a call's signature, in place of the signature of reasoning without text."""
    return f"{PREFIX}{blob.issuer or issuer}.{_OF_CALL}{blob.data}"


def unpack_call(value: str) -> Blob | None:
    """The signature of the call after it; ``None``: the value is no such signature."""
    if not value.startswith(PREFIX):
        return None
    issuer, _, own = value.removeprefix(PREFIX).partition(".")
    return Blob(own[1:], "signature", issuer) if own.startswith(_OF_CALL) else None
