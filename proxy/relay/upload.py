"""A request body that takes time to send: written beside the answer, at the pace of the provider.

A provider that refuses a request early is read while the client still uploads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from proxy.client.connection import UpstreamConnection


async def upload(
    source: AsyncIterator[bytes | memoryview],
    connection: UpstreamConnection,
    failed: Callable[[Exception], None],
) -> None:
    """Write ``source`` to the connection and clear its ``sending``. ``failed`` gets what reading the source raises."""
    try:
        async for piece in source:
            connection.write(piece)
            await connection.drain()
    except Exception as reason:
        failed(reason)
    else:
        connection.sending = False
