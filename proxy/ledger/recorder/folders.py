"""The spool on the disk and the one in memory, which gateways use instead while the disk cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from proxy.ledger.spool.folder import SegmentName, memory_folder, segment_names, used_bytes
from proxy.ledger.spool.locks import RECORDER, RecorderLock, is_locked
from proxy.ledger.spool.reader import GatewayState, SpoolBatch, SpoolReader


class SpoolFolders:
    """One reader for each folder. A gateway may have segments in both. Methods raise OSError."""

    def __init__(self, folder: Path, notice: Callable[[str], None]) -> None:
        self.folders = (folder, memory_folder(folder))
        self._notice = notice
        self._readers: dict[Path, SpoolReader] = {}

    def read(self, most: int) -> list[SpoolBatch]:
        """Records since the last call, about ``most`` bytes of them; ``[]``: none are there now."""
        found: list[SpoolBatch] = []
        for reader in self._present():
            found += reader.read(most)
        return found

    def gateways(self) -> dict[str, GatewayState]:
        """By nonce, as ``SpoolReader.gateways``. Alive if it is so in one folder, drained only if it is so in all."""
        found: dict[str, GatewayState] = {}
        for reader in self._present():
            for state in reader.gateways():
                other = found.get(state.nonce)
                found[state.nonce] = state if other is None else _merged(state, other)
        return found

    def forget(self, name: SegmentName) -> None:
        """Remove a drained segment."""
        for reader in self._readers.values():
            try:
                reader.forget(name)
            except KeyError:
                pass

    def sync(self) -> None:
        """Make durable what was written, within this call."""
        for reader in self._present():
            reader.sync()

    def used_bytes(self) -> int:
        return sum(map(used_bytes, _places(self.folders[0])))

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()

    def _present(self) -> list[SpoolReader]:
        for folder in self.folders:
            if folder not in self._readers:
                if folder.is_dir():
                    self._readers[folder] = SpoolReader(folder, self._notice)
            elif not folder.is_dir():
                self._readers.pop(folder).close()
        return list(self._readers.values())


def lock_recorder(folder: Path) -> RecorderLock | None:
    """Take the lock of the one recorder of a spool; ``None``: another process has it.

    Raises OSError if neither folder is there or can be written.
    """
    failure: OSError = FileNotFoundError(f"{folder} does not exist")
    for place in _places(folder):
        try:
            lock = RecorderLock(place)
            return lock if lock.acquire() else None
        except OSError as error:
            failure = error
    raise failure


def is_recorded(folder: Path) -> bool:
    """Whether some process has the lock of ``lock_recorder``."""
    for place in _places(folder):
        try:
            descriptor = os.open(place / RECORDER, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            return is_locked(descriptor)
        finally:
            os.close(descriptor)
    return False


def has_segments(folder: Path, gateway: str = "") -> bool:
    """Whether there are segments, of the gateway with this nonce, or of any. Raises OSError."""
    names = (name for place in _places(folder) for name in segment_names(place))
    return any(not gateway or name.gateway == gateway for name in names)


def has_others(folder: Path, gateway: str) -> bool:
    """Whether there are segments of gateways but this one. Raises OSError."""
    return any(name.gateway != gateway for place in _places(folder) for name in segment_names(place))


def has_left(folder: Path) -> bool:
    """Whether there are segments of gateways that have ended: rows of theirs may not be in the database.

    Raises OSError.
    """
    alive: dict[str, bool] = {}
    for place in _places(folder):
        for name in segment_names(place):
            alive[name.gateway] = alive.get(name.gateway, False) or _is_written(place / name.file)
    return not all(alive.values())


def _is_written(segment: Path) -> bool:
    """Whether its gateway lives and writes it. One that was removed meanwhile is no concern any more."""
    try:
        descriptor = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return is_locked(descriptor)
    finally:
        os.close(descriptor)


def _places(folder: Path) -> list[Path]:
    return [each for each in (folder, memory_folder(folder)) if each.is_dir()]


def _merged(one: GatewayState, other: GatewayState) -> GatewayState:
    return GatewayState(
        one.nonce, one.alive or other.alive, one.drained and other.drained, one.segments + other.segments
    )
