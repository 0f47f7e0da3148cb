"""A turn of the model as a client sends it back: texts, calls, and reasoning that is there up to twice.

The reasoning before a text or a call is within the signature of that part (see ``signatures.py``). A client that was
shown the thoughts may send these as well, and then the signature counts.
"""

from __future__ import annotations

from proxy.dialects.gemini import signatures
from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob, Part, Reasoning, Text


class AnswerTurn:
    """Collects the parts of one turn. The pieces of a text or of thoughts become one part."""

    __slots__ = ("_parts", "_texts", "_thoughts")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._texts: list[str] = []  # pieces of the last text
        self._thoughts: list[str] = []  # pieces of the last thoughts, before their signature

    def add_thought(self, text: str, signature: str) -> None:
        """A part that is a thought."""
        self._end_text()
        if text:
            self._thoughts.append(text)
        self.add_signature(signature)

    def add_signature(self, value: str, *, of_call: bool = False) -> Blob | None:
        """The signature of a part. Returns what is of the call itself, and adds any other reasoning."""
        packed = signatures.unpacked(value)
        if not packed:
            return None
        own = blobs.unpack_call(packed)
        if own is None and of_call and not packed.startswith(blobs.PREFIX):
            own = Blob(packed)
        if own is None:
            self._add_reasoning(blobs.unpack(packed))
        return own if of_call else None

    def add_text(self, text: str) -> None:
        self._end_thoughts()
        self._texts.append(text)

    def add(self, part: Part) -> None:
        self._end_thoughts()
        self._end_text()
        self._parts.append(part)

    def end(self) -> list[Part]:
        """The parts, when no more follow."""
        self._end_thoughts()
        self._end_text()
        return self._parts

    def _add_reasoning(self, found: Reasoning) -> None:
        self._end_text()
        if found.blob is not None and found.blob.kind == "redacted":
            self._end_thoughts()  # it stands beside them
            self._parts.append(found)
            return
        found.text = found.text or "".join(self._thoughts)
        self._thoughts.clear()
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Reasoning) and last.blob is None:  # the beginning of long thoughts
            last.text += found.text
            last.blob = found.blob
        elif found != Reasoning():
            self._parts.append(found)

    def _end_text(self) -> None:
        if self._texts:
            self._parts.append(Text("".join(self._texts)))
            self._texts.clear()

    def _end_thoughts(self) -> None:
        if self._thoughts:
            self._parts.append(Reasoning("".join(self._thoughts)))
            self._thoughts.clear()
