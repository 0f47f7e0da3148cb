"""Reasoning on its way into the signature of the part after it, see ``signatures.py``."""

from __future__ import annotations

from io import StringIO
from typing import Final

from proxy.dialects.gemini import signatures
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob

MOST_CARRIED: Final = 256 * 1024  # characters of thoughts in one signature


class CarriedReasoning:
    """Collects the reasoning of one answer.

    ``waits``: there is some for the next part. What is signed goes with any part. What is not goes with calls only:
    providers that want such reasoning back want it beside calls.
    """

    __slots__ = ("_blob", "_issuer", "_text", "waits")

    def __init__(self, context: AnswerContext) -> None:
        self._issuer = context.issuer
        self._text = StringIO()
        self._blob: Blob | None = None
        self.waits = False

    def add_text(self, text: str) -> str:
        """More thoughts. Returns the signature for a part of its own that must be sent now; ``""`` for none."""
        full = self._blob is not None or self._text.tell() >= MOST_CARRIED
        before = self.take(for_call=True) if full else ""
        self._text.write(text)
        self.waits = True
        return before

    def add_blob(self, blob: Blob) -> str:
        """What ends the thoughts, or stands beside them. Returns the same as ``add_text``."""
        is_next = self._blob is not None or (blob.kind == "redacted" and self._text.tell() > 0)
        before = self.take(for_call=True) if is_next else ""
        self._blob = blob
        self.waits = True
        return before

    def take(self, *, for_call: bool = False) -> str:
        """The signature for the part that comes next; ``""`` for none. Nothing waits after it."""
        if not self.waits:
            return ""
        blob, text = self._blob, self._text.getvalue()
        self._blob, self.waits = None, False
        self._text = StringIO()
        return signatures.of_reasoning(blob, text, self._issuer) if blob is not None or for_call else ""

    def take_for_call(self, blob: Blob | None) -> tuple[str, str]:
        """The signature for a part before a call, and that of the call. ``blob``: the call's own signature."""
        waiting = self.take(for_call=True)
        return ("", waiting) if blob is None else (waiting, signatures.of_call(blob, self._issuer))
