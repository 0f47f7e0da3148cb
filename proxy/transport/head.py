"""An upstream response head, read once: what it is, how it is framed, and whether two readers would agree."""

from __future__ import annotations

from proxy.errors import BrokenAnswer

Header = tuple[bytes, bytes]

_READ = frozenset((b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"))


class Head:
    """``kind`` is the media type in lower case, ``coding`` the content coding (``""``: none), ``length`` the
    Content-Length or ``None``; ``framed`` tells that the body's end will be seen without the connection's."""

    __slots__ = ("coding", "framed", "headers", "kind", "length", "status")

    def __init__(self, status: int, headers: list[Header]) -> None:
        """Raises BrokenAnswer on heads that two readers could read differently.

        RFC 9112 6.1 and 6.3: a message with both lengths, or with a coding that is not plain ``chunked``,
        ought to be handled as an error by whoever forwards it.
        """
        self.status = status
        self.headers = headers
        self.kind = b""
        self.coding = ""
        self.length: int | None = None
        chunked = False
        for name, value in headers:
            name = name.lower()
            if name not in _READ:
                continue
            if name == b"content-type":
                self.kind = value.partition(b";")[0].strip().lower()
            elif name == b"content-length":
                if self.length is not None or not value.isdigit():
                    raise BrokenAnswer("The provider's answer has no single valid Content-Length.")
                self.length = int(value)
            elif name == b"content-encoding":
                coding = value.decode("latin-1").strip().lower()
                self.coding = "" if coding == "identity" else coding
            else:
                if chunked or value.strip().lower() != b"chunked":
                    raise BrokenAnswer("The provider's answer has a transfer coding that we do not read.")
                chunked = True
        if chunked and self.length is not None:
            raise BrokenAnswer("The provider's answer has both Content-Length and Transfer-Encoding.")
        self.framed = chunked or self.length is not None or status in (204, 304)

    def __repr__(self) -> str:
        return f"<Head {self.status} {self.kind.decode('latin-1')}>"
