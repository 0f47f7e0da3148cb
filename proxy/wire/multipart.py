"""Finding one text field of a multipart/form-data body while the body is streamed.

https://www.rfc-editor.org/rfc/rfc7578 (form-data) and
https://www.rfc-editor.org/rfc/rfc2046#section-5.1 (multipart).
"""

from __future__ import annotations

import logging
import re
from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of each malformed request

# RFC 2046, section 5.1.1: 1 to 70 of these, not ending with a space.
_boundary: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]").fullmatch

# One parameter of a header value. Unquoted values may have more than RFC 9110's token: clients send
# boundaries with "=" and "/" unquoted.
_parameter: Final = re.compile(
    rb"""[ \t]*;[ \t]*
    (?:
        ([!#$%&'*+\-.^_`|~0-9A-Za-z]+)
        [ \t]*=[ \t]*
        (?: "((?:[^"\\]|\\.)*)" | ([^\s";]+) )
        [ \t]*
    )?
    """,
    re.DOTALL | re.VERBOSE,
).match
# Parsers disagree on where a quoted string ends, so names are also searched for within them.
_names: Final = re.compile(rb"(?<![\w-])name[ \t]*(?:\*\d*\*?)?[ \t]*=", re.IGNORECASE).findall
# Characters that some parsers strip or decode in a name: email.utils <>, others ' and %, Commons FileUpload =?...?=
_is_decoded: Final = re.compile(rb"""[<>'"\\%?]""").search
_quoted_pair: Final = re.compile(rb"\\(.)", re.DOTALL)

MAX_PARTS: Final = 1000  # each takes about 15 us
_MAX_HEADERS: Final = 8  # of one part
_MAX_HEADER: Final = 4096  # bytes of one header line


class BadMultipart(ValueError):
    """The body is not multipart/form-data, or the field's value is invalid. The message quotes nothing of it."""


class DuplicateField(ValueError):
    """The field occurs more than once: parsers would disagree on its value."""


def boundary_of(content_type: bytes | str) -> bytes | None:
    """The boundary in a Content-Type; ``None`` if that is not multipart/form-data with a usable one."""
    value = content_type if isinstance(content_type, bytes) else content_type.encode("latin-1", "replace")
    try:
        kind, parameters = _parse_header(value)
    except BadMultipart:
        return None
    # Parsers of RFC 2231 (``boundary*``, ``boundary*0``) would use another boundary, and find other parts.
    boundaries = [(name, value) for name, value in parameters if name.partition(b"*")[0] == b"boundary"]
    if kind != b"multipart/form-data" or len(boundaries) != 1:
        return None
    name, boundary = boundaries[0]
    return boundary if name == b"boundary" and _boundary(boundary) else None


