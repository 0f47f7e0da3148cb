"""Accounts, their transfers, and the answers to requests with an idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("charges", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("debit", sa.Text, nullable=False),
        sa.Column("credit", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("usd_rate", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.CheckConstraint("amount > 0", name="ck_transfers_amount"),
        sa.CheckConstraint("debit <> credit", name="ck_transfers_accounts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_transfers_debit", "transfers", ["debit", "at", "id"])
    # Nearly every transfer is credited to this one account, whose transactions are not listed.
    listed = sa.literal_column("credit <> ':usage'", sa.Boolean)
    op.create_index(
        "ix_transfers_credit", "transfers", ["credit", "at", "id"], sqlite_where=listed, postgresql_where=listed
    )
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def downgrade() -> None:
    for table in ("idempotency", "transfers", "accounts"):
        op.drop_table(table)
