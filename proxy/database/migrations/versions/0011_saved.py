"""Rows of answers from the cache say what these once cost, and the sums of rows count them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("ledger", sa.Column("saved", sa.BigInteger))
    for table in _SUMS:
        for name in ("from_cache", "saved"):
            op.add_column(table, sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    for table in _SUMS:
        for name in ("saved", "from_cache"):
            op.drop_column(table, name)
    op.drop_column("ledger", "saved")


_SUMS = ("ledger_hours", "ledger_labels")
