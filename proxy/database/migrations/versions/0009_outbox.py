"""Events that wait to be sent, their receivers, and what the event of a transfer tells of its account."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", sa.Double, nullable=False, server_default="0"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("dead_at", sa.Double),
        sa.PrimaryKeyConstraint("seq", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    waiting, dead = sa.text("dead_at IS NULL"), sa.text("dead_at IS NOT NULL")
    op.create_index("ix_outbox_receiver", "outbox", ["receiver", "seq"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("ix_outbox_dead_at", "outbox", ["dead_at", "seq"], sqlite_where=dead, postgresql_where=dead)
    op.create_table(
        "event_receivers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False, server_default=""),
        sa.Column("until", sa.Double, nullable=False, server_default="0"),
        sa.Column("sent", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failures", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sent_at", sa.Double),
        sa.Column("failed_at", sa.Double),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("gone_at", sa.Double),
        sa.PrimaryKeyConstraint("name", name="pk_event_receivers"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_ids",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_ids"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_event_ids_at", "event_ids", ["at"])
    op.add_column("accounts", sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"))
    for name in _KEPT:
        op.add_column("transfers", sa.Column(name, sa.BigInteger))
    op.execute(_REFUSE + (_BY_FUNCTION if _is_postgresql() else _BY_RAISE))


def downgrade() -> None:
    op.execute("DROP TRIGGER transfers_no_renumber" + (" ON transfers" if _is_postgresql() else ""))
    for name in _KEPT:
        op.drop_column("transfers", name)
    op.drop_column("accounts", "sequence")
    for table in ("event_ids", "event_receivers", "outbox"):
        op.drop_table(table)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


_KEPT = ("sequence", "balance")  # of a transfer; as append-only as its other columns (0007)
_REFUSE = f"CREATE TRIGGER transfers_no_renumber BEFORE UPDATE OF {', '.join(_KEPT)} ON transfers"
_BY_FUNCTION = " FOR EACH ROW EXECUTE FUNCTION transfers_append_only()"
_BY_RAISE = " BEGIN SELECT RAISE(ABORT, 'transfers are append-only: post one that reverses it'); END"
