"""The faces of a translation."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.dialects.translation.base import AnswerDecoder
from proxy.dialects.translation.parts import AnswerPart, TextDelta


class OneWord(AnswerDecoder):
    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        return (TextDelta(block.decode()),)

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        return self.decode(body)


def test_a_decoder_without_a_fast_path_claims_nothing() -> None:
    assert OneWord().plain(b"word") is None
    assert OneWord().end() == ()
