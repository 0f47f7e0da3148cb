"""What checks have found out about an address, for the page and the admin API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

MOST_CHANGES: Final = 20


class HealthChange(Struct, frozen=True):
    """The health of an address changed at ``at`` (Unix seconds). ``healthy`` ``None``: not known any more."""

    at: float
    healthy: bool | None
    why: str = ""


class AddressHealth(Struct, frozen=True):
    """The health of an address now.

    ``healthy``: ``None`` before the first result. ``checked_at``: the last check, in Unix seconds; ``None``: there was
    none. ``seconds`` it took, of one by this process. ``why`` it failed, ``""``: it passed. ``here``: this process made
    it; else another replica. ``changes``: newest first.
    """

    url: str
    healthy: bool | None
    checked_at: float | None
    seconds: float | None
    why: str
    here: bool
    changes: Sequence[HealthChange]


class HealthHistory:
    """The last ``MOST_CHANGES`` changes of an address. Most have one or two, so it is small."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: tuple[HealthChange, ...] = ()

    def add(self, change: HealthChange) -> None:
        self._changes = (*self._changes[1 - MOST_CHANGES :], change)

    @property
    def since(self) -> float | None:
        """Of the present state, in Unix seconds; ``None``: nothing is known yet."""
        return self._changes[-1].at if self._changes else None

    def latest(self) -> list[HealthChange]:
        """Newest first."""
        return list(reversed(self._changes))
