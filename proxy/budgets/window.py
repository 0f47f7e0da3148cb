"""Calendar windows of budgets: the day, the week from Monday, the month, or all time, in a time zone.

A day begins at the first moment whose wall clock shows midnight or later. So a day on which the clocks change has 23
or 25 hours, and one whose midnight is skipped begins when the clocks go forward. Where the clocks go back over
midnight, the date shows twice, but the day begins once: the second evening belongs to the day that has begun.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from proxy.config.billing_schema import WindowKind

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


class Window(Struct, frozen=True):
    """``begins`` and ``ends`` are Unix seconds, and ``ends`` is the first moment of the next window; ``None``: never.

    ``label``: ``2026-11-29``, ``2026-W48`` (ISO 8601), ``2026-11`` or ``total``. No two windows of a kind share one.
    """

    label: str
    begins: float
    ends: float | None

    def covers(self, now: float) -> bool:
        """Whether a moment, in Unix seconds, is within the window."""
        return self.begins <= now and (self.ends is None or now < self.ends)


class PresentWindows:
    """The present windows of all kinds and zones, which are kept."""

    def __init__(self) -> None:
        self._found: dict[tuple[WindowKind, str], Window] = {}

    def find(self, kind: WindowKind, zone: ZoneInfo, now: float) -> Window:
        """``now``: Unix seconds."""
        key = kind, zone.key
        found = self._found.get(key)
        if found is None or not found.covers(now):
            found = self._found[key] = window_of(kind, zone, now)
        return found


_ALL_TIME: Final = Window("total", 0.0, None)


def window_of(kind: WindowKind, zone: ZoneInfo, now: float) -> Window:
    """The window of this kind that a moment (Unix seconds) is in. Takes about 10 us, so keep it while it ``covers``.

    Windows of a kind follow each other without a gap. A day that a zone skipped, as Samoa did in 2011, has none.
    """
    if kind == "total":
        return _ALL_TIME
    day = _day_of(zone, now)
    if kind == "day":
        return Window(day.isoformat(), _beginning(day, zone), _beginning(day + _DAY, zone))
    if kind == "week":
        year, week, weekday = day.isocalendar()
        monday = day - (weekday - 1) * _DAY
        return Window(f"{year:04}-W{week:02}", _beginning(monday, zone), _beginning(monday + _WEEK, zone))
    first = day.replace(day=1)
    following = (first + 31 * _DAY).replace(day=1)
    return Window(first.isoformat()[:7], _beginning(first, zone), _beginning(following, zone))


def _day_of(zone: ZoneInfo, now: float) -> date:
    """The date whose day the moment is in. It differs from the wall clock's where the clocks went back over midnight.

    It also differs in the last microsecond of a day, which ``fromtimestamp`` rounds up.
    """
    day = datetime.fromtimestamp(now, zone).date()
    while now < _beginning(day, zone):
        day -= _DAY
    while now >= _beginning(day + _DAY, zone):
        day += _DAY
    return day


def _beginning(day: date, zone: ZoneInfo) -> float:
    """The first moment whose wall clock shows midnight of the date or later."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  what the wall clock shows
    first = midnight.replace(tzinfo=zone)  # with fold=0, so the first one where the clocks show it twice
    after = int(first.timestamp())
    if _clock(after, zone) == midnight:
        return float(after)
    # The clocks skip midnight. With fold=1 it is computed by the offset after the change, so it is before the change.
    before = int(first.replace(fold=1).timestamp())
    while after - before > 1:
        middle = (after + before) // 2
        if _clock(middle, zone) < midnight:
            before = middle
        else:
            after = middle
    return float(after)


def _clock(moment: int, zone: ZoneInfo) -> datetime:
    """What the wall clock shows at a moment in Unix seconds."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)
