"""What a route tells of itself in the API description: an Operation Object of OpenAPI 3.1 in the making."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, get_args

from msgspec import Struct

JSON = "application/json"
EVENTS = "text/event-stream"

Tag = Literal["health", "operator", "keys", "session"]


class Operation(Struct, frozen=True):
    """``answer`` is the type of the JSON with the ``status``; ``None``: of its ``media`` types nothing more is known.

    ``query``: a struct whose fields are the parameters. ``body``: the type of the JSON, of which ``example`` is one; it
    may be left out where it is ``optional``, and come as a form where there is one (``form``). ``answers`` are other
    statuses with JSON of these types, ``errors`` those with an error object beyond what follows from credential, path,
    query and body. ``events`` are the events of a stream by name.
    """

    tag: Tag
    summary: str
    answer: Any = None
    status: int = 200
    media: tuple[str, ...] = (JSON,)
    query: type[Struct] | None = None
    body: Any = None
    optional: bool = False
    example: Any = None
    form: bool = False
    answers: Mapping[int, Any] = {}
    errors: tuple[int, ...] = ()
    events: Mapping[str, Any] = {}
    notes: str = ""

    @property
    def types(self) -> list[Any]:
        """All that have to be described."""
        named = (self.answer, self.body, *self.answers.values(), *self.events.values())
        return [kind for each in named if each is not None for kind in one_of(each)]


def one_of(kind: Any) -> tuple[Any, ...]:
    """The members of a union, which JSON Schema can tell apart where a decoder cannot; any other type alone."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)
