"""What the OpenAPI document says about a route: an Operation Object (OpenAPI 3.1) in the making."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Final, Literal, get_args

from msgspec import Struct

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

Tag = Literal["health", "operator", "services", "keys", "usage", "billing", "session"]


class Operation(Struct, frozen=True):
    """Types are structs, or unions of them. Errors that follow from the route need not be listed:
    those of its credential, path parameters, query and body.

    ``answer``: type of the JSON body with ``status``; ``None``: none is described. ``media``: all types of the body.
    ``query``: a struct whose fields are the parameters. ``headers``: schema and description of request headers by name.
    ``body``: type of the JSON request body, with an ``example``; may be absent (``optional``) or a form (``form``).
    ``answers``: JSON bodies of other statuses. ``errors``: further statuses with an error object.
    ``events``: events of a stream by name.
    """

    tag: Tag
    summary: str
    answer: Any = None
    status: int = 200
    media: tuple[str, ...] = (JSON,)
    query: type[Struct] | None = None
    headers: Mapping[str, tuple[dict[str, Any], str]] = {}
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
        """All types that need a schema."""
        named = (self.answer, self.body, *self.answers.values(), *self.events.values())
        return [kind for each in named if each is not None for kind in union_members(each)]


def union_members(kind: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)
