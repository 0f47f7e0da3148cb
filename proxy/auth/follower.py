"""Keeps the cached keys at what the database says, so that no request has to ask it."""

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
    """Asks once a second, however many keys are cached: what is revoked anywhere stops here within two.

    While the database is down the cache stays as it is; afterwards all that happened meanwhile is made up for.
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
        """Until it is cancelled."""
        time = asyncio.get_running_loop().time
        while True:
            due = time() + self._every
            await self._try()
            await asyncio.sleep(max(0.0, due - time()))

    async def step(self) -> int:
        """Ask once; how many keys were told of. Raises ``DatabaseDown``: then nothing has changed here."""
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
            pass  # whoever owns the connections has told it
        except Exception as error:
            # Nothing may end this: a key that is revoked would live on.
            if not self._warned:
                self._warned = True
                self._warn(f"changes of API keys cannot be followed: unexpected {type(error).__name__}")
