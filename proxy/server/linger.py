"""Closing a connection whose client may still be sending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.streams import StreamReader

from proxy.errors import ClientGone

if TYPE_CHECKING:
    from proxy.server.connection import Connection

LINGER_SECS = 5.0  # for reading what is not wanted, so that the client reads the answer


async def discard_body(payload: StreamReader) -> None:
    """Read the rest of a body that is not wanted, so that the request behind it can be read."""
    await asyncio.sleep(0)  # a reader that was canceled leaves in this turn; a stream has one at a time
    try:
        async with asyncio.timeout(LINGER_SECS):
            while not payload.is_eof():
                await payload.readany()
    except (TimeoutError, ClientGone, OSError, web.RequestPayloadError):
        pass


async def linger(connection: Connection) -> None:
    """Close in stages (RFC 9112 9.6).

    Closing with unread bytes in the socket makes the kernel send a reset, which can overtake the answer.
    """
    transport = connection.transport
    if transport is None or transport.is_closing():
        return
    connection._close = True  # aiohttp discards what still comes
    transport.write_eof()
    connection._resume_transport_reading()
    connection._waiter = connection._loop.create_future()  # canceled when the client closes
    try:
        async with asyncio.timeout(LINGER_SECS):
            await connection._waiter
    except TimeoutError:
        pass
    finally:
        connection._waiter = None
