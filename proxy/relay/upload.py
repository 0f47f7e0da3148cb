"""Sends a request body with backpressure, while the answer is already read.

So a provider can refuse a request while the client still uploads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from proxy.client.connection import UpstreamConnection


async def upload(
    source: AsyncIterator[bytes | memoryview],
    connection: UpstreamConnection,
    failed: Callable[[Exception], None],
) -> None:
    """Write ``source`` to the connection and clear its ``sending``. ``failed`` gets any exception of the source."""
    try:
        async for piece in source:
            connection.write(piece)
            await connection.drain()
    except Exception as reason:
        failed(reason)
    else:
        connection.sending = False
