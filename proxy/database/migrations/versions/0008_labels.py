"""Sums by hour of each run and label. Rows that are there already get theirs by ``sluice ledger verify --repair``."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Seconds that replicas of the former version may go on writing rows, without these sums.
_UPGRADE_SECS = 3600


def upgrade() -> None:
    op.create_table(
        "ledger_labels",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("value", "owner", "team", "project")),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in _SUMS),
        sa.PrimaryKeyConstraint("name", "hour", "digest", name="pk_ledger_labels"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ledger_labels_owner", "ledger_labels", ["owner", "name", "hour"])
    begin = op.create_table(
        "ledger_labels_begin",
        sa.Column("hour", sa.BigInteger, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("hour", name="pk_ledger_labels_begin"),
    )
    if op.get_bind().execute(sa.text("SELECT 1 FROM ledger LIMIT 1")).first() is not None:
        hour = int(time.time() + _UPGRADE_SECS) // 3600 * 3600 + 3600
        op.bulk_insert(begin, [{"hour": hour}])


def downgrade() -> None:
    op.drop_table("ledger_labels_begin")
    op.drop_table("ledger_labels")


_SUMS = (
    *("attempts", "answered", "failed", "estimated", "unknown", "unpriced"),
    *("duration_ms", "first_content_ms", "with_first_content"),
    *("input", "cached", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input", "image_output", "images"),
    *("cost", "cost_estimated", "with_duration"),
)
