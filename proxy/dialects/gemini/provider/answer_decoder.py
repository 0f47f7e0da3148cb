"""Answers of the Gemini API, from Google's API and from Vertex AI, as neutral parts.

Source: https://ai.google.dev/api/generate-content#GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from proxy.dialects.gemini.provider.answer_calls import GeminiCalls
from proxy.dialects.gemini.provider.answer_finish import GeminiFinish
from proxy.dialects.gemini.provider.answer_sources import GeminiSources
from proxy.dialects.gemini.provider.chunk_schema import decode_plain
from proxy.dialects.gemini.schema import UsageMetadata, decode_usage
from proxy.dialects.gemini.usage import find_wire, usage_of
from proxy.dialects.json_events import read_payload
from proxy.dialects.translation.answer_members import list_at, object_at, objects_at, text_at
from proxy.dialects.translation.base import OneChoiceDecoder
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallStart,
    CitationPart,
    Dropped,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.wire import document
from proxy.wire.sse import CR, LF

# Members of parts and of candidates that no other dialect has.
_KNOWN_IN_PART: Final = frozenset({"text", "thought", "thoughtSignature", "functionCall"})
_OF_TEXT: Final = (CitationPart, LogprobsPart)
_LOST: Final = ("safetyRatings", "urlContextMetadata", "continuationToken")


class GeminiAnswerDecoder(OneChoiceDecoder):
    """Reads the first candidate of an answer.

    Sources, usage and finish reason are parts of ``end``: a stream has the usage in every event, and some gateways
    have a finish reason in each.
    """

    __slots__ = ("_calls", "_finish", "_plain", "_raw_usage", "_sources", "_started", "_usage")

    choices: ClassVar[str] = "candidates"

    def __init__(self) -> None:
        self._started = False
        self._plain = False  # whether the next event may be
        self._calls = GeminiCalls()
        self._finish = GeminiFinish()
        self._sources = GeminiSources()
        self._usage: UsageMetadata | None = None
        self._raw_usage: msgspec.Raw | None = None  # of the last plain event, not decoded yet

    # Comparisons as in GeminiReader.plain.
    def plain(self, block: bytes) -> AnswerPart | None:
        if block[-4:] == b"\r\n\r\n":
            data = block[6:-4]
        elif block[-2:] == b"\n\n":
            data = block[6:-2]
        else:
            return None
        if block[:6] != b"data: " or not self._plain or LF in data or CR in data:
            return None
        try:
            chunk = decode_plain(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        candidates = chunk.candidates
        if len(candidates) != 1:
            return None
        candidate = candidates[0]
        parts = candidate.content.parts
        if candidate.finish_reason or candidate.index or len(parts) != 1:
            return None
        part = parts[0]
        text = part.text
        if not text:
            return None
        if chunk.usage_metadata:
            self._raw_usage = chunk.usage_metadata
        if part.thought:
            return ReasoningDelta(text, True)
        if not text.isascii():
            self._sources.ascii = False
        return TextDelta(text)

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        payload = read_payload(block, first=not self._started)
        if payload.kind is not None or not isinstance(payload.document, dict):
            return ()
        return list(self.read(payload.document))

    def end(self) -> Sequence[AnswerPart]:
        if not self._started:
            return ()
        found: list[AnswerPart] = [*self._calls.end(), *self._sources.parts()]
        self._note_raw_usage()
        usage = usage_of(self._usage) if self._usage is not None else None
        if usage is not None:
            found.append(UsagePart(usage))
        finish = self._finish.part(called=self._calls.any)
        if finish is not None:
            found.append(finish)
        return found

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        try:
            answer, _ = document.read(body)
        except ValueError:
            return ()
        chunks = answer if isinstance(answer, list) else [answer]  # a stream without SSE is an array of its events
        found = [part for chunk in chunks if isinstance(chunk, dict) for part in self.read(chunk)]
        return _with_text([*found, *self.end()])

    def read(self, event: JsonObject) -> Iterator[AnswerPart]:
        usage = find_wire(event)
        if usage is not None:
            self._usage, self._raw_usage = usage, None
        candidates = objects_at(event, "candidates")
        if not candidates and not self._finish.read_feedback(event):
            return
        if not self._started:
            self._started = True
            yield Start(text_at(event, "responseId"), text_at(event, "modelVersion"))
        for candidate in candidates:
            if candidate.get("index"):
                yield Dropped("candidates")
            else:
                yield from self._read_candidate(candidate)
        self._plain = not (self._finish.noted or self._calls.continues)

    def _read_candidate(self, candidate: JsonObject) -> Iterator[AnswerPart]:
        for part in objects_at(object_at(candidate, "content"), "parts"):
            yield from self._read_part(part)
        yield from _read_logprobs(object_at(candidate, "logprobsResult"))
        yield from self._sources.read(candidate)
        yield from (Dropped(name) for name in _LOST if candidate.get(name))
        failure = self._finish.read(candidate)
        if failure is not None:
            yield failure

    def _read_part(self, part: JsonObject) -> Iterator[AnswerPart]:
        text, signature = text_at(part, "text"), text_at(part, "thoughtSignature")
        if text:
            yield from self._calls.end()
            if part.get("thought") is True:
                yield ReasoningDelta(text, summary=True)
            else:
                self._sources.ascii = self._sources.ascii and text.isascii()
                yield TextDelta(text)
        call = part.get("functionCall")
        if isinstance(call, dict):
            yield from self._calls.read(call, signature)
        elif signature:
            yield ReasoningBlob(Blob(signature))
        yield from (Dropped(name) for name, value in part.items() if name not in _KNOWN_IN_PART and value)

    def _note_raw_usage(self) -> None:
        """Decode the usage of the last plain event. Vertex AI sends ones without counts until the last."""
        raw, self._raw_usage = self._raw_usage, None
        try:
            wire = decode_usage(raw) if raw is not None else None
        except msgspec.DecodeError:
            return
        if wire is not None and usage_of(wire) is not None:
            self._usage = wire


def _with_text(parts: list[AnswerPart]) -> list[AnswerPart]:
    """The parts of a whole answer. What belongs to its text comes before the calls after it, as those end the text."""
    last = max((at for at, part in enumerate(parts) if isinstance(part, TextDelta)), default=-1)
    if last < 0 or not any(isinstance(part, CallStart) for part in parts[last:]):
        return parts
    rest = parts[last + 1 :]
    moved = [part for part in rest if isinstance(part, _OF_TEXT)]
    return [*parts[: last + 1], *moved, *(part for part in rest if not isinstance(part, _OF_TEXT))]


def _read_logprobs(result: JsonObject) -> Iterator[LogprobsPart]:
    """The log probabilities as OpenAI has them."""
    alternatives = list_at(result, "topCandidates")
    tokens = []
    for at, chosen in enumerate(objects_at(result, "chosenCandidates")):
        others = objects_at(alternatives[at], "candidates") if _has(alternatives, at) else []
        tokens.append(_token(chosen) | {"top_logprobs": [_token(each) for each in others]})
    if tokens:
        yield LogprobsPart(tokens)


def _has(found: list[object], at: int) -> bool:
    return at < len(found) and isinstance(found[at], dict)


def _token(candidate: JsonObject) -> JsonObject:
    """A log probability of 0 is left out."""
    text, value = text_at(candidate, "token"), candidate.get("logProbability")
    logprob = value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "surrogatepass"))}
