"""What is wrong with a section whose fields are valid one by one."""

from __future__ import annotations

from msgspec import Struct


class Complaint(Struct, frozen=True):
    """What is wrong with ``key`` (``""``: the section itself).

    ``reads`` are the keys that the check depends on. If one of them has a mistake, the complaint is dropped.
    """

    key: str
    text: str
    reads: tuple[str, ...] = ()
