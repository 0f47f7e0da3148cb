"""Recorded answers on their way to a client of another dialect, as the relay translates them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.dialects.base import EventKind, Reader
from proxy.dialects.translation.base import AnswerContext, AnswerDecoder, EncodeAnswer, StreamEncoder
from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.conversation import Conversation, ThinkingSettings
from proxy.dialects.translation.gathered import GatheredAnswer, Gathering
from proxy.dialects.translation.parts import AnswerPart, Dropped
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import ErrorInStream, GatewayError, StreamTruncated
from proxy.wire.sse import Framer

PREFIX: Final = "call_"

_SOURCES: Final = {
    "messages": "anthropic.messages",
    "chat": "openai.chat",
    "responses": "openai.responses",
    "gemini": "gemini.generate",
}
# Gemini's clients have to ask for thoughts.
_SHOWN: Final = ThinkingSettings(shown="summary")


@dataclass(frozen=True)
class Translated:
    """``dropped``: what the client is told of. ``fault``: why the stream ended early."""

    body: bytes
    dropped: tuple[str, ...]
    fault: GatewayError | None = None


@dataclass(frozen=True)
class Provider:
    """Reads the answers of a dialect."""

    decoder: type[AnswerDecoder]
    reader: type[Reader]


@dataclass(frozen=True)
class Client:
    """Gets answers in a dialect."""

    name: str
    encoder: type[StreamEncoder]
    encode_answer: EncodeAnswer

    def __str__(self) -> str:
        return self.name

    @property
    def context(self) -> AnswerContext:
        thinking = _SHOWN if self.name == "gemini" else ThinkingSettings()
        request = Conversation(_SOURCES[self.name], [], wants_usage=True, thinking=thinking)
        return AnswerContext(request, "answer1", 1_700_000_000, input_tokens=7)


def begun(provider: Provider, client: Client, context: AnswerContext | None = None) -> StreamTranslation:
    """The translation of a stream, before the first block."""
    encoder = client.encoder(context or client.context)
    return StreamTranslation(provider.decoder(), encoder, CallParts(ToolNames(), PREFIX, sequential=encoder.sequential))


def translate_stream(provider: Provider, client: Client, chunks: Iterable[bytes], *, plain: bool = True) -> Translated:
    """The client's stream of a provider's network chunks. Without ``plain`` nothing takes the hot path."""
    translation, reader, framer = begun(provider, client), provider.reader(), Framer()
    found: list[bytes] = []
    for block in (block for chunk in chunks for block in framer.feed(chunk)):
        events = translation.plain(block) if plain and reader.plain(block) else None
        if events is None and reader.read(block) in (EventKind.ERROR, EventKind.UNFRAMED_ERROR):
            return _failed(translation, found, ErrorInStream("The provider reported an error."))
        found.append(translation.translate(block) if events is None else events)
    if not (reader.complete or reader.open_ended):
        return _failed(translation, found, StreamTruncated("The provider's answer is incomplete."))
    found.append(translation.finish())
    return Translated(b"".join(found), tuple(translation.dropped))


def decoded(provider: Provider, body: bytes, *, streamed: bool) -> GatheredAnswer:
    """The neutral parts of an answer."""
    decoder, calls, gathering = provider.decoder(), CallParts(ToolNames(), PREFIX, sequential=False), Gathering()
    blocks = Framer().feed(body) if streamed else ()
    parts = [part for block in blocks for part in decoder.decode(block)] if streamed else decoder.whole(body)
    for part in (*parts, *decoder.end()):
        for each in calls.pass_on(part):
            gathering.add(each)
    for each in calls.end():
        gathering.add(each)
    return gathering.end()


def translate_answer(provider: Provider, client: Client, body: bytes) -> Translated:
    """The client's answer of a provider's whole one."""
    calls = CallParts(ToolNames(), PREFIX, sequential=client.encoder.sequential)
    parts: list[AnswerPart] = []
    dropped: dict[str, None] = {}
    for part in provider.decoder().whole(body):
        if isinstance(part, Dropped):
            dropped[part.name] = None
        else:
            parts += calls.pass_on(part)
    parts += calls.end()
    return Translated(client.encode_answer(client.context, parts), tuple(dropped))


def _failed(translation: StreamTranslation, found: list[bytes], fault: GatewayError) -> Translated:
    return Translated(b"".join((*found, translation.failed(fault))), tuple(translation.dropped), fault)
