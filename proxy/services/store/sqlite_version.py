"""The version of the entries in a SQLite file, read each second without SQLAlchemy and without a thread.

Most gateways have no entries. The engine would cost them 15 MB, and its thread a little of each token. A read takes
0.1 ms, and in WAL mode no writer blocks it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from proxy.services.store.base import EntriesDown

_QUERY = "SELECT coalesce(max(seq), 0) FROM routing_changes"


class SqliteVersion:
    def __init__(self, path: str) -> None:
        self._uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        self._path = Path(path)

    def read(self) -> int | None:
        """0 also without the file or the table; ``None``: it is locked at this moment. Raises EntriesDown."""
        if not self._path.exists():
            return 0
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=0.0)) as connection:
                version: int = connection.execute(_QUERY).fetchone()[0]
                return version
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return 0
            if "locked" in str(error):  # a migration, or the last connection of another process that closes
                return None
            raise EntriesDown(str(error)) from None
