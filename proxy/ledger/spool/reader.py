"""The recorder's end of the spool: follows the segments of all gateways in a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from proxy.ledger.spool.folder import SegmentName, remove_unfinished, segment_names
from proxy.ledger.spool.follower import Damage, SegmentFollower

READ_BYTES: Final = 1 << 20

UNFINISHED_SECS: Final = 60.0
"""Age of a segment that was never finished: making one takes milliseconds."""


class SpoolBatch(NamedTuple):
    """Records of one segment in the order of writing: kind (``format.OPEN``, ``format.CLOSE``) and payload."""

    segment: SegmentName
    records: list[tuple[int, bytes]]


class SegmentState(NamedTuple):
    name: SegmentName
    drained: bool
    """All its records were returned by ``read``, and no more will come."""
    sealed: bool
    """Its writer finished it."""
    damage: Damage | None
    """Found when it was drained."""


class GatewayState(NamedTuple):
    """A process that wrote segments, some of which are left."""

    nonce: str
    alive: bool
    drained: bool
    """All its segments are. With ``alive`` false, what is open now is never closed by it."""
    segments: list[SegmentState]


class SpoolReader:
    """Holds no state on the disk: after a restart it reads again what is left. The caller holds ``RecorderLock``.

    ``notice`` takes a sentence about each segment with damage, or of a newer version. All methods raise OSError, for
    example if the folder is missing. A look at an idle spool takes 9 us: it lists the folder, and for each live gateway
    reads its newest segment and tries its lock.
    """

    def __init__(self, folder: Path, notice: Callable[[str], None]) -> None:
        self._folder = folder
        self._notice = notice
        self._gateways: dict[str, list[SegmentFollower]] = {}
        self._known: set[SegmentName] = set()
        self._reported: set[SegmentName] = set()
        self._is_new = False  # the folder has files that were not synced as its entries
        remove_unfinished(folder, time.time() - UNFINISHED_SECS)

    def read(self, most: int = READ_BYTES) -> list[SpoolBatch]:
        """Records since the last call, about ``most`` bytes of them; ``[]``: none are there now."""
        self._scan()
        batches = []
        for segment in self._unread():
            if most <= 0:
                break
            if records := segment.read(most):
                batches.append(SpoolBatch(segment.name, records))
                most -= sum(len(payload) for _, payload in records)
        return batches

    def gateways(self) -> list[GatewayState]:
        """All gateways whose segments are left. Call ``read`` until it returns ``[]``, and then this."""
        self._scan()
        return [self._state(nonce) for nonce in list(self._gateways)]

    def forget(self, name: SegmentName) -> None:
        """Unlink a drained segment: all its records are in the database, and all its open records are closed.

        Raises KeyError if there is none, and ValueError if it is not drained.
        """
        segment = next((each for each in self._gateways.get(name.gateway, ()) if each.name == name), None)
        if segment is None:
            raise KeyError(name)
        if not segment.drained:
            raise ValueError(f"Segment {name.file} has records that were not read.")
        segment.remove()
        self._drop(segment)

    def sync(self) -> bool:
        """Make durable what was written since the last call, read or not; ``False``: nothing was."""
        self._scan()
        synced = False
        for segments in self._gateways.values():
            for segment in segments:
                synced |= segment.sync()
        if self._is_new:
            _sync_folder(self._folder)
            self._is_new = False
            synced = True
        return synced

    def close(self) -> None:
        for segments in self._gateways.values():
            for segment in segments:
                segment.close()

    def _scan(self) -> None:
        names = segment_names(self._folder)
        for name in names:
            if name not in self._known:
                self._known.add(name)
                segments = self._gateways.setdefault(name.gateway, [])
                segments.append(SegmentFollower(self._folder, name))
                self._is_new = True
        if len(names) < len(self._known):
            left = set(names)
            for segment in [each for all_of in self._gateways.values() for each in all_of if each.name not in left]:
                self._drop(segment)

    def _drop(self, segment: SegmentFollower) -> None:
        segment.close()
        self._known.discard(segment.name)
        self._reported.discard(segment.name)
        segments = self._gateways[segment.name.gateway]
        segments.remove(segment)
        if not segments:
            del self._gateways[segment.name.gateway]

    def _unread(self) -> Iterator[SegmentFollower]:
        """Segments to read now. Those of one gateway follow each other, so that a record is read before its close."""
        for segments in self._gateways.values():
            for segment in segments:
                if segment.drained:
                    continue
                yield segment
                self._report(segment)
                if not segment.drained and not segment.is_newer and not segment.gone:
                    break

    def _state(self, nonce: str) -> GatewayState:
        alive = self._is_alive(nonce)
        segments = self._gateways.get(nonce, [])
        return GatewayState(
            nonce,
            alive,
            all(each.drained for each in segments),
            [SegmentState(each.name, each.drained, each.sealed, each.damage) for each in segments],
        )

    def _is_alive(self, nonce: str) -> bool:
        """Whether one of its segments is locked.

        A gateway makes its next segment before it gives up a lock. So it is dead if none is locked, and a listing that
        was made after the locks were tested has no other segment.
        """
        while True:
            segments = list(self._gateways.get(nonce, ()))
            if any(segment.is_written() for segment in reversed(segments)):
                return True
            self._scan()
            if self._gateways.get(nonce, []) == segments:
                return False

    def _report(self, segment: SegmentFollower) -> None:
        if segment.name in self._reported:
            return
        if segment.is_newer:
            text = f"Segment {segment.path} has version {segment.version} and is left to a newer release."
        elif segment.damage is None:
            return
        elif segment.damage.torn:
            text = f"Segment {segment.path} ends with a record that its gateway had not written whole when it died."
        else:
            offset, length, _ = segment.damage
            text = (
                f"Segment {segment.path}: {length} bytes from offset {offset} are no valid records and were not read."
            )
        self._reported.add(segment.name)
        self._notice(text)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
