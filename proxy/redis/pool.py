"""redis-py's pool of connections, with an end."""

from __future__ import annotations

from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError


class ClosablePool(ConnectionPool):
    """After ``close`` no connection is given out, nor stays open: redis-py's own pool would open others."""

    _closed = False

    async def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """Raises ConnectionError once it is closed."""
        if not self._closed:
            get: Any = super().get_connection  # redis-py has no types for it
            connection = await get(*arguments, **options)
            if not self._closed:
                return connection
            await connection.disconnect(nowait=True)  # ``close`` has not found it open
            await self.release(connection)
        raise RedisConnectionError("the client is closed")

    async def close(self) -> None:
        """Close every connection, those in use included."""
        self._closed = True
        await self.disconnect()
