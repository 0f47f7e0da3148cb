"""The bytes that the mock upstream sends and the load client expects, in one dialect: ``dialects`` has them all.

The message's content selects the behavior, as every proxy forwards it:
``bench|s|<events>|<interval in us>|`` requests a stream of text, ``bench|c|<events>|<interval in us>|`` one of a tool
call's arguments, ``bench|n|<number>|`` a JSON response with the number.

Every event carries a token of fixed width in its text::

    @<sequence> <sent> <held> <hash>;

``sequence`` counts from 1; ``sent`` is the monotonic clock in ns (hex), the same clock for all processes of a machine;
``held`` is the time in ns (hex) for which the upstream kept the request before this event, sent in the first event
only; ``hash`` is the CRC-32 (hex) of the token so far, continued from the token before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tests.bench.conversation import Conversation, conversation

MARK = b"bench|"
TOKEN_SIZE = 1 + 6 + 1 + 16 + 1 + 8 + 1 + 8 + 1
EVENT_SIZE = 305  # bytes of an event with text, in every dialect
RECEIVED = 987654321  # in ``answer``: where the size of the request's body is reported
DATA = b"data: "
Json: TypeAlias = dict[str, Any]


def frame(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def data_of(event: bytes) -> bytes:
    """The data of an event with one line of it."""
    _, _, data = event.partition(DATA)
    return data.strip()


class Events:
    """The events of a stream.

    These are ``before`` the first token, the tokens in ``event``, where ``?`` stands for each, and ``after`` the last.
    ``usage`` comes before the last event, where the request asks for it. ``end`` ends every event.

    ``read`` returns the text or the arguments that an event adds, and the finish reason; ``""`` for none. By it a
    stream is verified that a proxy has rewritten. ``filler`` follows each token, ``others`` is all other text, ``reason``
    the finish reason, and the last event has ``close``.
    """

    def __init__(
        self,
        event: bytes,
        after: Sequence[bytes],
        *,
        read: Callable[[Json], tuple[str, str]],
        close: bytes,
        before: Sequence[bytes] = (),
        usage: bytes = b"",
        end: bytes = b"\n\n",
    ) -> None:
        self.read = read
        self.close = close
        self.end = end
        self.before = b"".join(before)
        self.after = b"".join(after)
        self.terminal = after[-1]
        self.usage = usage
        self.prefix, self.suffix = event.split(b"?")
        self.token_at = len(self.prefix)
        self.token_end = self.token_at + TOKEN_SIZE
        self.size = self.token_end + len(self.suffix)
        self.filler = self._read(event)[0].removeprefix("?")
        around = [self._read(each) for each in (*before, *after)]
        self.others = "".join(text for text, _ in around)
        self.reason = "".join(reason for _, reason in around)

        # As the upstream writes it, with the framing.
        self.first = b"".join(map(frame, before))
        self.opening = b"%x\r\n" % self.size + self.prefix
        self.closing = self.suffix + b"\r\n"
        self.last = b"".join(map(frame, after)) + b"0\r\n\r\n"
        with_usage = (*after[:-1], usage, after[-1]) if usage else after
        self.last_with_usage = b"".join(map(frame, with_usage)) + b"0\r\n\r\n"

    def _read(self, event: bytes) -> tuple[str, str]:
        data = data_of(event)
        return self.read(json.loads(data)) if data.startswith(b"{") else ("", "")


class Traffic:
    """Requests, streams and answers of one dialect.

    ``path`` is a template of the path for clients, with places for ``model`` and ``method``; ``methods`` are those of a
    plain answer and of a stream. ``served`` is a part of every path that only this dialect has.
    ``body`` makes the members of a request from a model, a conversation, and whether the answer is a stream.

    ``text`` and ``calls`` are the streams with text and with the arguments of a call, ``None`` where calls come whole.
    In ``answer``, ``?`` stands for the number and RECEIVED for the size of the request's body.
    """

    def __init__(
        self,
        name: str,
        *,
        path: str,
        served: bytes,
        body: Callable[[str, Conversation, bool], Mapping[str, Any]],
        client_lines: Sequence[str],
        provider_lines: bytes,
        text: Events,
        answer: bytes,
        calls: Events | None = None,
        methods: tuple[str, str] = ("", ""),
    ) -> None:
        self.name = name
        self.path = path
        self.served = served
        self.text = text
        self.calls = calls
        self._body = body
        self._methods = methods
        self._client_lines = client_lines
        self._answer = answer.replace(b"%d" % RECEIVED, b"?").split(b"?")
        self.stream_head = (
            b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 12:00:00 GMT\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n%b\r\n"
        ) % provider_lines  # fmt: skip
        self.answer_head = (
            b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
            b"%bContent-Length: %%d\r\n\r\n"
        ) % provider_lines

    def __repr__(self) -> str:
        return f"<Traffic {self.name}>"

    def events(self, *, calls: bool = False) -> Events:
        if not calls:
            return self.text
        if self.calls is None:
            raise ValueError(f"calls of {self.name} are not streamed")
        return self.calls

    def answer(self, number: bytes, received: int) -> bytes:
        """The body of a plain answer; ``received`` is the size of the request's body."""
        begin, middle, end = self._answer
        return b"%b%b%b%d%b" % (begin, number, middle, received, end)

    def stream_request(
        self,
        path: str,
        model: str,
        events: int,
        interval: float,
        *,
        calls: bool = False,
        number: int = 0,
        size: int = 0,
    ) -> bytes:
        """``path`` is a template as above; ``interval`` in seconds. ``number`` and ``size`` as of ``plain_request``."""
        content = f"bench|{'c' if calls else 's'}|{events}|{round(interval * 1e6)}| Please count{f' {number}' * bool(number)}."
        return self._request(path, model, conversation(content, size, tools=int(calls)), True)

    def plain_request(self, path: str, model: str, number: int, size: int = 0) -> bytes:
        """``size``: about so many bytes of the body, with tools and earlier turns; 0: one message."""
        return self._request(path, model, conversation(f"bench|n|{number:08d}| Please count.", size), False)

    def head(self, path: str, length: int) -> bytes:
        """The head of a request as the client sends it."""
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Accept: application/json",
            "Content-Type: application/json",
            *self._client_lines,
            f"Content-Length: {length}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def body(self, model: str, said: Conversation, *, stream: bool) -> bytes:
        return json.dumps(self._body(model, said, stream)).encode()

    def _request(self, path: str, model: str, said: Conversation, stream: bool) -> bytes:
        body = self.body(model, said, stream=stream)
        return self.head(path.format(model=model, method=self._methods[stream]), len(body)) + body
