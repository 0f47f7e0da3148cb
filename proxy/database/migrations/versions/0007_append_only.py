"""A transfer stays as it is. Only its accounts may get a pseudonym, when an owner is forgotten."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for statement in _STATEMENTS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name in ("no_update", "no_delete", *(["no_truncate"] if postgresql else [])):
        op.execute(f"DROP TRIGGER transfers_{name}" + (" ON transfers" if postgresql else ""))
    if postgresql:
        op.execute("DROP FUNCTION transfers_append_only()")


_CHANGED = " OR ".join(
    (
        *(f"OLD.{name} <> NEW.{name}" for name in ("id", "at", "amount", "description", "request_id")),
        "coalesce(OLD.usd_rate, -1) <> coalesce(NEW.usd_rate, -1)",
        *(f"(OLD.{name} <> NEW.{name} AND NEW.{name} NOT LIKE 'gone-%')" for name in ("debit", "credit")),
    )
)
_REFUSAL = "transfers are append-only: post one that reverses it"
_STATEMENTS = {
    "sqlite": (
        f"CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers WHEN {_CHANGED}"
        f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
        f"CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION transfers_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers FOR EACH ROW WHEN ({_CHANGED})"
        " EXECUTE FUNCTION transfers_append_only()",
        "CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers FOR EACH ROW"
        " EXECUTE FUNCTION transfers_append_only()",
        "CREATE TRIGGER transfers_no_truncate BEFORE TRUNCATE ON transfers EXECUTE FUNCTION transfers_append_only()",
    ),
}
