"""The variables of libpq for a database URL, so that no password is on a command line."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from proxy.errors import ConfigError

# https://www.postgresql.org/docs/current/libpq-envars.html
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "database": "PGDATABASE",  # asyncpg's name
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "sslcompression": "PGSSLCOMPRESSION",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "require_auth": "PGREQUIREAUTH",
}
# libpq has no variables for these, and a command that ends soon does not need them.
_IGNORED = frozenset({"keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout"})


def variables(url: str) -> dict[str, str]:
    """Raises ConfigError for an option that has no variable. Its message contains no value."""
    parts = urlsplit(url)
    found = {
        "PGHOST": unquote(parts.hostname or ""),
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
    }
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _VARIABLES:
            found[_VARIABLES[name]] = value
        elif name not in _IGNORED:
            raise ConfigError([f"database.url: the commands of PostgreSQL have no variable for the option {name}"])
    return {name: value for name, value in found.items() if value}
