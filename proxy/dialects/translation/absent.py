"""Content that a request has only the address of, where the provider takes the content itself.

An encoder notes what it lacks, and why. Whoever can fetch it fills the conversation, and encodes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from proxy.dialects.translation.conversation import Audio, ContentSource, Conversation, Document, Image, ToolResult
from proxy.errors import Untranslatable

# ``file``: a PDF or a text.
ContentKind: TypeAlias = Literal["image", "file", "audio"]
MediaPart: TypeAlias = Image | Document | Audio


class WantedContent(Struct, frozen=True):
    """Content at an address. ``address`` is as the client wrote it, which may be no URL."""

    kind: ContentKind
    address: str


class AbsentContent(Struct, frozen=True):
    """What one encoding lacks. ``name``: the client's member. ``reason``: a sentence on why the address will not do."""

    wanted: WantedContent
    name: str
    reason: str

    def refusal(self, why: str) -> Untranslatable:
        """The error if the content cannot be fetched; ``why`` is a sentence."""
        return Untranslatable(self.name, f"{self.reason} {why}")


class ContentAbsent(Untranslatable):
    """The request can be translated once its content is there."""

    def __init__(self, absent: Sequence[AbsentContent]) -> None:
        """``absent``: all that the encoding lacks, at least one."""
        super().__init__(absent[0].name, absent[0].reason)
        self.absent = absent


def wanted_of(part: MediaPart) -> WantedContent | None:
    """What a part has only the address of; ``None``: it has the content, or the id of a file."""
    if part.source.url is None:
        return None
    kind: ContentKind = "file" if isinstance(part, Document) else "image" if isinstance(part, Image) else "audio"
    return WantedContent(kind, part.source.url)


def fill(conversation: Conversation, contents: Mapping[WantedContent, ContentSource | str]) -> None:
    """Put content in place of its addresses. A string is no content."""
    for part in _media(conversation):
        wanted = wanted_of(part)
        found = None if wanted is None else contents.get(wanted)
        if isinstance(found, ContentSource):
            part.source = found
            if isinstance(part, Audio):
                part.format = found.media_type.partition("/")[2]


def _media(conversation: Conversation) -> Iterator[MediaPart]:
    for message in conversation.messages:
        for part in message.content:
            if isinstance(part, ToolResult):
                yield from (each for each in part.content if isinstance(each, MediaPart))
            elif isinstance(part, MediaPart):
                yield part
