"""The requests of one connection, one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from aiohttp.http import HttpVersion11

from proxy.errors import ClientGone, GatewayError
from proxy.server.aiohttp_internals import ErrInfo
from proxy.server.linger import discard_body, linger
from proxy.server.parse_faults import TRANSFER_ENCODING, VERSIONS, fault_of, is_plainly_chunked
from proxy.server.request import Request, request_of

if TYPE_CHECKING:
    from proxy.server.connection import Connection
    from proxy.server.server import Server

PIPELINED_AT_ONCE = 16  # requests answered in a row without a wait; then other connections have their turn


async def run_requests(connection: Connection) -> None:
    """Take requests off the connection's queue until it ends."""
    server, messages = cast("Server", connection._manager), connection._messages
    in_a_row = 0
    try:
        while not connection._force_close:
            if not messages:
                in_a_row = 0
                connection._waiter = connection._loop.create_future()
                try:
                    await connection._waiter
                finally:
                    connection._waiter = None
            elif in_a_row >= PIPELINED_AT_ONCE:
                in_a_row = 0
                await asyncio.sleep(0)
                continue
            in_a_row += 1
            if connection.head_clock is not None:
                connection.stop_head_clock()
            message, payload = messages.popleft()
            if connection._parser is not None:
                connection._parser.message_consumed()
            if connection._buffer_paused and len(messages) <= connection._msg_queue_resume_size:
                connection._resume_reading_if_drained()
            if connection.transport is None:
                break
            if (
                isinstance(message, ErrInfo)
                or (message.version is not HttpVersion11 and message.version not in VERSIONS)
                or (TRANSFER_ENCODING in message.headers and not is_plainly_chunked(message))
            ):
                connection.refuse(fault_of(message))
                await linger(connection)
                break
            server.requests_count += 1
            connection.request = request = request_of(connection, message, payload)
            try:
                await server.request_handler(request)  # type: ignore[arg-type]  # ours, not BaseRequest
                if request.writing_paused and request.reply.ended:
                    await _flush(request)  # before the next one: its answer would be held as well
            finally:
                connection.request = None
            if not request.body_read and not request.body_received:
                await _clear_away(connection, request)
            if not _goes_on(connection, request):
                break
            del request  # else it would live until the client's next request
    finally:  # whatever failed: no client is left waiting
        if connection.transport is not None:
            connection.close_in_time(connection.transport)


async def _flush(request: Request) -> None:
    """Wait until the client took most of an answer that is written. If it does not, the reply says so."""
    try:
        await request.flush()
    except (ClientGone, GatewayError):  # the connection is cut
        pass


async def _clear_away(connection: Connection, request: Request) -> None:
    """The request was answered before all of its body came."""
    reply = request.reply
    if connection.transport is None or connection._force_close or reply.aborted or not reply.ended:
        return
    if reply.keep_alive:
        await discard_body(request.payload)
    else:
        await linger(connection)


def _goes_on(connection: Connection, request: Request) -> bool:
    """Whether another request may follow. The keep-alive clock runs from now on, then."""
    reply = request.reply
    if not reply.ended and not request.gone:
        reply.abort()
    if connection.transport is None or connection._force_close or reply.aborted:
        return False
    if not reply.keep_alive or connection._close or connection._upgraded:
        return False
    if not (request.body_read or request.body_received):
        return False
    timeout = connection._keepalive_timeout
    if timeout:
        connection._next_keepalive_close_time = due = connection._loop.time() + timeout
        if connection._keepalive_handle is None:
            connection._keepalive_handle = connection._loop.call_at(due, connection._process_keepalive)
    return True
