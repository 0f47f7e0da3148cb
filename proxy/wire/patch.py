"""Reading and changing top-level members of a JSON object without touching the rest.

A body is neither decoded nor encoded: msgspec checks its syntax in one pass and reports the length of each
member's value. A change is a list of segments: new bytes between slices of the old body.
https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

# Far more than any request has. The cost is about 250 bytes and 1 us per member, and 30 ns per escape in a name.
MAX_MEMBERS: Final = 10_000
MAX_NAMES: Final = 256 * 1024  # characters of all names together

# A smaller body cannot hold so many members that they must be counted while decoding.
_SMALL: Final = 64 * 1024
_PIECE: Final = 64 * 1024

Edit = tuple[int, int, bytes]  # begin and end in the body, and the bytes that replace what is between

_QUOTE: Final = 0x22
_COLON: Final = 0x3A
_BACKSLASH: Final = 0x5C
_SPACE: Final = 0x20
# Possessive: backtracking would otherwise keep 120 bytes for each escape of a string.
_string: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"').match
_space: Final = re.compile(rb"[ \t\n\r]*").match


class NotJSON(ValueError):
    """The body is not JSON: syntax, UTF-8, half a surrogate pair, or nesting. The message quotes nothing of it."""


class NotAnObject(ValueError):
    """The body is JSON, but not an object."""


class TooManyMembers(Exception):
    """The object has more than MAX_MEMBERS members, or names longer than MAX_NAMES; the message says which.

    Not a ValueError: msgspec would wrap it, and the reference cycle would keep the body until the next collection.
    """


class DuplicateMember(ValueError):
    """A member that the gateway reads occurs more than once: parsers would disagree on its value."""

    def __init__(self, name: str) -> None:
        super().__init__(f"more than one member {name!r}")
        self.name = name


class _Name:
    """The custom key type of ``_Pairs``, for which msgspec calls ``dec_hook``: see ``_Key``."""

    __slots__ = ()
    name: str


class _Key(_Name, msgspec.Struct, eq=False, gc=False):
    """A member's name that equals no other, so that a dict keeps duplicates apart and in order.

    The decoder calls it with the wanted type and the name. A struct has just these fields, and is created without a
    Python call: 3,200 instructions less for a body of five members.
    """

    wanted: type
    name: str


_Pairs = dict[_Name, msgspec.Raw]
_decode: Final = msgspec.json.Decoder(_Pairs, dec_hook=_Key).decode
_validate: Final = msgspec.json.Decoder(msgspec.Raw).decode
_encode: Final = msgspec.json.Encoder().encode


def parse(body: bytes, watched: frozenset[str] = frozenset(), *, is_text: bool = False) -> Members:
    """Parse the object in ``body``, which is not copied and must not change.

    ``is_text``: it is known to be UTF-8 (``check_text``). Escaped names are unescaped. Duplicates are refused only
    among ``watched`` names. Raises NotJSON, NotAnObject, TooManyMembers, DuplicateMember.
    """
    if not (is_text or body.isascii()):
        for _ in check_text(body):
            pass
    try:
        pairs = _decode(body) if len(body) < _SMALL else _decode_bounded(body)
    except msgspec.ValidationError as exc:
        _validate_other(body)
        raise NotAnObject(str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise NotJSON(_reason(exc)) from None
    values = {}
    for key, raw in pairs.items():  # a comprehension would cost one more call
        values[key.name] = raw
    if len(values) == len(pairs):
        return Members(body, values)
    _refuse_duplicates(pairs, watched)
    return Members(body, values, [(key.name, raw) for key, raw in pairs.items()])


class Members(msgspec.Struct, eq=False, gc=False):
    """The members of one body. Of unwatched duplicates the last one counts, as for most parsers.

    ``values`` has their exact bytes by name. ``pairs`` are all members in order if a name occurs more than once,
    else ``None``.
    """

    body: bytes
    values: dict[str, msgspec.Raw]
    pairs: list[tuple[str, msgspec.Raw]] | None = None
    _spans: list[tuple[str, int, int, int]] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def raw(self, name: str) -> bytes | None:
        """The exact bytes of the value; ``None``: there is no such member."""
        value = self.values.get(name)
        return None if value is None else bytes(value)

    def first_byte(self, name: str) -> bytes | None:
        """The first byte of the value, which gives its type, without a copy of the rest."""
        value = self.values.get(name)
        return None if value is None else bytes(memoryview(value)[:1])

    def beginning(self, name: str, length: int) -> bytes:
        """At most ``length`` bytes of the value, without a copy of the rest; ``b""`` if there is no such member."""
        value = self.values.get(name)
        return b"" if value is None else bytes(memoryview(value)[:length])

    def size(self, name: str) -> int:
        """The size of the value in bytes; 0: there is no such member."""
        value = self.values.get(name)
        return 0 if value is None else len(value)

    def span(self, name: str) -> tuple[int, int]:
        """Begin and end of the value of an existing member in the body, for values too large to copy."""
        *_, found = [(value, end) for key, _, value, end in self._spans or self._walk() if key == name]
        return found

    def splice(self, changes: Mapping[str, bytes | None], edits: Sequence[Edit] = ()) -> list[bytes | memoryview]:
        """The body as segments, with new values (JSON bytes) for the members named in ``changes``.

        New members are appended; a change of ``None`` removes the member and one comma. ``edits`` replace bytes within
        the values of other members. All other bytes stay, as views of the body.
        """
        if len(changes) == 1 and self.pairs is None and not edits:
            (name, new), *_ = changes.items()
            if new is not None and name in self.values:
                return self._replaced(name, new)
        spans = self._located()
        cuts: list[Edit] = []
        kept = False
        for index, (name, begin, value, end) in enumerate(spans):
            if name not in changes:
                kept = True
                continue
            new = changes[name]
            if new is not None:
                cuts.append((value, end, new))
                kept = True
            elif kept:
                cuts.append((spans[index - 1][3], end, b""))
            else:
                cuts.append((begin, spans[index + 1][1] if index + 1 < len(spans) else end, b""))
        added = [
            b"%b:%b" % (_encode(name), new)
            for name, new in changes.items()
            if new is not None and name not in self.values
        ]
        if added:
            at = spans[-1][3] if spans else self.body.index(b"{") + 1
            cuts.append((at, at, (b"," if kept else b"") + b",".join(added)))
        return self._cut(sorted((*cuts, *edits), key=_begin) if edits else cuts)

    def _replaced(self, name: str, new: bytes) -> list[bytes | memoryview]:
        """The usual change: a new value for one existing member; later members need not be located."""
        view = memoryview(self.body)
        for found, _, value, end in self._spans or self._walk():
            if found == name:
                return [view[:value], new, view[end:]]
        raise KeyError(name)

    def _cut(self, cuts: list[Edit]) -> list[bytes | memoryview]:
        if not cuts:
            return [self.body]
        view = memoryview(self.body)
        segments: list[bytes | memoryview] = []
        done = 0
        for begin, end, new in cuts:
            if begin > done:
                segments.append(view[done:begin])
            if new:
                segments.append(new)
            done = end
        segments.append(view[done:])  # at least the closing brace
        return segments

    def _located(self) -> list[tuple[str, int, int, int]]:
        """The result of ``_walk``, computed once per body."""
        spans = self._spans
        if spans is None:
            spans = self._spans = list(self._walk())
        return spans

    def _walk(self) -> Iterator[tuple[str, int, int, int]]:
        """For each member in order: its name, where its key begins, where its value begins and ends.

        The syntax was checked and the length of every value is known, so only the few bytes between the values are
        read.
        """
        body = self.body
        end = body.index(b"{")
        for name, raw in self.values.items() if self.pairs is None else self.pairs:
            begin = end + 1
            if body[begin] != _QUOTE:  # else only one comma or brace is between
                begin = body.index(b'"', begin)
            value = begin + len(name) + 2
            # A quote at that place ends the key, unless the key holds escapes, or text outside ASCII.
            if body[value - 1] != _QUOTE or body[value - 2] == _BACKSLASH:
                value = _end_of_string(body, begin)
            if body[value] != _COLON:
                value = body.index(b":", value)
            value += 1
            if body[value] <= _SPACE:
                value += 1
                if body[value] <= _SPACE:
                    value = _end_of_space(body, value)
            end = value + len(raw)
            yield name, begin, value, end


def _begin(edit: Edit) -> int:
    return edit[0]


def size(segments: Iterable[bytes | memoryview]) -> int:
    """Total size of the segments in bytes."""
    return sum(map(len, segments))


def check_text(body: bytes) -> Iterator[None]:
    """Raise NotJSON if ``body`` is not UTF-8. Yields between pieces, so that the caller can let the loop run.

    msgspec does not check strings that it skips, so this is a separate pass.
    """
    if body.isascii():
        return
    view = memoryview(body)
    done = 0
    try:
        # In pieces: decoding a whole 50 MB body would take twice the time, for new memory pages.
        while done < len(body):
            end = done + _PIECE
            done += codecs.utf_8_decode(view[done:end], "strict", end >= len(body))[1]
            yield
    except UnicodeDecodeError:
        raise NotJSON("invalid UTF-8") from None


def _decode_bounded(body: bytes) -> _Pairs:
    """Like ``_decode``, but stops at the limits instead of using many times the memory of the body."""
    return msgspec.json.Decoder(_Pairs, dec_hook=_counting()).decode(body)


def _counting() -> Callable[[type, str], _Key]:
    count = characters = 0

    def key(wanted: type, name: str) -> _Key:
        nonlocal count, characters
        count += 1
        characters += len(name)
        if count > MAX_MEMBERS:
            raise TooManyMembers(f"more than {MAX_MEMBERS:,} members")
        if characters > MAX_NAMES:
            raise TooManyMembers(f"member names of more than {MAX_NAMES // 1024} KB")
        return _Key(wanted, name)

    return key


def _validate_other(body: bytes) -> None:
    """Raise NotJSON if a body that does not begin with an object is not JSON.

    The first pass stopped at the first byte, so this is the only full pass.
    """
    try:
        _validate(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise NotJSON(_reason(exc)) from None


def _refuse_duplicates(pairs: _Pairs, watched: frozenset[str]) -> None:
    seen = set()
    for key in pairs:
        if key.name in watched:
            if key.name in seen:
                raise DuplicateMember(key.name)
            seen.add(key.name)


def _reason(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    if isinstance(exc, UnicodeDecodeError):
        return "invalid UTF-8"
    return str(exc).removeprefix("JSON is malformed: ")


def _end_of_string(body: bytes, begin: int) -> int:
    found = _string(body, begin)
    assert found is not None  # the syntax has been checked
    return found.end()


def _end_of_space(body: bytes, begin: int) -> int:
    found = _space(body, begin)
    assert found is not None  # it matches no space too
    return found.end()
