"""Running a patch on a body."""

from __future__ import annotations

from proxy.dialects.patches.base import Patch, change_of
from proxy.dialects.patches.table import PATCHES
from proxy.wire.patch import parse


def patch(path: str, name: str) -> Patch:
    (found,) = (each for each in PATCHES[path] if each.name == name)
    return found


def applied(path: str, name: str, body: bytes) -> bytes:
    """The body after the patch; the same object if there is nothing to change."""
    members = parse(body)
    change = change_of(patch(path, name), members)
    return body if change is None else b"".join(members.splice(change.members, change.edits))
