"""The tables as of the newest migration.

Times are Unix seconds of the database's clock, so that replicas whose clocks differ agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

from proxy.database.columns import CLASSES, COSTS, COUNTS, DIMENSIONS, LABEL_DIMENSIONS, SAVINGS, USAGE

# Constraints need names, so that a later migration can change them.
METADATA = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("expires_at", Double),  # NULL: never
    Column("models", JSON, nullable=False),  # lists of text; []: all of them
    Column("providers", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("limits", JSON(none_as_null=True)),  # as the configuration writes them
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("previous_hash", Text),
    Column("previous_until", Double),
    Column("deleted", Boolean, nullable=False),  # the row stays, so that replicas see the change
    Column("revision", Integer, nullable=False),
    _text("team"),
    _text("project"),
    # From name to value. PostgreSQL compares no ``json``, so a test could not compare its default.
    Column("labels", JSON().with_variant(JSONB(), "postgresql"), nullable=False, server_default=text("'{}'")),
    Index(None, "hash", unique=True),
    Index(None, "previous_hash", unique=True),
    Index(None, "created_at", "id"),
    Index(None, "changed_at", "id"),
)

_HAS_RUN = text("run <> ''")

# One attempt, ``proxy.ledger.row.Row``. PostgreSQL has a partition for each month (UTC) of ``at``, which the recorder
# makes.
LEDGER = Table(
    "ledger",
    METADATA,
    Column("at", Double, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    *(
        Column(name, Text, nullable=False, server_default=text("''"))
        for name in ("endpoint", "client_dialect", "provider_dialect")
    ),
    Column("stream", Boolean, nullable=False),
    *(
        Column(name, Text, nullable=False, server_default=text("''"))
        for name in ("model", "provider", "deployment", "upstream_model")
    ),
    *(
        Column(name, Text, nullable=False, server_default=text("''"))
        for name in ("client", "key", "owner", "team", "project", "run")
    ),
    Column("labels", JSON, nullable=False),
    _count("bytes_in"),
    _count("bytes_out"),
    Column("answered", Boolean, nullable=False),
    _text("end"),
    Column("status", Integer, nullable=False, server_default="0"),
    _text("response_model"),
    *(Column(f"{name}_ms", Double) for name in ("sent", "headers", "first_content", "ended", "longest_gap")),
    Column("usage_source", Text, nullable=False),
    *(Column(name, BigInteger) for name in CLASSES),
    _text("service_tier"),
    Column("cost", BigInteger),  # nano-USD; NULL: unknown or unpriced
    Column("cost_source", Text, nullable=False),
    _text("price_version"),
    Column("usd_rate", Double),
    Column("counters", JSON(none_as_null=True)),  # keys of budget counters; NULL: none
    Column("saved", BigInteger),  # nano-USD that what came from the cache once cost; NULL: not known, or nothing
    Index(None, "owner", "at"),
    Index(None, "request_id"),
    Index(None, "run", "at", sqlite_where=_HAS_RUN, postgresql_where=_HAS_RUN),
)

# Sums of the rows by hour and dimensions. ``digest`` is a hash of these, as a key of them all is too long.
LEDGER_HOURS = Table(
    "ledger_hours",
    METADATA,
    Column("hour", BigInteger, primary_key=True),  # Unix seconds of its begin
    Column("digest", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in DIMENSIONS if name != "end"),
    _text("end"),  # a later one, without which former versions insert sums
    *map(_count, (*COUNTS, *CLASSES, *COSTS, *SAVINGS)),
    Index(None, "owner", "hour"),
)

# Sums of the rows by hour and by one label: ``name`` is ``label:NAME``, or ``run``, or empty for all rows. A row adds
# to those of its run, of each of its labels, and of all. ``digest`` is a hash of the value and the dimensions.
LEDGER_LABELS = Table(
    "ledger_labels",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("digest", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("value", *LABEL_DIMENSIONS)),
    *map(_count, (*COUNTS, *CLASSES, *COSTS, "with_duration", *SAVINGS)),
    Index(None, "owner", "name", "hour"),
)

# At most one row: an hour before which rows may lack their sums by label, as they are older than these.
LEDGER_LABELS_BEGIN = Table(
    "ledger_labels_begin", METADATA, Column("hour", BigInteger, primary_key=True, autoincrement=False)
)

# What the rows of each process add up to, by key of a budget counter. Process "": what was spent before it existed, and
# by processes that have ended long ago.
BUDGET_SPEND = Table(
    "budget_spend",
    METADATA,
    Column("counter", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),  # found by prefix
    Column("process", Text, primary_key=True),  # the ids of its rows begin with it
    Column("nano", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("last", Double, nullable=False),  # when it was last added to
)

# An account is an owner's, or a client's without one. Sums of its transfers in nano-USD: what was posted to it less
# what was posted from it, and what its calls cost.
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("credits", BigInteger, nullable=False),
    Column("charges", BigInteger, nullable=False),
    Column("opened_at", Double, nullable=False),
    _count("sequence"),  # of its last transfer that was told as an event
)

LISTED_CREDIT = literal_column(
    f"credit <> '{USAGE}'", Boolean
)  # a query by ``credit`` must have this condition to use the index

# Append-only, by triggers. ``id`` is that of the ledger's row if it is a charge. ``sequence`` and ``balance`` are
# those of its event, for ``sluice events replay``; NULL: no receiver got transfers then.
TRANSFERS = Table(
    "transfers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # nano-USD
    Column("description", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("usd_rate", Double),
    Column("sequence", BigInteger),  # among those of its account, from 1
    Column("balance", BigInteger),  # of its account after it, in nano-USD
    CheckConstraint("amount > 0", name="ck_transfers_amount"),
    CheckConstraint("debit <> credit", name="ck_transfers_accounts"),
    Index(None, "debit", "at", "id"),
    Index(None, "credit", "at", "id", sqlite_where=LISTED_CREDIT, postgresql_where=LISTED_CREDIT),
)

# Answers to requests with an ``Idempotency-Key``, for some days.
IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the request
    Column("answer", JSON, nullable=False),
    Column("at", Double, nullable=False),
    Index(None, "at"),
)


_WAITS, _DEAD = text("dead_at IS NULL"), text("dead_at IS NOT NULL")

# Events that wait to be sent, a row for each receiver. What is sent is deleted; what cannot be sent stays as dead.
OUTBOX = Table(
    "outbox",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False),  # of the event
    Column("receiver", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Double, nullable=False),  # when it happened
    Column("body", Text, nullable=False),  # the CloudEvent in JSON
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("due", Double, nullable=False, server_default="0"),  # when it is tried next
    _text("error"),  # of the last try
    Column("dead_at", Double),
    Index(None, "receiver", "seq", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index(None, "dead_at", "seq", sqlite_where=_DEAD, postgresql_where=_DEAD),
    sqlite_autoincrement=True,  # a number is never used again
)

# Receivers of events. ``holder``: the one process that sends to it, until a time.
EVENT_RECEIVERS = Table(
    "event_receivers",
    METADATA,
    Column("name", Text, primary_key=True),
    _text("holder"),
    Column("until", Double, nullable=False, server_default="0"),
    _count("sent"),
    _count("failures"),
    Column("sent_at", Double),
    Column("failed_at", Double),
    _text("error"),  # of the last failure
    Column("gone_at", Double),  # it wants no more events (410)
)

# Ids of events that no other row tells, so that each is put into the outbox once.
EVENT_IDS = Table(
    "event_ids",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Index(None, "at"),
)


# Services, routes, and overrides of addresses that were made at run time. ``version``: the change that made the row.
ROUTING_ENTRIES = Table(
    "routing_entries",
    METADATA,
    Column("kind", Text, primary_key=True),  # service, route, override
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON, as the admin API takes it
    Column("version", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    _text("changed_by"),
)

# Each change of these entries, forever: who changed what. ``seq`` is the version of all of them together.
ROUTING_CHANGES = Table(
    "routing_changes",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("before", Text),  # JSON; NULL: there was none
    Column("after", Text),  # JSON; NULL: it was deleted
    Column("at", Double, nullable=False),
    _text("by"),
    Index(None, "kind", "name", "seq"),
    sqlite_autoincrement=True,
)

# What active checks say of the addresses of services, from the one replica that makes them.
ADDRESS_HEALTH = Table(
    "address_health",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Column("healthy", Boolean, nullable=False),
    Column("since", Double, nullable=False),  # of this state
    Column("checked_at", Double, nullable=False),
    _text("error"),  # of the last failed check
)

# What one process of the fleet does at a time. ``holder`` has it until a time.
LEASES = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    _text("holder"),
    Column("until", Double, nullable=False, server_default="0"),
)


class Now(ColumnElement[float]):
    """The database's clock when the statement runs, not when its transaction began."""

    type = Double()
    inherit_cache = True


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    # unixepoch('subsec') came with SQLite 3.42; Debian 12 has 3.40.
    return "((julianday('now') - 2440587.5) * 86400.0)"
