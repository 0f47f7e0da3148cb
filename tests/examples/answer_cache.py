"""An example of a hook: a cache of answers, in memory, for plain calls and for streams.

    hooks: [tests.examples.answer_cache:hook]

A call is answered from the cache if the same client sent the same body to the same endpoint before. Only whole
answers with status 200 are kept. A stream is played back event by event.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import NamedTuple

from proxy.dialects.call import Call
from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.hooks import HookReply, Outlet, OutletWrapper

MOST_ANSWERS = 1000
LARGEST = 1024 * 1024  # bytes of an answer
_content_type = re.compile(rb"^content-type: *([^\r\n]*)", re.IGNORECASE | re.MULTILINE).search


class Kept(NamedTuple):
    content_type: str
    body: bytes


class AnswerCache:
    """The hook. Least recently used answers are dropped first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Kept] = OrderedDict()
        self._missed: dict[Exchange, bytes] = {}  # between on_request and on_response

    async def on_request(self, exchange: Exchange, call: Call) -> Call | HookReply:
        key = _key(exchange, call)
        found = self._answers.get(key)
        if found is None:
            self._missed[exchange] = key
            return call
        self._answers.move_to_end(key)
        body = _events(found.body) if call.stream else found.body
        return HookReply(body, content_type=found.content_type)

    def on_response(self, exchange: Exchange, outlet: Outlet) -> Outlet:
        key = self._missed.pop(exchange, None)
        return outlet if key is None else Recorder(outlet, self, key)

    def keep(self, key: bytes, answer: Kept) -> None:
        self._answers[key] = answer
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)


class Recorder(OutletWrapper):
    """Copies an answer on its way to the client, and keeps the copy once the answer is whole."""

    def __init__(self, outlet: Outlet, cache: AnswerCache, key: bytes) -> None:
        super().__init__(outlet)
        self._cache = cache
        self._key = key
        self._pieces: list[bytes] | None = None  # None: not to be kept
        self._size = 0
        self._type = ""

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self._start(status, header_lines, body)
        self._keep()
        super().send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self._start(status, header_lines, first)
        super().begin(status, header_lines, first, length=length)

    def write(self, data: bytes) -> None:
        self._copy(data)
        super().write(data)

    def end(self, last: bytes = b"") -> None:
        self._copy(last)
        self._keep()
        super().end(last)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self._pieces = None
        super().break_off(fault, last)

    def lose(self, fault: GatewayError) -> None:
        self._pieces = None
        super().lose(fault)

    def _start(self, status: int, header_lines: bytes, first: bytes) -> None:
        found = _content_type(header_lines)
        self._type = found[1].decode("latin-1") if found else ""
        self._pieces = [] if status == 200 else None
        self._copy(first)

    def _copy(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LARGEST:
            self._pieces = None
        if self._pieces is not None:
            self._pieces.append(data)

    def _keep(self) -> None:
        if self._pieces is not None:
            self._cache.keep(self._key, Kept(self._type, b"".join(self._pieces)))


def _key(exchange: Exchange, call: Call) -> bytes:
    client = exchange.caller.id if exchange.caller is not None else ""
    return sha256(f"{client}\n{exchange.endpoint.path}\n{call.stream}\n".encode() + call.body).digest()


async def _events(body: bytes) -> AsyncIterator[bytes]:
    """The events of a stream, one after the other. Providers end an event with LF LF or CR LF CR LF."""
    for event in re.findall(rb".*?(?:\r\n\r\n|\n\n)|.+", body, re.DOTALL):
        yield event


hook = AnswerCache()
