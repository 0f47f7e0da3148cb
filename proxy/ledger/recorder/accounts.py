"""What the recorder knows while it runs: open attempts, rows and events that wait, and segments still needed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from proxy.events.base import OutboxEvent
from proxy.ledger.lost import lost
from proxy.ledger.row import Row, decode_closed, decode_opened
from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import CLOSE, EVENT, OPEN

LostPolicy = Literal["estimate", "zero"]


class _RowHead(Struct, array_like=True, gc=False):
    """The first members of a ``Row``."""

    id: str
    at: float


class _OpenedHead(Struct, array_like=True, gc=False):
    """The first member of an ``Opened``."""

    row: _RowHead


_head_of_opened: Final = msgspec.msgpack.Decoder(_OpenedHead).decode
_head_of_closed: Final = msgspec.msgpack.Decoder(_RowHead).decode
_decode_event: Final = msgspec.msgpack.Decoder(OutboxEvent).decode


class _OpenAttempt(NamedTuple):
    segment: SegmentName
    record: bytes


class _Waiting(NamedTuple):
    """A row or an event that is not in the database yet, as its record. ``segments`` are needed until it is."""

    kind: int  # OPEN: of an attempt that is lost
    record: bytes
    segments: tuple[SegmentName, ...]
    since: float


class WaitingBatch(NamedTuple):
    """What ``records`` records are."""

    rows: list[Row]
    events: list[OutboxEvent]

    @property
    def records(self) -> int:
        return len(self.rows) + len(self.events)


class Accounts:
    """Records stay bytes until they are written: a row takes five times as much memory."""

    def __init__(self, policy: LostPolicy) -> None:
        self.policy = policy
        self.unreadable = 0  # records that are no attempt and no event
        self._open: dict[str, dict[str, _OpenAttempt]] = {}  # by gateway and id
        self._waiting: deque[_Waiting] = deque()
        self._needed: Counter[SegmentName] = Counter()  # records by segment that are not in the database
        self.apart: dict[SegmentName, list[str]] | None = None
        """Ids of attempts that have their row and were closed in another segment, by the segment of their open record.

        ``None``: they are not noted. See ``journal``.
        """

    @property
    def waiting(self) -> int:
        """Rows and events that are not in the database."""
        return len(self._waiting)

    @property
    def waiting_since(self) -> float | None:
        """When the record of the oldest was taken."""
        return self._waiting[0].since if self._waiting else None

    @property
    def open(self) -> int:
        """Attempts that were not closed yet."""
        return sum(map(len, self._open.values()))

    def is_needed(self, segment: SegmentName) -> bool:
        """Whether one of its attempts is open, or one of its rows or events waits."""
        return segment in self._needed

    def take(self, segment: SegmentName, records: Iterable[tuple[int, bytes]], now: float) -> None:
        """Take records of a segment, in their order."""
        opened = self._open.setdefault(segment.gateway, {})
        for kind, record in records:
            try:
                if kind == OPEN:
                    self._take_open(opened, segment, record)
                elif kind == CLOSE:
                    self._take_close(opened, segment, record, now)
                elif kind == EVENT:
                    self._waiting.append(_Waiting(EVENT, record, (segment,), now))
                    self._needed[segment] += 1
            except msgspec.DecodeError:
                self.unreadable += 1

    def end(self, gateway: str, now: float) -> int:
        """Close what a gateway left open: it died, and all its records were taken. Returns how many attempts."""
        left = self._open.pop(gateway, {})
        for attempt in left.values():
            self._waiting.append(_Waiting(OPEN, attempt.record, (attempt.segment,), now))
        return len(left)

    def open_keys(self) -> list[tuple[float, str]]:
        """``at`` and ``id`` of the attempts that are open."""
        heads = (_head_of_opened(each.record).row for opened in self._open.values() for each in opened.values())
        return [(head.at, head.id) for head in heads]

    def settled(self, ids: Container[str]) -> None:
        """Forget the open attempts with these ids: their rows are in the database."""
        for opened in self._open.values():
            for id in [each for each in opened if each in ids]:  # noqa: A001 - the column's name
                self._release((opened.pop(id).segment,))

    def batch(self, most: int) -> WaitingBatch:
        """The oldest rows and events that wait. Call ``written`` with its ``records`` when they are in the database."""
        while True:
            waiting = list(islice(self._waiting, most))
            try:
                return WaitingBatch(
                    [self._row(each) for each in waiting if each.kind != EVENT],
                    [_decode_event(each.record) for each in waiting if each.kind == EVENT],
                )
            except msgspec.DecodeError:
                self._drop_unreadable(waiting)

    def written(self, count: int) -> None:
        """The oldest ``count`` records are in the database."""
        for _ in range(count):
            waiting = self._waiting.popleft()
            if self.apart is not None and len(set(waiting.segments)) > 1:
                self.apart.setdefault(waiting.segments[1], []).append(_head_of_closed(waiting.record).id)
            self._release(waiting.segments)

    def _take_open(self, opened: dict[str, _OpenAttempt], segment: SegmentName, record: bytes) -> None:
        id = _head_of_opened(record).row.id  # noqa: A001 - the column's name
        if id not in opened:
            opened[id] = _OpenAttempt(segment, record)
            self._needed[segment] += 1

    def _take_close(self, opened: dict[str, _OpenAttempt], segment: SegmentName, record: bytes, now: float) -> None:
        attempt = opened.pop(_head_of_closed(record).id, None)
        segments = (segment,) if attempt is None else (segment, attempt.segment)
        self._waiting.append(_Waiting(CLOSE, record, segments, now))
        self._needed[segment] += 1

    def _row(self, waiting: _Waiting) -> Row:
        if waiting.kind == CLOSE:
            return decode_closed(waiting.record)
        return lost(decode_opened(waiting.record), self.policy)

    def _drop_unreadable(self, found: Sequence[_Waiting]) -> None:
        kept = []
        for each in found:
            self._waiting.popleft()
            try:
                _decode_event(each.record) if each.kind == EVENT else self._row(each)
                kept.append(each)
            except msgspec.DecodeError:
                self.unreadable += 1
                self._release(each.segments)
        self._waiting.extendleft(reversed(kept))

    def _release(self, segments: tuple[SegmentName, ...]) -> None:
        for segment in segments:
            self._needed[segment] -= 1
            if not self._needed[segment]:
                del self._needed[segment]
