"""Keys in a database of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proxy.auth.keystore import DatabaseKeys
from proxy.config.schema import Database
from proxy.database.health import DatabaseState
from proxy.database.keys import KeyTable
from proxy.database.opening import LazyEngine
from tests.support.patience import PATIENCE


def _ignore(_: str) -> None:
    pass


class OwnStore(DatabaseKeys):
    """``close`` closes the database, too. ``log`` takes what is logged of it."""

    def __init__(self, url: str = "", *, folder: Path | str = "", log: Callable[[str], object] = _ignore) -> None:
        self.database = LazyEngine(Database(url=url), folder, log, log)
        engine = self.database.get()
        engine._time_limit = PATIENCE
        super().__init__(KeyTable(engine), log)

    @property
    def state(self) -> DatabaseState:
        found = self.database.state
        assert found is not None
        return found

    async def close(self) -> None:
        await super().close()
        await self.database.close()
