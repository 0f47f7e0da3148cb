"""The address of the database: the configured URL, or a file in the data directory."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from msgspec import Struct

from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.config.schema import Database

FILE = "sluice.db"

# Options that only libpq understands. asyncpg would send them to the server as settings, which rejects them.
_LIBPQ_ONLY = frozenset(
    {"channel_binding", "connect_timeout", "gssencmode", "keepalives", "keepalives_count", "keepalives_idle"}
    | {"keepalives_interval", "require_auth", "sslcompression", "sslsni", "tcp_user_timeout"}
)

_MODULES = {
    "sqlite": (("sqlalchemy.ext.asyncio", "greenlet", "aiosqlite", "alembic"), "database"),
    "postgresql": (("sqlalchemy.ext.asyncio", "greenlet", "asyncpg", "alembic"), "postgres"),
}


class Address(Struct, frozen=True):
    """``target``: path of a file, or a URL for asyncpg, which may contain a password."""

    kind: Literal["sqlite", "postgresql"]
    target: str

    def __repr__(self) -> str:
        """Without the password: logs and tracebacks show it."""
        return f"Address({self})"

    def __str__(self) -> str:
        """Without the password and the options, for messages."""
        if self.kind == "sqlite":
            return self.target
        parts = urlsplit(self.target)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def address_of(settings: Database, data_dir: str | Path) -> Address:
    """The address in a configuration that was checked (``config.backends.database_url``)."""
    url = settings.url
    if not url:
        return Address("sqlite", str(Path(data_dir) / FILE))
    if url.startswith("sqlite:///"):
        return Address("sqlite", unquote(url.removeprefix("sqlite:///")))
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _LIBPQ_ONLY]
    return Address("postgresql", parts._replace(scheme="postgresql", query=urlencode(query)).geturl())


def require(address: Address) -> None:
    """Raises ConfigError if a package is missing that this kind of database needs."""
    modules, extra = _MODULES[address.kind]
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            package = module.partition(".")[0]
            text = f"database: {package} is not installed; {_NAMES[address.kind]} needs sluice-gateway[{extra}]"
            raise ConfigError([text]) from None


def missing_package(address: Address) -> str:
    """The same as a sentence, without importing a package; ``""``: none is missing."""
    modules, extra = _MODULES[address.kind]
    for module in modules:
        package = module.partition(".")[0]
        if find_spec(package) is None:
            return f"{package} is not installed; {_NAMES[address.kind]} needs sluice-gateway[{extra}]"
    return ""


_NAMES = {"sqlite": "the SQLite file", "postgresql": "PostgreSQL"}
