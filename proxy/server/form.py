"""Request bodies that stream through: multipart forms, and bodies that are relayed untouched.

A form is spooled (memory, then a temporary file) only until its model field has been read. From then on the client's
bytes go to the provider as they come, at the provider's pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile

from proxy.errors import ClientFault
from proxy.net.shortage import disk_failed
from proxy.server.body import BodyReader
from proxy.wire.multipart import BadMultipart, DuplicateField, FieldScanner, boundary_of

SPOOL_IN_MEMORY = 1024 * 1024
PIECE = 256 * 1024


class Form:
    """A multipart body. Call ``find_model`` first, then ``pieces`` once."""

    def __init__(self, reader: BodyReader, content_type: str) -> None:
        boundary = boundary_of(content_type)
        if boundary is None:
            raise ClientFault("This endpoint takes multipart/form-data with a boundary.", code="invalid_content_type")
        self._reader = reader
        self._boundary = boundary
        self._source = reader.pieces(hold=False)
        self._scanner = FieldScanner(boundary)
        self._spool = SpooledTemporaryFile(SPOOL_IN_MEMORY)  # noqa: SIM115  closed by close()
        self._spooled = 0

    async def find_model(self) -> str | None:
        """The field ``model``; ``None`` if the form has none. Reads no further than to the field.

        Raises ClientFault, and Overloaded if a temporary file cannot be written.
        """
        async for piece in self._source:
            self._scan(piece)
            with _disk():
                self._spool.write(piece)
            self._spooled += len(piece)
            if self._scanner.value is not None or self._scanner.ended:
                break
        if self._scanner.value is None and not self._scanner.ended:
            raise ClientFault("The multipart body is cut off.", code="invalid_multipart")
        return self._scanner.value

    def length(self, model: str | None) -> int | None:
        """The length of the form with ``model`` in its field (``None``: unchanged); ``None`` if unknown."""
        declared = self._reader.declared_plain
        if declared is None:
            return None
        start, end, value = self._change(model)
        return declared + len(value) - (end - start)

    async def pieces(self, model: str | None) -> AsyncIterator[bytes]:
        """The form with its model field replaced, or put first if there was none.

        Raises ClientFault if the rest of the form is invalid.
        """
        start, end, value = self._change(model)
        for piece in self._read_back(0, start):
            yield piece
        if value:
            yield value
        for piece in self._read_back(end, self._spooled):
            yield piece
        self.close()
        async for piece in self._source:
            self._scan(piece)
            yield piece
        if not self._scanner.ended:
            raise ClientFault("The multipart body is cut off.", code="invalid_multipart")

    def close(self) -> None:
        with suppress(OSError):  # of a flush that failed before
            self._spool.close()

    def _read_back(self, start: int, end: int) -> Iterator[bytes]:
        with _disk():
            self._spool.seek(start)
        while start < end:
            with _disk():
                piece = self._spool.read(min(PIECE, end - start))
            start += len(piece)
            yield piece

    def _change(self, model: str | None) -> tuple[int, int, bytes]:
        """Start and end offset of the bytes to replace, and the replacement."""
        if model is None:
            return 0, 0, b""
        if self._scanner.span is not None:
            return *self._scanner.span, model.encode()
        part = b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % (self._boundary, model.encode())
        return 0, self._scanner.preamble, part

    def _scan(self, piece: bytes) -> None:
        try:
            self._scanner.feed(piece)
        except DuplicateField:
            raise ClientFault("The form has more than one 'model'.", param="model", code="duplicate_member") from None
        except BadMultipart as exc:
            raise ClientFault(f"The multipart body is malformed: {exc}.", code="invalid_multipart") from None


@contextmanager
def _disk() -> Iterator[None]:
    """Raises Overloaded for an error of the temporary file."""
    try:
        yield
    except OSError as error:
        raise disk_failed(error, "a temporary file for a form") from error


async def chunked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces in the chunked coding (RFC 9112 7.1), for bodies of unknown length."""
    async for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


async def slices(body: Sequence[bytes | memoryview]) -> AsyncIterator[memoryview]:
    """A large body in portions. Over a fast line one call would copy all of it to the kernel, for tens of ms."""
    for segment in body:
        view = memoryview(segment)
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]
            await asyncio.sleep(0)
