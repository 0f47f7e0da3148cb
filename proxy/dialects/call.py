"""One request to a model, in the terms that all dialects share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.wire.criteria import NONE, Criteria
from proxy.wire.patch import Members, parse

if TYPE_CHECKING:
    from proxy.dialects.patches.base import BodyChange, Patch
    from proxy.dialects.translation.absent import WantedContent
    from proxy.dialects.translation.conversation import ContentSource, Conversation
    from proxy.dialects.translation.embeddings import EmbeddingRequest

AUTO: Final = "auto"  # in place of a model's name: the gateway chooses

_EMPTY: Final = parse(b"{}")


class Call(Struct, eq=False, gc=False):
    """The members of a request body that the gateway acts on.

    ``model`` is the requested name as text for people: ``None`` where the client named none, a list joined by commas.
    ``names`` are the models to try in order; ``auto``: any other model may follow. ``verbatim``: ``model`` is absent
    from the body or one name; a list and ``auto`` must not reach a provider. ``criteria`` come from the members
    ``router_fields``, which are for the gateway only. ``choices`` is the number of finish reasons in a stream of the
    answer. ``stateless``: the provider is asked to store nothing. ``other_models`` is the member by which the provider
    may answer with another model, ``""`` if there is none. ``aliased``: an alias was named; the answer names it too.
    ``changes`` are those of patches, if they were found before the first attempt, as for a large body.
    ``neutral``: the body in neutral terms, once an attempt had to translate it. ``contents``: what was fetched for it,
    or the reason (a sentence) why that failed. ``added``: bytes of text that the gateway sends beside the body's.
    """

    body: bytes
    members: Members
    model: str | None
    names: tuple[str, ...]
    auto: bool
    verbatim: bool
    stream: bool
    router_fields: tuple[str, ...] = ()
    criteria: Criteria = NONE
    stateless: bool = False
    choices: int = 1
    wants_usage: bool = False
    other_models: str = ""
    aliased: bool = False
    changes: dict[Patch, BodyChange | None] | None = None
    neutral: Conversation | EmbeddingRequest | None = None
    contents: dict[WantedContent, ContentSource | str] | None = None
    added: int = 0

    def release(self) -> None:
        """Forget the body, not what was read of it."""
        self.body = b"{}"
        self.members = _EMPTY
        self.neutral = self.contents = None

    def use_model(self, name: str) -> None:
        """Take the model from elsewhere: the body's own name is ignored and replaced."""
        self.model, self.verbatim = name, False
        self.names, self.auto = ((), True) if name == AUTO else ((name,), False)

    def segments(self, changes: Mapping[str, bytes | None]) -> list[bytes | memoryview]:
        """The body with those members replaced (JSON bytes), added, or removed (``None``)."""
        return self.members.splice(changes)
