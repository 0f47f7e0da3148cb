"""How long rows, their sums, and what they spent are kept. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

DAY: Final = 86400.0
RUN_DAYS: Final = 2.0  # since its last call; a run that is idle for a day has ended
WINDOW_DAYS: Final = 62.0 + 31.0  # since its last call: even a month has ended 62 days ago then
PROCESS_DAYS: Final = 62.0  # since its last call for a counter without an end; then its sum becomes part of another one
ANSWER_DAYS: Final = 7.0  # that a request with an idempotency key can be repeated
DEAD_DAYS: Final = 30.0  # that a dead event can be sent again
# Two gateways may see the same threshold of a month, and a spool may lie for weeks until it is read again.
EVENT_ID_DAYS: Final = 31.0
RECEIVER_DAYS: Final = 30.0  # since it was last sent to; a replica with another configuration may have it


class Expiry(NamedTuple):
    """Unix seconds. Rows and hours that began before them are deleted, and what was last used before them.

    ``processes``: counters that do not end keep one sum for all processes that used them last before it. ``receivers``:
    of events; what waits for them goes with them.
    """

    rows: float = 0.0
    hours: float = 0.0
    runs: float = 0.0
    windows: float = 0.0
    processes: float = 0.0
    answers: float = 0.0
    dead: float = 0.0
    event_ids: float = 0.0
    receivers: float = 0.0


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
        now - DEAD_DAYS * DAY,
        now - EVENT_ID_DAYS * DAY,
        now - RECEIVER_DAYS * DAY,
    )
