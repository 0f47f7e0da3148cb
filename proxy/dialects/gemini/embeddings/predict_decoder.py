"""Answers of ``predict`` with embeddings, decoded. Each vector has the tokens of its text.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.base import AnswerInfo
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.translation.embeddings import EmbeddingAnswer, Vector
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer


class TextStatistics(Struct, gc=False):
    """Of one text. The number of its tokens may be written as a float."""

    token_count: float | None = None


class PredictedCount(Struct, gc=False):
    """An embedding without its vector."""

    statistics: TextStatistics | None = None


class PredictedEmbedding(Struct, gc=False):
    values: Vector
    statistics: TextStatistics | None = None


class CountPrediction(Struct, gc=False):
    embeddings: PredictedCount


class EmbeddingPrediction(Struct, gc=False):
    embeddings: PredictedEmbedding


class CountPredictions(Struct, gc=False):
    """A whole answer, as far as ``PredictReader`` needs it."""

    predictions: list[CountPrediction]


class EmbeddingPredictions(Struct, gc=False):
    predictions: list[EmbeddingPrediction]


_decode: Final = msgspec.json.Decoder(EmbeddingPredictions).decode
_decode_counts: Final = msgspec.json.Decoder(CountPredictions).decode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PredictReader(GeminiReader):
    """Reads whole answers."""

    __slots__ = ()

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        info = GeminiReader.read_answer(body)
        try:
            usage = _usage(each.embeddings.statistics for each in _decode_counts(body).predictions)
        except _UNREADABLE:
            usage = None
        return AnswerInfo(info.model, usage, info.strict)


def decode_predictions(body: bytes) -> EmbeddingAnswer:
    """Raises BrokenAnswer for anything but vectors."""
    try:
        found = [prediction.embeddings for prediction in _decode(body).predictions]
    except _UNREADABLE:
        raise BrokenAnswer("The provider's answer has no embeddings.") from None
    return EmbeddingAnswer([each.values for each in found], _usage(each.statistics for each in found))


def _usage(found: Iterable[TextStatistics | None]) -> Usage | None:
    """The tokens of all texts; ``None`` if those of one are not reported."""
    total = 0.0
    for each in found:
        if each is None or each.token_count is None:
            return None
        total += each.token_count
    return Usage(int(total))
