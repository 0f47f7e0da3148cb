"""Patches of top-level members: those that a provider calls otherwise, and those that it refuses."""

from __future__ import annotations

from collections.abc import Callable

from proxy.dialects.patches.base import BodyChange, Steps, at_once
from proxy.wire.patch import Members


def renamed(old: str, new: str) -> Callable[[Members], Steps]:
    """``Patch.find`` for a member that the provider calls ``new``. Where a body has both, ``new`` counts."""

    def find(members: Members) -> BodyChange | None:
        value = members.raw(old)
        if value is None:
            return None
        return BodyChange({old: None} if value == b"null" or new in members else {old: None, new: value})

    return at_once(find)


def left_out(name: str) -> Callable[[Members], Steps]:
    """``Patch.find`` for a member that the provider refuses."""
    change = BodyChange({name: None})
    return at_once(lambda members: change if name in members else None)
