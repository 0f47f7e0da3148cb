"""The parts that a decoder makes of a stream, as the relay calls it."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.translation.base import AnswerDecoder
from proxy.dialects.translation.parts import AnswerPart
from proxy.wire.sse import Framer


def decoded(decoder: AnswerDecoder, reads: Iterable[bytes]) -> list[AnswerPart]:
    framer = Framer()
    found: list[AnswerPart] = []
    for read in reads:
        for block in framer.feed(read):
            part = decoder.plain(block)
            found += decoder.decode(block) if part is None else [part]
    return [*found, *decoder.end()]
