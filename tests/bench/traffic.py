"""The bytes that the mock upstream sends and the load client expects, in one dialect: ``dialects`` has them all.

The message's content selects the behavior, as every proxy forwards it:
``bench|s|<events>|<interval in us>|`` requests a stream, ``bench|n|<number>|`` a JSON response with the number.

Every event carries a token of fixed width in its text::

    @<sequence> <sent> <held> <hash>;

``sequence`` counts from 1; ``sent`` is the monotonic clock in ns (hex), the same clock for all processes of a machine;
``held`` is the time in ns (hex) for which the upstream kept the request before this event, sent in the first event
only; ``hash`` is the CRC-32 (hex) of the token so far, continued from the token before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MARK = b"bench|"
TOKEN_SIZE = 1 + 6 + 1 + 16 + 1 + 8 + 1 + 8 + 1
EVENT_SIZE = 305  # bytes of an event, in every dialect
RECEIVED = 987654321  # in ``answer``: where the size of the request's body is reported


def frame(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(body), body)


class Traffic:
    """Requests, streams and answers of one dialect.

    ``path`` is a template of the path for clients, with places for ``model`` and ``method``; ``methods`` are those of a
    plain answer and of a stream. ``served`` is a part of every path that only this dialect has.
    ``body`` makes the members of a request from a model, the message's content, and whether the answer is a stream.

    A stream is ``before`` the first token, the tokens in ``event``, where ``?`` stands for each, and ``after`` the last.
    ``usage`` comes before the last event, where the request asks for it. In ``answer``, ``?`` stands for the number and
    RECEIVED for the size of the request's body. ``end`` ends every event.
    """

    def __init__(
        self,
        name: str,
        *,
        path: str,
        served: bytes,
        body: Callable[[str, str, bool], Mapping[str, Any]],
        client_lines: Sequence[str],
        provider_lines: bytes,
        event: bytes,
        after: Sequence[bytes],
        answer: bytes,
        before: Sequence[bytes] = (),
        usage: bytes = b"",
        methods: tuple[str, str] = ("", ""),
        end: bytes = b"\n\n",
    ) -> None:
        self.name = name
        self.path = path
        self.served = served
        self.end = end
        self.before = b"".join(before)
        self.after = b"".join(after)
        self.terminal = after[-1]
        self.usage = usage
        self.prefix, self.suffix = event.split(b"?")
        self.token_at = len(self.prefix)
        self.token_end = self.token_at + TOKEN_SIZE
        assert self.token_end + len(self.suffix) == EVENT_SIZE, f"{name}: {self.token_end + len(self.suffix)}"
        self._body = body
        self._methods = methods
        self._client_lines = client_lines
        self._answer = answer.replace(b"%d" % RECEIVED, b"?").split(b"?")

        # As the upstream writes it, with the framing.
        self.stream_head = (
            b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 12:00:00 GMT\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n%b\r\n"
        ) % provider_lines + b"".join(map(frame, before))  # fmt: skip
        self.answer_head = (
            b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
            b"%bContent-Length: %%d\r\n\r\n"
        ) % provider_lines
        self.opening = b"%x\r\n" % EVENT_SIZE + self.prefix
        self.closing = self.suffix + b"\r\n"
        self.last = b"".join(map(frame, after)) + b"0\r\n\r\n"
        with_usage = (*after[:-1], usage, after[-1]) if usage else after
        self.last_with_usage = b"".join(map(frame, with_usage)) + b"0\r\n\r\n"

    def __repr__(self) -> str:
        return f"<Traffic {self.name}>"

    def answer(self, number: bytes, received: int) -> bytes:
        """The body of a plain answer; ``received`` is the size of the request's body."""
        begin, middle, end = self._answer
        return b"%b%b%b%d%b" % (begin, number, middle, received, end)

    def stream_request(self, path: str, model: str, events: int, interval: float) -> bytes:
        """``path`` is a template as above; ``interval`` in seconds."""
        return self._request(path, model, f"bench|s|{events}|{round(interval * 1e6)}| Please count.", True)

    def plain_request(self, path: str, model: str, number: int) -> bytes:
        return self._request(path, model, f"bench|n|{number:08d}| Please count.", False)

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

    def _request(self, path: str, model: str, content: str, stream: bool) -> bytes:
        body = json.dumps(self._body(model, content, stream)).encode()
        return self.head(path.format(model=model, method=self._methods[stream]), len(body)) + body
