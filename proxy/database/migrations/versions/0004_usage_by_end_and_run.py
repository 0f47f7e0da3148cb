"""The sums by hour tell attempts apart by their end, and the rows have an index by run."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("ledger_hours", sa.Column("end", sa.Text, nullable=False, server_default=sa.text("''")))
    named = sa.text("run <> ''")  # most programs name none
    op.create_index("ix_ledger_run", "ledger", ["run", "at"], sqlite_where=named, postgresql_where=named)


def downgrade() -> None:
    op.drop_index("ix_ledger_run", "ledger")
    op.drop_column("ledger_hours", "end")
