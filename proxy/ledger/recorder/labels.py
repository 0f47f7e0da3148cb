"""Sums of rows by hour and label, as in the table ``ledger_labels``. A run is a label that is named ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from proxy.database.columns import ALL, DIMENSIONS, LABEL, LABEL_DIMENSIONS, LOST, RUN, digest
from proxy.ledger.recorder import hours
from proxy.ledger.recorder.hours import HOUR, Groups, add_to, check

SUMS: Final = (*hours.SUMS, "with_duration")  # attempts that are not lost
COLUMNS: Final = ("name", "hour", "digest", "value", *LABEL_DIMENSIONS, *SUMS)
NAMES: Final = (
    "WITH RECURSIVE names(name) AS (SELECT min(name) FROM ledger_labels UNION ALL"
    " SELECT (SELECT min(name) FROM ledger_labels WHERE name > names.name) FROM names WHERE name IS NOT NULL)"
)
"""The few names of the table, found in its index, as ``hour`` is only the second column of the key."""

_own: Final = itemgetter(*map(DIMENSIONS.index, LABEL_DIMENSIONS))
_END: Final = DIMENSIONS.index("end")

_Labeled = tuple[float, tuple[str, ...], str, tuple[tuple[str, str], ...]]
_Key = tuple[str, float, str, tuple[str, ...]]  # name, hour, value, dimensions


def sums(groups: Groups) -> list[tuple[Any, ...]]:
    """One tuple in the order of ``COLUMNS`` for each label with a value, and for all rows of an hour.

    They are in the order of the table's key, as those of ``hours.sums``. Raises as that does.
    """
    labeled: dict[_Labeled, Sequence[int]] = {}  # a run often has several models, and one set of labels
    for (hour, names, run, labels), counted in groups.items():
        lasted = 0 if names[_END] == LOST else counted[0]
        add_to(labeled, (hour, _own(names), run, labels), [*counted, lasted])
    totals: dict[_Key, Sequence[int]] = {}
    for (hour, own, run, labels), numbers in labeled.items():
        add_to(totals, (ALL, hour, "", own), numbers)
        if run:
            add_to(totals, (RUN, hour, run, own), numbers)
        for name, value in labels:
            if value:
                add_to(totals, (LABEL + name, hour, value, own), numbers)
    check(totals.values())
    return sorted(
        (name, int(hour) * HOUR, digest((value, *own)), value, *own, *total)
        for (name, hour, value, own), total in totals.items()
    )
