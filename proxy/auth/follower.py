"""Following the database for changed keys, so that requests need no lookup."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.auth.cache import KeyCache
from proxy.auth.keystore import DatabaseDown

if TYPE_CHECKING:
    from proxy.auth.keystore import DatabaseKeys

EVERY = 1.0  # seconds


class Follower:
    """Polls once a second, for all cached keys together. A key revoked elsewhere is refused here within two seconds.

    During an outage of the database the cache stays as it is; afterwards it catches up.
    """

    def __init__(
        self,
        keys: DatabaseKeys,
        cache: KeyCache,
        every: float = EVERY,
        warn: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._keys = keys
        self._cache = cache
        self._every = every
        self._warn = warn
        self._watermark: float | None = None
        self._warned = False

    async def run(self) -> None:
        """Run until canceled."""
        time = asyncio.get_running_loop().time
        while True:
            due = time() + self._every
            await self._try()
            await asyncio.sleep(max(0.0, due - time()))

    async def step(self) -> int:
        """Poll once; returns the number of changed keys. Raises ``DatabaseDown``, and then changes nothing."""
        changes, self._watermark = await self._keys.changes(self._watermark)
        for change in changes:
            if change.deleted:
                self._cache.drop(change.key.id, change.key.revision)
            else:
                self._cache.put(change.key)
        return len(changes)

    async def _try(self) -> None:
        try:
            await self.step()
            self._warned = False
        except DatabaseDown:
            pass  # logged by DatabaseHealth
        except Exception as error:
            # The loop must go on, or revoked keys would stay valid.
            if not self._warned:
                self._warned = True
                self._warn(f"Changes of API keys cannot be read: unexpected {type(error).__name__}.")
