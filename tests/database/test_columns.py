"""Names of the ledger's columns."""

from __future__ import annotations

from proxy.database.columns import CLASSES, COSTS, COUNTS, DIMENSIONS, LABEL_DIMENSIONS, SAVINGS, digest
from proxy.database.tables import LEDGER_HOURS, LEDGER_LABELS


def test_the_table_of_sums_has_these_columns() -> None:
    assert ["hour", "digest", *DIMENSIONS, *COUNTS, *CLASSES, *COSTS, *SAVINGS] == [
        column.name for column in LEDGER_HOURS.columns
    ]


def test_the_table_of_labels_has_these_columns() -> None:
    names = ["name", "hour", "digest", "value", *LABEL_DIMENSIONS, *COUNTS, *CLASSES, *COSTS, "with_duration", *SAVINGS]
    assert names == [column.name for column in LEDGER_LABELS.columns]


def test_a_digest_tells_where_one_dimension_ends() -> None:
    assert digest(["a", "bc"]) != digest(["ab", "c"])
    assert digest(("a", "b")) == digest(["a", "b"])
