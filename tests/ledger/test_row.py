"""Records of the spool."""

from __future__ import annotations

from msgspec import structs

from proxy.database.tables import LEDGER
from proxy.ledger.row import COLUMNS, Opened, decode_closed, decode_opened, encode
from tests.ledger.rows import ROW


def test_records_carry_every_member() -> None:
    assert decode_closed(encode(ROW)) == ROW
    assert decode_opened(encode(Opened(ROW, 1, None, 2, 3, 4))) == Opened(ROW, 1, None, 2, 3, 4)


def test_a_record_of_an_older_version_is_read() -> None:
    assert decode_closed(encode(structs.astuple(ROW)[:12])).labels == {}


def test_the_table_has_a_column_for_each_member() -> None:
    assert {*COLUMNS} == {column.name for column in LEDGER.columns}


def test_records_of_the_version_before_budgets_are_read() -> None:
    """They have no counters."""
    former = structs.astuple(ROW)[:-1]
    assert decode_closed(encode(former)).counters == []
    assert decode_opened(encode((former, 1, 2))) == Opened(ROW, 1, 2)
