"""The tables as of the newest migration.

Times are Unix seconds of the database's clock, so that replicas whose clocks differ agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

# Constraints need names, so that a later migration can change them.
METADATA = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})

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
    Index(None, "hash", unique=True),
    Index(None, "previous_hash", unique=True),
    Index(None, "created_at", "id"),
    Index(None, "changed_at", "id"),
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
