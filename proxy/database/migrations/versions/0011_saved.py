"""Rows of answers from the cache say what these once cost."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("ledger", sa.Column("saved", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("ledger", "saved")
