"""What a patch is, and how it is run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from proxy.config.patches import AnyPatchName
from proxy.wire.elements import Span, elements, members_at
from proxy.wire.patch import Edit, Members

if TYPE_CHECKING:
    from proxy.dialects.call import Call

EDITED: Final = frozenset({"messages", "input", "contents", "system", "tools"})  # members that patches edit within
BEGINNING: Final = 128  # bytes of a value in which a mark is searched
_beginning: Final = struct.Struct(f"{BEGINNING}s").unpack_from  # a memoryview would cost twice as much
_PIECE: Final = 1024 * 1024  # bytes that are searched in one step
_OFTEN: Final = 256  # elements that are looked at in one step


class BodyChange(Struct, frozen=True):
    """Changes of a body: ``members`` as for ``Members.splice``, and ``edits`` within the values of other members.

    ``by_issuer``: instead of both, for changes that depend on the issuers that the provider is (``issuers.py``).
    """

    members: Mapping[str, bytes | None] = {}
    edits: Sequence[Edit] = ()
    by_issuer: Callable[[Set[str]], BodyChange] | None = None


# Yields between steps that take at most milliseconds. Returns ``None`` if there is nothing to change.
Steps: TypeAlias = Generator[None, None, BodyChange | None]


class Patch(Struct, frozen=True, eq=False):
    """A named patch of one endpoint's bodies. ``find`` never raises: what it cannot read is left to the provider.

    ``member``: a body without it needs no change, nor one whose member has no ``mark`` in its first bytes.
    ``excludes``: the member that the provider refuses, which the gateway must not add either.
    """

    name: AnyPatchName
    member: str
    find: Callable[[Members], Steps]
    excludes: str = ""
    mark: bytes = b""

    def __repr__(self) -> str:
        return f"<Patch {self.name}>"


def at_once(find: Callable[[Members], BodyChange | None]) -> Callable[[Members], Steps]:
    """``Patch.find`` for a patch that needs no steps, as it looks at top-level members only."""

    def steps(members: Members) -> Steps:
        yield from ()
        return find(members)

    return steps


def change_of(patch: Patch, members: Members) -> BodyChange | None:
    """The change of a patch, all steps at once. For a body of usual size."""
    value = members.values.get(patch.member)
    if value is None:
        return None
    if patch.mark:  # a generator and its end would cost four times as much
        beginning = bytes(value) if len(value) < BEGINNING else _beginning(value)[0]
        if patch.mark not in beginning:
            return None
    steps = patch.find(members)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            change: BodyChange | None = end.value
            return change


def prepare(call: Call, patches: Iterable[Patch]) -> Iterator[None]:
    """Find the changes of a large body in steps, and keep them in the call for its attempts."""
    call.changes = found = {}
    for patch in patches:
        found[patch] = yield from patch.find(call.members)


def objects_with(members: Members, name: str, mark: bytes) -> Generator[None, None, list[tuple[Members, int]]]:
    """The objects of an array that contain ``mark``, each with its position in the body.

    ``name`` is the member that is the array.
    """
    if members.first_byte(name) != b"[":
        return []
    body, (begin, end) = members.body, members.span(name)
    if not (yield from contains(body, begin, end, mark)):
        return []  # the usual case
    spans = yield from elements(body, begin, end)
    found = []
    for number, span in enumerate(spans or ()):
        if number % _OFTEN == 0:
            yield
        if body.find(mark, *span) >= 0:
            element = members_at(body, span)
            if element is not None:
                found.append((element, span[0]))
    return found


def moved(span: Span, by: int) -> Span:
    """A span within an object as one in the body, where the object begins at ``by``."""
    return span[0] + by, span[1] + by


def contains(body: bytes, begin: int, end: int, mark: bytes) -> Generator[None, None, bool]:
    """Whether ``mark`` is in that part of a body."""
    for at in range(begin, end, _PIECE):
        if body.find(mark, at, min(at + _PIECE + len(mark), end)) >= 0:
            return True
        yield
    return False
