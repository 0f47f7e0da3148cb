"""The key of a request: two requests that may differ in their answer never share one.

Pure. It is a SHA-256 over everything that the answer depends on, each part with its length before it, so that no two
lists of parts are the same bytes. Members of the body count as they came, sorted by name: nothing is encoded again.
SHA-256, as a client must not be able to find a request with the key of another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from msgspec import Raw, Struct, structs

from proxy.caches import Memo
from proxy.dialects.call import Call
from proxy.wire.attribution import HEADERS as ATTRIBUTION

# Headers of the gateway that change no answer. All its other ones do: criteria, and what may come.
_NEUTRAL: Final = frozenset(
    (
        *(str(name).encode() for name in ATTRIBUTION),
        b"x-router-cache",
        b"x-router-cache-tags",
        b"x-router-decision",
        b"x-router-metadata",
        b"x-router-stream-recovery",
    )
)
_PREFIXES: Final = (b"x-router-", b"openai-", b"anthropic-")


class Asked(Struct, frozen=True):
    """What an answer depends on beside the body and the headers.

    ``scope``: who may share the answer. ``access``: models and providers that the client may use; ``""``: all.
    ``version``: of the configuration that chooses who answers. ``provider``: the only one that may answer, if the path
    names it. ``query``: of the request, as it came.
    """

    version: str
    scope: str
    access: str
    path: str
    provider: str
    query: str


class Countings(Memo[bytes, bytes]):
    """The lower-case name of a header that counts for the key, by its spelling; ``b""`` for all others.

    ``more``: names in lower case, of headers that some provider gets as the client sent them.
    """

    def __init__(self, more: Iterable[bytes] = ()) -> None:
        super().__init__()
        self._more = frozenset(more)

    def compute(self, key: bytes) -> bytes:
        lower = key.lower()
        counts = lower in self._more or (lower.startswith(_PREFIXES) and lower not in _NEUTRAL)
        return lower if counts else b""

    def is_cacheable(self, key: bytes) -> bool:
        return len(key) <= 64


def counted(headers: Sequence[tuple[bytes, bytes]], countings: Countings) -> list[bytes]:
    """The lines of the headers that count, in a fixed order: of one name they stay as they came."""
    find = countings.__getitem__
    lines = [(name, value) for each, value in headers if (name := find(each))]
    if not lines:
        return []
    lines.sort(key=_name)
    return [part for line in lines for part in line]


def prefix_of(asked: Asked) -> bytes:
    """The first part of a key. It is the same for many requests."""
    texts = [text.encode("utf-8", "surrogatepass") for text in structs.astuple(asked)]
    return b"%b;%b" % (",".join([str(len(text)) for text in texts]).encode(), b"".join(texts))


def request_key(prefix: bytes, call: Call, headers: Sequence[bytes] = ()) -> bytes:
    """The key of a request, 32 bytes. ``headers``: those of ``counted``."""
    members = call.members
    if members.pairs is None:
        values = members.values
        names = sorted(values)
        raws = [values[name] for name in names]
    else:  # of members with one name parsers choose differently, so all count, as they came
        pairs = sorted(members.pairs, key=_member)
        names, raws = [name for name, _ in pairs], [raw for _, raw in pairs]
    return _digest(prefix, "stream" if call.stream else "plain", call, headers, names, raws)


def input_key(prefix: bytes, call: Call, headers: Sequence[bytes], name: str, value: Raw) -> bytes:
    """The key of one input of a call for embeddings. ``name``: the member that has all of them."""
    values = call.members.values
    names = sorted(values)
    raws = [value if each == name else values[each] for each in names]
    return _digest(prefix, "input", call, headers, names, raws)


def _digest(
    prefix: bytes, kind: str, call: Call, headers: Sequence[bytes], names: Sequence[str], raws: Sequence[Raw]
) -> bytes:
    """Values are JSON, which has no NUL, so one between them is enough. Everything else goes by its length."""
    model = (call.model or "").encode("utf-8", "surrogatepass")
    named = "\0".join(names).encode("utf-8", "surrogatepass")
    sizes = f"{kind},{len(model)},{len(names)},{len(named)}"
    if headers:
        sizes += f",{list(map(len, headers))}"
    if named.count(0) != len(names) - 1:  # within a name
        sizes += f";{list(map(len, names))}"
    return sha256(b"".join((prefix, sizes.encode(), b":", model, named, *headers, b"\0".join(raws)))).digest()


def _name(line: tuple[bytes, bytes]) -> bytes:
    return line[0]


def _member(pair: tuple[str, Raw]) -> str:
    return pair[0]
