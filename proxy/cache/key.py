"""The key of a request: two requests that may differ in their answer never share one.

Pure. It is a SHA-256 over everything that the answer depends on, each part with its length before it, so that no two
lists of parts are the same bytes. Members of the body count as they came, sorted by name: nothing is encoded again.
It is SHA-256, so that no client can make a request with the key of another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Final

from msgspec import Raw, Struct, structs

from proxy.cache.eligible import Check
from proxy.cache.embedding_forms import EmbeddingForm
from proxy.caches import Memo
from proxy.wire.attribution import HEADERS as ATTRIBUTION

# Headers of the gateway that change no answer. All others may: criteria, and headers of later versions.
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
# Every provider gets these, and its answer may depend on them. SDKs send the lines of ``_USUAL`` by default.
_FORM: Final = frozenset((b"accept", b"accept-language", b"content-language"))
_USUAL: Final = frozenset(((b"accept", b"*/*"), (b"accept", b"application/json"), (b"accept-language", b"*")))


class KeyContext(Struct, frozen=True):
    """What an answer depends on beside the body and the headers.

    ``scope``: who may share the answer. ``access``: models and providers that the client may use; ``""``: all.
    ``version``: of the configuration that chooses who answers. ``provider``: the only one that may answer, if the path
    names it. ``model``: of the path or of a hook, if not of the body. ``query``: as providers get it. ``form``:
    plain, or a stream.
    """

    version: str
    scope: str
    access: str
    path: str
    provider: str
    model: str
    query: str
    form: str


class CountedHeaders(Memo[bytes, bytes]):
    """The lower-case name of a header that counts for the key, by its spelling; ``b""`` for all others.

    ``more``: names in lower case, of headers that some provider gets as the client sent them.
    """

    def __init__(self, more: Iterable[bytes] = ()) -> None:
        super().__init__()
        self._more = frozenset(more)

    def compute(self, key: bytes) -> bytes:
        lower = key.lower()
        counts = lower in self._more or lower in _FORM or (lower.startswith(_PREFIXES) and lower not in _NEUTRAL)
        return lower if counts else b""

    def is_cacheable(self, key: bytes) -> bool:
        return len(key) <= 64


def counted(headers: Sequence[tuple[bytes, bytes]], counted_headers: CountedHeaders) -> list[bytes]:
    """The lines of the headers that count, sorted by name. Lines of one name keep their order."""
    find = counted_headers.__getitem__
    lines = [(name, value) for each, value in headers if (name := find(each)) and (name, value) not in _USUAL]
    if not lines:
        return []
    lines.sort(key=_name)
    return [part for line in lines for part in line]


def prefix_of(context: KeyContext) -> bytes:
    """The first part of a key. It is the same for many requests."""
    texts = [text.encode("utf-8", "surrogatepass") for text in structs.astuple(context)]
    return b"%b;%b" % (",".join([str(len(text)) for text in texts]).encode(), b"".join(texts))


class Shape:
    """What requests with the same names of members have in common.

    ``prefix``: what their keys begin with. ``check``: decides whether they are cached (``eligible``); ``None``: they
    are. ``embeds``: the form of a call for embeddings that are cached by input; ``None``: another call.
    """

    __slots__ = ("_head", "_in_order", "_names", "check", "embeds")

    def __init__(
        self, prefix: bytes, names: Sequence[str], check: Check | None = None, embeds: EmbeddingForm | None = None
    ) -> None:
        self.check = check
        self.embeds = embeds
        self._names = sorted(names)
        self._in_order = itemgetter(*self._names) if len(names) > 1 else None
        self._head = sha256(prefix + _named(self._names)).digest()  # shorter, as it is hashed for each request

    def key(self, values: Mapping[str, Raw], headers: Sequence[bytes] = ()) -> bytes:
        """The key of a request, 32 bytes. ``headers``: those of ``counted``.

        Values are JSON, which has no NUL, so one between them is enough.
        """
        in_order = self._in_order
        raws = [values[name] for name in self._names] if in_order is None else in_order(values)
        head = self._head
        if headers:
            head += b"".join((f"{list(map(len, headers))}".encode(), *headers))
        return sha256(head + b"\0".join(raws)).digest()

    def input_keys(
        self, values: Mapping[str, Raw], headers: Sequence[bytes], name: str, inputs: Sequence[Raw]
    ) -> list[bytes]:
        """The keys of the inputs of a call for embeddings. ``name``: the member that has all of them.

        The rest of the call, which may be large, is hashed once.
        """
        lines = (b"input", *headers)  # an odd number, so that no whole request has such a key
        rest = b"\0".join([values[each] for each in self._names if each != name])
        common = sha256(b"".join((self._head, f"{list(map(len, lines))}".encode(), *lines, rest, b"\0")))
        keys = []
        for each in inputs:
            one = common.copy()
            one.update(each)
            keys.append(one.digest())
        return keys


def pairs_key(prefix: bytes, pairs: Sequence[tuple[str, Raw]], headers: Sequence[bytes] = ()) -> bytes:
    """The key of a body with several members of one name: all count as they came, as parsers choose differently."""
    ordered = sorted(pairs, key=_first)
    head = b"pairs" + prefix + _named([name for name, _ in ordered])
    sizes = f"{list(map(len, headers))}".encode()
    return sha256(b"".join((head, sizes, *headers, b"\0".join([raw for _, raw in ordered])))).digest()


def _named(names: Sequence[str]) -> bytes:
    texts = [name.encode("utf-8", "surrogatepass") for name in names]
    return b"%b:%b" % (",".join([str(len(text)) for text in texts]).encode(), b"".join(texts))


def _name(line: tuple[bytes, bytes]) -> bytes:
    return line[0]


def _first(pair: tuple[str, Raw]) -> str:
    return pair[0]
