"""An upstream response head, read once: media type, framing, and the header lines for the client.

One pass does it all, so that a line costs one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy.errors import BrokenAnswer
from proxy.net import headers as policy
from proxy.net.headers import DROP, TO_CLIENT, USUAL_CONNECTION, Header, NameMemo, Verdict, Verdicts, joined

EVENT_STREAM: Final = b"Content-Type: text/event-stream; charset=utf-8\r\n"
_READ: Final = frozenset((b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"))


class Head(Struct, gc=False):
    """``kind`` is the media type in lower case, ``coding`` the content coding (``""``: none), ``length`` the
    Content-Length or ``None``. ``framed``: the body ends before the connection does. ``lines`` are the header lines for
    the client, as ``headers.to_client`` serializes them. ``suspect``: they may quote a credential, because it is an
    error, or because few providers send a header of that name. ``json_length``: the length of a body that is
    uncompressed JSON with status 200, as in most answers; 0 of any other.
    """

    status: int
    headers: list[Header]
    kind: bytes
    coding: str
    length: int | None
    framed: bool
    lines: bytes
    suspect: bool = False
    json_length: int = 0

    def change(self, of: Callable[[bytes], bytes]) -> None:
        """Replace each value by ``of(value)``."""
        self.headers = [(name, of(value)) for name, value in self.headers]
        self.lines = of(self.lines)

    def as_events(self) -> Head:
        """The same head for a body that turned out to be an event stream."""
        lines = EVENT_STREAM + policy.to_client(self.headers, without_type=True)
        return Head(self.status, self.headers, b"text/event-stream", self.coding, self.length, self.framed, lines)

    def __repr__(self) -> str:
        return f"<Head {self.status} {self.kind.decode('latin-1')}>"


# Headers that providers usually send. None of them quotes a credential, so their values are not searched.
_FAMILIAR: Final = frozenset(
    b"age cache-control connection content-disposition content-language date etag expires keep-alive last-modified"
    b" link pragma retry-after retry-after-ms server server-timing trailer vary via x-should-retry x-powered-by"
    b" openai-model openai-processing-ms openai-version request-id x-request-id x-cache x-response-time".split()
)
_SUSPECT: Final = b"?"  # instead of the name of a field whose value might be a credential


class HeadMarks(NameMemo[tuple[bytes | None, Verdict]]):
    """By name: the lower-case name of a field that is read here, or ``None``; and the verdict for the client.

    ``searched``: values of unfamiliar fields are searched for credentials.
    """

    def __init__(self, verdicts: Verdicts, *, searched: bool) -> None:
        super().__init__()
        self._verdicts = verdicts
        self._searched = searched

    def compute(self, key: bytes) -> tuple[bytes | None, Verdict]:
        lower, verdict = key.lower(), self._verdicts.compute(key)
        if lower in _READ:
            return lower, verdict
        harmless = verdict == DROP or lower in _FAMILIAR or not self._searched
        return None if harmless else _SUSPECT, verdict


class _Kinds(NameMemo[bytes]):
    """The media type of a Content-Type."""

    def compute(self, key: bytes) -> bytes:
        return key.partition(b";")[0].strip().lower()


# Results of pure functions, remembered.
_MARKS: Final = HeadMarks(TO_CLIENT, searched=True)
_kind_of: Final = _Kinds().__getitem__


def read_head(
    status: int,
    headers: list[Header],
    mark_of: Callable[[bytes], tuple[bytes | None, Verdict]] = _MARKS.__getitem__,
    slowly: Callable[[list[Header]], bytes] = policy.to_client,
) -> Head:
    """``mark_of`` and ``slowly``, where ``Connection`` names fields, decide on the lines for the client.

    Raises BrokenAnswer for heads that two readers could frame differently.
    RFC 9112 6.1 and 6.3: a proxy ought to treat a message with both lengths, or with a coding other than plain
    ``chunked``, as an error.
    """
    kind, coding = b"", ""
    length: int | None = None
    chunked = depends = False
    suspect = status >= 400
    lines: list[bytes] = []
    for name, value in headers:
        field, beginning = mark_of(name)
        if beginning:
            lines.append(beginning + value)
        elif beginning is None and value not in USUAL_CONNECTION:
            depends = True  # on other lines, which lines pass
        if field is None:
            continue
        if field == b"content-type":
            kind = _kind_of(value)
        elif field == b"content-length":
            if length is not None or not value.isdigit():
                raise BrokenAnswer("The provider's answer has no single valid Content-Length.")
            length = int(value)
        elif field == b"content-encoding":
            coding = value.decode("latin-1").strip().lower()
            if coding == "identity":
                coding = ""
        elif field == _SUSPECT:
            suspect = True
        else:
            if chunked or value.strip().lower() != b"chunked":
                raise BrokenAnswer("The provider's answer has a transfer coding that we do not read.")
            chunked = True
    if chunked and length is not None:
        raise BrokenAnswer("The provider's answer has both Content-Length and Transfer-Encoding.")
    framed = chunked or length is not None or status in (204, 304)
    block = slowly(headers) if depends else joined(lines)
    json_length = length if length and kind == b"application/json" and status == 200 and not coding else 0
    return Head(status, headers, kind, coding, length, framed, block, suspect, json_length)
