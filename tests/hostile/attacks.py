"""The attacks: bytes of requests, and the expected status of each."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

SIZE = 49 * 1024 * 1024  # of a body; the gateway's default bound is 50 MB
PIPELINED = 1500
CHAT = "/v1/chat/completions"
FORM = "/v1/audio/transcriptions"
PAGES = ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/admin", "/openapi.json", "/v1/models", "/nothing")
HELLO = b'{"model":"m","messages":[{"role":"user","content":"hi"}]'
ANY: frozenset[int] = frozenset()  # any status: the provider decides
REFUSED = frozenset((400, 401, 403, 413))  # 401 if the gateway requires a credential that is not set
ERROR = frozenset((400, 401, 404, 502))


Request = Callable[[bytes, bytes], bytes]


class Attack(NamedTuple):
    """``request`` makes all bytes that are sent, with these header lines and for this model.

    ``statuses``: of the answer; empty: any; ``None``: nothing is read of it.
    """

    item: str
    name: str
    request: Request
    statuses: frozenset[int] | None


def every(own_provider: bool) -> Iterator[Attack]:
    """All attacks; those that need a hostile provider only if we started it."""
    for page in PAGES:
        yield Attack("D31", f"{PIPELINED} pipelined GET {page}", _pipelined(page), None)
    for name, body, statuses in _bodies():
        yield Attack("D32", name, _post(CHAT, body), statuses)
    for name, body in _other_spellings():
        yield Attack("D33", name, _post(CHAT, body), REFUSED)
    yield Attack("D33", "model in the query", _post(f"{CHAT}?model=other", lambda: HELLO + b"}"), REFUSED)
    for name, kind, form in _forms():
        yield Attack("D33", name, _post(FORM, form, f"Content-Type: {kind}"), REFUSED)
    for name, coding, packed in _compressed():
        yield Attack("D34", name, _post(CHAT, packed, f"Content-Encoding: {coding}"), REFUSED)
    if own_provider:
        yield Attack("D34", "compressed answer of 200 MB", _post("/v1/audio/speech", _says(b"bomb")), None)
        yield Attack("D34", "error without an end", _post(CHAT, _asks(b"endless-error")), ERROR)
        yield Attack("D34", "error that quotes the key", _post(CHAT, _asks(b"key-in-error")), ERROR)
        yield Attack("D34", "header that quotes the key", _post(CHAT, _asks(b"key-in-header")), frozenset((200,)))


# -- requests -------------------------------------------------------------------------------------


def _pipelined(page: str) -> Request:
    return lambda lines, model: (b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (page.encode(), lines)) * PIPELINED


def _post(target: str, body: Callable[[], bytes], *more: str) -> Request:
    def request(lines: bytes, model: bytes) -> bytes:
        content = body().replace(b'"model":"m"', b'"model":"%b"' % model, 1)
        own = "".join(f"{line}\r\n" for line in more).encode()
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b%bContent-Length: %d\r\n\r\n"
        return head % (target.encode(), lines, own, len(content)) + content

    return request


def _asks(what: bytes) -> Callable[[], bytes]:
    return lambda: b'{"model":"%b","messages":[]}' % what


def _says(what: bytes) -> Callable[[], bytes]:
    return lambda: b'{"model":"%b","input":"hi","voice":"a"}' % what


# -- D32: bodies that are costly to read ----------------------------------------------------------


def _filled(begin: bytes, unit: bytes, end: bytes) -> Callable[[], bytes]:
    return lambda: begin + unit * ((SIZE - len(begin) - len(end)) // len(unit)) + end


def _numbered(begin: bytes, end: bytes) -> Callable[[], bytes]:
    """Millions of members, each of another name."""
    return lambda: begin + b",".join(b'"%x":1' % number for number in range(SIZE // 11)) + end


def _bodies() -> Iterator[tuple[str, Callable[[], bytes], frozenset[int]]]:
    yield "one long text", _filled(b'{"model":"m","messages":[{"role":"user","content":"', b"a", b'"}]}'), ANY
    yield (
        "text outside ASCII",
        _filled(b'{"model":"m","messages":[{"role":"user","content":"', "ü".encode(), b'"}]}'),
        ANY,
    )
    yield "prompt of numbers", _filled(b'{"model":"m","prompt":[1', b",1", b"]}"), ANY
    yield "prompt of texts", _filled(b'{"model":"m","prompt":["a"', b',"a"', b"]}"), ANY
    yield "prompt of arrays", _filled(b'{"model":"m","prompt":[[1]', b",[1]", b"]}"), ANY
    yield "input of texts", _filled(b'{"model":"m","input":["a"', b',"a"', b"]}"), ANY
    yield "messages", _filled(HELLO[:-1], b',{"role":"user","content":"a"}', b"]}"), ANY
    yield "many images", _filled(HELLO[:-1], b',{"url":"%b"}' % (b"A" * 4200), b"]}"), ANY
    yield "model of names", _filled(b'{"model":["a"', b',"a"', b"]}"), REFUSED
    yield "model of one name", _filled(b'{"model":"', b"\\n", b'"}'), REFUSED
    yield "tags", _filled(HELLO + b',"tags":["a"', b',"a"', b"]}"), REFUSED
    yield "stream_options", _filled(HELLO + b',"stream_options":{"a":1', b',"a":1', b"}}"), REFUSED
    yield "stream_options of many names", _numbered(HELLO + b',"stream_options":{', b"}}"), REFUSED
    yield "a name of escapes", _filled(HELLO + b',"', b"\\n", b'":1}'), REFUSED
    yield "many members", _numbered(HELLO + b",", b"}"), REFUSED
    yield "one member many times", _filled(HELLO + b',"x":1', b',"x":1', b"}"), REFUSED
    yield "metadata of numbers", _filled(HELLO + b',"metadata":[1', b",1", b"]}"), ANY
    yield "nesting without an end", _filled(HELLO + b',"x":', b"[", b""), REFUSED
    yield "deep nesting", _filled(HELLO + b',"x":[0', b"," + b"[" * 400 + b"]" * 400, b"]}"), REFUSED
    yield "space", _filled(HELLO, b" ", b"}"), ANY
    yield "an array", _filled(b"[1", b",1", b"]"), REFUSED


# -- D33: ways around a restricted key ------------------------------------------------------------


def _other_spellings() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for name in ("Model", "MODEL", "Stream", "\u017ftream"):
        body = json.dumps({"model": "m", "messages": [], name: "other"}).encode()
        yield f"member {name!a}", lambda body=body: body  # type: ignore[misc]


def _forms() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    kind = "multipart/form-data; boundary=limit"
    part = b'--limit\r\nContent-Disposition: form-data; name="model"%b\r\n\r\nm\r\n'
    yield "part with an empty file name", kind, lambda: part % b'; filename=""' + b"--limit--\r\n"
    yield "boundary* beside boundary", f"{kind}; boundary*=utf-8''other", lambda: part % b"" + b"--limit--\r\n"
    empty = b'--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    yield "form of many parts", kind, _filled(b"", empty, b"--limit--\r\n")


# -- D34: compressed bodies -----------------------------------------------------------------------


def _compressed() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    start = gzip.compress(b"")[:10]
    yield "gzip that decodes to nothing", "gzip", _filled(start, b"\x00\x00\x00\xff\xff", b"")
    yield "empty gzip members", "gzip", _filled(b"", gzip.compress(b""), b"")
    yield "gzip of 2 GB", "gzip", _bomb(31)
    yield "deflate of 2 GB", "deflate", _bomb(15)
    frame = bytes.fromhex("28b52ffd2000010000")  # RFC 8878 3.1.1: a frame of one empty block
    yield "empty zstd frames", "zstd", _filled(b"", frame, b"")
    block = bytes.fromhex("fbff07") + b" "  # 128 KB of one byte (3.1.1.2.2)
    yield "zstd of 1.6 TB", "zstd", _filled(bytes.fromhex("28b52ffd0058"), block, b"")


def _bomb(bits: int) -> Callable[[], bytes]:
    def body() -> bytes:
        packer = zlib.compressobj(9, wbits=bits)
        piece = bytes(16 * 1024 * 1024)
        return b"".join(packer.compress(piece) for _ in range(128)) + packer.flush()

    return body
