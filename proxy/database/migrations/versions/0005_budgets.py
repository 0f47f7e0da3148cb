"""Rows of the ledger have budget counters, and what was spent is summed by counter."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # NULL: no counter. Not '[]', so that the former version goes on inserting rows, and old rows stay as they are.
    op.add_column("ledger", sa.Column("counters", sa.JSON))
    op.create_table(
        "budget_spend",
        # By bytes, so that the counters of a window are found by the beginning of their names.
        sa.Column("counter", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("nano", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("counter", "process", name="pk_budget_spend"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("budget_spend")
    op.drop_column("ledger", "counters")