class FieldScanner:
    """Scans a body for one text field. A part that only some parsers take for that field is refused.

    ``value`` and ``span``, the byte offsets of the value in the body, are ``None`` until the field is complete.
    ``ended``: the closing boundary was read; only blank lines may follow. ``preamble``: bytes before the first
    boundary.
    """

    def __init__(self, boundary: bytes, name: str = "model", max_value: int = 1024) -> None:
        self.value: str | None = None
        self.span: tuple[int, int] | None = None
        self.ended = False
        self.preamble = 0
        self._name = name.encode()
        self._max_value = max_value
        self._closing = b"\r\n--" + boundary + b"--"
        self._tail = b"\r\n"  # the last bytes that were fed: the closing boundary may begin in them
        self._begun = False
        self._parts = 0
        self._fed = 0  # bytes before the chunk that is being fed
        self._field = bytearray()  # name and value of the header that is being read
        self._text = bytearray()
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_end = 0  # offset of the line end after the last header
        self._found: bytearray | None = None  # the value so far, while its part is read
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER,
        )

    def feed(self, chunk: bytes) -> None:
        """Scan the next bytes of the body. Raises BadMultipart and DuplicateField; the scanner is unusable then."""
        if not self._begun:
            # After line ends the parser accepts any preamble, and how much of it depends on the chunks.
            preamble = len(chunk)
            chunk = chunk.lstrip(b"\r\n")
            self._fed += preamble - len(chunk)
            self.preamble = self._fed
            self._begun = bool(chunk)
        if not chunk:
            return
        rest = chunk if self.ended else b""
        try:
            self._parser.write(chunk)
        except MultipartParseError as exc:
            raise BadMultipart(f"not multipart/form-data at byte {self._fed + exc.offset}") from None
        self._fed += len(chunk)
        if not self.ended:
            size = len(self._closing)
            self._tail = chunk[-size:] if len(chunk) >= size else (self._tail + chunk)[-size:]
        elif not rest:
            rest = (self._tail + chunk).partition(self._closing)[2]
        if rest.strip(b" \t\r\n"):
            raise BadMultipart("data after the closing boundary")  # PHP would look for parts in it

    def _part_begin(self) -> None:
        self._headers.clear()
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadMultipart(f"more than {MAX_PARTS} parts")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]
        self._headers_end = self._fed + end

    def _header_end(self) -> None:
        self._headers.append((bytes(self._field).lower(), bytes(self._text)))
        self._field.clear()
        self._text.clear()

    def _headers_finished(self) -> None:
        dispositions = [value for name, value in self._headers if name == b"content-disposition"]
        if len(dispositions) != 1:
            raise BadMultipart("a part needs one Content-Disposition")
        if not _is_field(dispositions[0], self._name):
            return
        if self.span is not None:
            raise DuplicateField(f"more than one field {self._name.decode()!r}")
        for name, value in self._headers:
            # The offset of the value is computed from the last header's end, which an empty one does not report.
            if not value:
                raise BadMultipart("an empty header")
            if name == b"content-transfer-encoding" and value.strip().lower() not in (
                b"7bit",
                b"8bit",
                b"binary",
            ):
                raise BadMultipart("an encoded field")  # RFC 7578, section 4.7: deprecated
        self._found = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        # ``data`` may also be part of a supposed boundary, so ``start`` is not an offset in the chunk.
        if self._found is None:
            return
        self._found += data[start:end]
        if len(self._found) > self._max_value:
            raise BadMultipart(f"the field {self._name.decode()!r} is longer than {self._max_value} bytes")

    def _part_end(self) -> None:
        if self._found is None:
            return
        begin = self._headers_end + len(b"\r\n\r\n")
        try:
            self.value = self._found.decode()
        except UnicodeDecodeError:
            raise BadMultipart(f"the field {self._name.decode()!r} is not UTF-8") from None
        self.span = begin, begin + len(self._found)
        self._found = None

    def _end(self) -> None:
        self.ended = True


def _is_field(disposition: bytes, name: bytes) -> bool:
    kind, parameters = _parse_header(disposition)
    names = [value for parameter, value in parameters if parameter == b"name"]
    # Where parsers differ on the name (RFC 7578, section 4.2, forbids name*), guessing would be unsafe:
    # the provider could read another model than the one that was admitted.
    if kind != b"form-data" or len(names) != 1 or len(_names(disposition)) != 1 or _is_decoded(names[0]):
        raise BadMultipart("a part needs one plain name")
    # .NET ignores case, PHP strips spaces and reads ``name[]`` as the name.
    if names[0].partition(b"[")[0].strip().lower() != name:
        return False
    if names[0] != name:
        raise BadMultipart(f"a field that must be spelled {name.decode()!r}")
    # Go reads a part with an empty filename as a field, others as a file.
    if any(key.partition(b"*")[0] == b"filename" for key, _ in parameters):
        raise BadMultipart(f"the field {name.decode()!r} must not be a file")
    return True


def _parse_header(value: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """``type; name=value; name="value"``: the type and the names in lower case, the values unquoted."""
    kind, _, _ = value.partition(b";")
    parameters = []
    at = len(kind)
    while at < len(value):
        found = _parameter(value, at)
        if not found:
            raise BadMultipart("a malformed header")
        at = found.end()
        name, quoted, plain = found.groups()
        if name:
            parameters.append((name.lower(), plain if quoted is None else _quoted_pair.sub(rb"\1", quoted)))
    return kind.strip().lower(), parameters
