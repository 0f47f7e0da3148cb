"""The call of one attempt in its provider's dialect, and the face of what makes the client's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.dialects.call import Call
    from proxy.dialects.translation.stream import StreamTranslation
    from proxy.routing.endpoints import Endpoint

MOST_DROPPED: Final = 64  # names of lost members that are kept


class AnswerTranslation(Protocol):
    """Translates one answer, whole or as a stream."""

    @property
    def dropped(self) -> Mapping[str, None]:
        """What was lost of it so far, as keys in order."""

    def whole(self, body: bytes) -> bytes:
        """The answer for the client, as events if it requested a stream.

        Raises UpstreamFault for one that cannot be translated.
        """

    def stream(self) -> StreamTranslation:
        """The translation of an event stream. Raises BrokenAnswer if the answer cannot be one."""


class TranslatedCall(Struct, eq=False):
    """A request in the dialect of the provider's ``endpoint``, and the translation of its answer.

    ``dropped``: what was lost of the request. ``header_lines``: what it needs beside the body. ``changes``: members
    that the kind of provider needs changed. ``choices``: how many answers it requests.
    """

    endpoint: Endpoint
    body: bytes
    answer: AnswerTranslation
    dropped: tuple[str, ...]
    header_lines: bytes = b""
    changes: Mapping[str, bytes | None] | None = None
    choices: int = 1

    @property
    def all_dropped(self) -> tuple[str, ...]:
        """What was lost so far of the request and the answer."""
        return tuple(dict.fromkeys((*self.dropped, *self.answer.dropped)))[:MOST_DROPPED]

    @property
    def call(self) -> Call:
        """The call as if a client had made it."""
        return self.endpoint.dialect.requests.read(self.body, checked=True)
