"""The ledger: a row for each attempt, and its sums by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        *map(_text, ("endpoint", "client_dialect", "provider_dialect")),
        sa.Column("stream", sa.Boolean, nullable=False),
        *map(_text, ("model", "provider", "deployment", "upstream_model")),
        *map(_text, ("client", "key", "owner", "team", "project", "run")),
        sa.Column("labels", sa.JSON, nullable=False),
        _count("bytes_in"),
        _count("bytes_out"),
        sa.Column("answered", sa.Boolean, nullable=False),
        _text("end"),
        sa.Column("status", sa.Integer, nullable=False, server_default="0"),
        _text("response_model"),
        *(sa.Column(f"{name}_ms", sa.Double) for name in ("sent", "headers", "first_content", "ended", "longest_gap")),
        sa.Column("usage_source", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in _CLASSES),
        _text("service_tier"),
        sa.Column("cost", sa.BigInteger),
        sa.Column("cost_source", sa.Text, nullable=False),
        _text("price_version"),
        sa.Column("usd_rate", sa.Double),
        sa.PrimaryKeyConstraint("at", "id", name="pk_ledger"),
        postgresql_partition_by="RANGE (at)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ledger_owner", "ledger", ["owner", "at"])
    op.create_index("ix_ledger_request_id", "ledger", ["request_id"])
    op.create_table(
        "ledger_hours",
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _DIMENSIONS),
        *map(_count, (*_COUNTS, *_CLASSES, *_COSTS)),
        sa.PrimaryKeyConstraint("hour", "digest", name="pk_ledger_hours"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ledger_hours_owner", "ledger_hours", ["owner", "hour"])


def downgrade() -> None:
    op.drop_table("ledger_hours")
    op.drop_table("ledger")


_CLASSES = (
    *("input", "cached", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input", "image_output", "images"),
)
_DIMENSIONS = ("model", "provider", "upstream_model", "endpoint", "client", "key", "owner", "team", "project")
_COUNTS = (
    *("attempts", "answered", "failed", "estimated", "unknown", "unpriced"),
    *("duration_ms", "first_content_ms", "with_first_content"),
)
_COSTS = ("cost", "cost_estimated")
