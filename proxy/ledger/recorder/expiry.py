"""How long rows, their sums, and what they spent are kept. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

DAY: Final = 86400.0
RUN_DAYS: Final = 2.0  # since its last call; a run that is idle for a day has ended
WINDOW_DAYS: Final = 62.0 + 31.0  # since its last call: even a month has ended 62 days ago then
PROCESS_DAYS: Final = 62.0  # since its last call for a counter without an end; then its sum becomes part of another one
ANSWER_DAYS: Final = 7.0  # that a request with an idempotency key can be repeated


class Expiry(NamedTuple):
    """Unix seconds. Rows and hours that began before them are deleted, and what was last used before them.

    ``processes``: counters that do not end keep one sum for all processes that used them last before it.
    """

    rows: float = 0.0
    hours: float = 0.0
    runs: float = 0.0
    windows: float = 0.0
    processes: float = 0.0
    answers: float = 0.0


def expiry(now: float, keep_days: float, keep_hours_days: float) -> Expiry:
    """A process keeps its sums while it has rows, so that ``sluice ledger verify`` can compare them."""
    rows = now - keep_days * DAY
    return Expiry(
        rows,
        now - keep_hours_days * DAY,
        now - RUN_DAYS * DAY,
        now - WINDOW_DAYS * DAY,
        min(now - PROCESS_DAYS * DAY, rows),
        now - ANSWER_DAYS * DAY,
    )
