"""Answers whose body is empty, or that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.client.head import Head
    from proxy.server.reply import Reply

_NOT_MODIFIED: Final = 304


def send_without_body(reply: Reply, head: Head, lines: bytes, trailers: bytes) -> None:
    """Send the whole answer. To HEAD, and with 304, it may tell a length all the same (RFC 9110 8.6)."""
    if reply.head_only or trailers:
        reply.begin(head.status, lines, length=None if trailers else head.length)
        reply.end(b"", trailers)
    elif head.status == _NOT_MODIFIED and head.length is not None:
        reply.send(head.status, lines + b"Content-Length: %d\r\n" % head.length)
    else:
        reply.send(head.status, lines)
