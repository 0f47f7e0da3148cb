"""Copies of the SQLite file: a backup while gateways use it, and a restore that replaces it as a whole.

Both raise ConfigError, with one line that names the file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from proxy.errors import ConfigError

_SIDES = ("-wal", "-shm", "-journal")  # of SQLite, beside the file
_MAGIC = b"SQLite format 3\0"
_PATIENCE = 10.0  # seconds that a backup waits for a lock


def back_up(source: Path, target: Path) -> int:
    """Copy the database at ``source`` to the new file ``target``. Returns the number of keys that are not deleted.

    The copy is one consistent snapshot: SQLite copies all pages in one read transaction, and in WAL mode the gateway
    goes on writing meanwhile.
    """
    if not source.is_file():
        raise ConfigError([f"database: {source} does not exist: there is nothing to back up"])
    if target.exists():
        raise ConfigError([f"database: {target} exists already; a backup replaces no file"])
    part = _private(target)
    try:
        with closing(_open(source)) as live, closing(sqlite3.connect(part)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a -wal beside it
            keys = _checked(copy, source)
        _publish(part, target)
    except (sqlite3.Error, OSError) as error:
        raise ConfigError([f"database: {source} cannot be copied to {target}: {error}"]) from None
    finally:
        _remove(part)
    return keys


def restore(backup: Path, target: Path, *, replace: bool) -> Path | None:
    """Put a copy of ``backup`` in the place of the database at ``target``. No gateway may use that meanwhile.

    ``replace``: also if there is one, which is kept under another name; returned is its path. At every moment
    ``target`` is either the old database or the new one.
    """
    if not backup.is_file():
        raise ConfigError([f"database: {backup} does not exist"])
    if _is_used(target) and not replace:
        raise ConfigError([f"database: {target} is not empty; --force replaces it and keeps a copy"])
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = _private(target)
    try:
        with closing(_open(backup)) as saved, closing(sqlite3.connect(part)) as copy:
            saved.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _checked(copy, backup)
        _like(target, part)
        return _replace(target, part)
    except (sqlite3.Error, OSError) as error:
        raise ConfigError([f"database: {backup} cannot be restored to {target}: {error}"]) from None
    finally:
        _remove(part)


def _open(path: Path) -> sqlite3.Connection:
    """Without creating it."""
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, timeout=_PATIENCE)


def _checked(connection: sqlite3.Connection, source: Path) -> int:
    """The number of keys. Raises ConfigError if the database is damaged or not of Sluice."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise ConfigError([f"database: {source} is damaged: {verdict}"])
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "api_keys" not in names:
        raise ConfigError([f"database: {source} is not a database of Sluice: it has no table api_keys"])
    count: int = connection.execute("SELECT count(*) FROM api_keys WHERE NOT deleted").fetchone()[0]
    return count


def _is_used(target: Path) -> bool:
    """Whether there is something to lose: a database with keys, or a file that cannot be read as one."""
    if not target.exists() or target.stat().st_size == 0:
        return False
    if not _is_sqlite(target):
        return True
    try:
        with closing(_open(target)) as connection:
            count: int = connection.execute("SELECT count(*) FROM api_keys").fetchone()[0]
            return count > 0
    except sqlite3.Error:
        return True


def _is_sqlite(path: Path) -> bool:
    """By its first bytes. SQLite deletes the -wal beside a file that it cannot read."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _replace(target: Path, part: str) -> Path | None:
    """Rename ``part`` to ``target`` while no connection can be open. Returns where the old file went."""
    if not target.exists():
        for side in _SIDES:  # without their database they would be applied to the new one
            Path(f"{target}{side}").unlink(missing_ok=True)
        _publish(part, target)
        return None
    old = Path(f"{target}.before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    if not _is_sqlite(target):
        _swap(target, part, old)
        return old
    with closing(_open(target)) as live:
        try:
            # Alone: no other connection is open, whether it writes or not.
            live.execute("PRAGMA locking_mode = EXCLUSIVE")
            live.execute("PRAGMA busy_timeout = 2000")
            # Moves the -wal into the file and removes it, before the file gets a new name.
            live.execute("PRAGMA journal_mode = DELETE")
            live.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ConfigError([f"database: {target} is in use; stop the gateway first"]) from None
            raise
        except sqlite3.DatabaseError:
            pass  # it is damaged
        _swap(target, part, old)
    return old


def _swap(target: Path, part: str, old: Path) -> None:
    """Keep ``target`` as ``old``, with what is beside it, and rename ``part`` to ``target``."""
    for side in _SIDES:
        if Path(f"{target}{side}").exists():
            os.rename(f"{target}{side}", f"{old}{side}")
    _sync(Path(part))
    os.link(target, old)
    os.replace(part, target)
    _sync(target.parent)


def _private(target: Path) -> str:
    """A new file beside ``target`` with mode 0600."""
    part = f"{target}.part-{os.getpid()}"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    return part


def _like(target: Path, part: str) -> None:
    """Give ``part`` the owner that the database had, or its folder has: root restores for the gateway's user."""
    if os.geteuid() == 0:
        model = target.stat() if target.exists() else target.parent.stat()
        os.chown(part, model.st_uid, model.st_gid)


def _publish(part: str, target: Path) -> None:
    _sync(Path(part))
    os.link(part, target)  # unlike a rename it replaces no file
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Make the content of a file, or the renames in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(part: str) -> None:
    for name in (part, *(f"{part}{side}" for side in _SIDES)):
        Path(name).unlink(missing_ok=True)
