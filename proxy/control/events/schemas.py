"""Request bodies and queries of the routes of events."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from proxy.errors import ClientFault

MOST_NAMED: Final = 1000  # dead events, by their numbers
MOST_LETTERS: Final = 500  # dead letters, by their ids

_AFTER: Final = re.compile(r"(\d{1,12}(?:\.\d{1,20})?)_(\d{1,18})")

ReceiverName = Annotated[str, Meta(max_length=400)]


class DeadEventParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``after``: that of the previous page. ``receiver``: the name of one."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    after: Annotated[str, Meta(max_length=60)] = ""
    receiver: ReceiverName = ""


class DeadEventSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """Either ``seqs``, the numbers of dead events, or ``all`` of them; with ``receiver`` only those of this one."""

    seqs: Annotated[list[Annotated[int, Meta(ge=1, le=2**63 - 1)]], Meta(max_length=MOST_NAMED)] = []
    all: bool = False
    receiver: ReceiverName = ""


class DeadLetterParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``limit``: so many of the first are shown."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class DeadLetterSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """Either ``ids`` of messages, or ``all`` of them."""

    ids: Annotated[list[Annotated[str, Meta(max_length=400)]], Meta(max_length=MOST_LETTERS)] = []
    all: bool = False


def read_after(text: str) -> tuple[float, int] | None:
    """Where the previous page ended: when the last one died, and its number. Raises ClientFault (400)."""
    if not text:
        return None
    found = _AFTER.fullmatch(text)
    if found is None:
        raise ClientFault("after: not the after of a page.", param="after", code="invalid_value")
    return float(found[1]), int(found[2])


def after_of(dead_at: float, seq: int) -> str:
    """The ``after`` of a page that ends with this dead event."""
    return f"{dead_at!r}_{seq}"
