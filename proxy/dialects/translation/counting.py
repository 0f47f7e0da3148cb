"""Counts of tokens, as answers that have nothing but the usage of their input.

So a count is translated like any other call: the request by the decoders and encoders of conversations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from proxy.dialects.translation.base import AnswerDecoder, EncodingTarget, RequestEncoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.parts import AnswerFailed, AnswerPart, UsagePart
from proxy.dialects.translation.tool_names import ToolNames
from proxy.dialects.usage import Usage
from proxy.wire import document


class CountRequestEncoder(RequestEncoder):
    """Makes bodies with only those members that the provider counts. The others are no loss: they cost no input."""

    __slots__ = ("_counted", "_requests")

    def __init__(self, requests: RequestEncoder, counted: frozenset[str]) -> None:
        self._requests = requests
        self._counted = counted

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        members = self._requests.encode(conversation, target, losses, names)
        return {name: value for name, value in members.items() if name in self._counted}


class CountDecoder(AnswerDecoder):
    """Reads a whole answer, whose ``member`` is the count."""

    __slots__ = ()

    member: ClassVar[str] = "input_tokens"

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        return ()  # the relay refuses event streams here

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        answer, _ = document.read(body)
        count = answer.get(self.member) if isinstance(answer, dict) else None
        if type(count) is not int or count < 0:
            return (AnswerFailed(f"The provider's answer has no count of tokens in {self.member!r}."),)
        return (UsagePart(Usage(input=count)),)


def count_of(parts: Iterable[AnswerPart]) -> int:
    """The count in the parts of ``CountDecoder``."""
    (count,) = (part.usage.input for part in parts if isinstance(part, UsagePart))
    assert count is not None
    return count
