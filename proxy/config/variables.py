"""Table of the environment variables that the gateway knows, and the settings that they stand for.

Used for loading (``aliases``), the start line, ``--help`` and ``.env.example``. The type of a setting decides how its
text is converted; ``values`` translates only what differs. It raises ``ValueError`` for texts that it does not accept.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Final

from msgspec import Struct

from proxy.config.known_providers import HOSTED
from proxy.config.texts import flag, is_placeholder, listed

# By setting, which is a dotted path of keys: its text, or a mapping or list of mappings as the file would have it.
Values = Mapping[str, str | dict[str, str] | list[dict[str, str]]]

SHORTEST_KEY: Final = 20  # characters, as for `sluice key hash`


class Variable(Struct, frozen=True):
    """One variable. ``text`` explains it in a line; ``example`` is its value in ``.env.example``.

    ``values``: settings from the text and the whole environment; ``None``: it is no setting. ``wins``: it overrides the
    file; otherwise the file overrides it. ``blocked_by``: further settings that override it. ``needs``: settings, and
    their values (none: any); one of them gives the variable its effect. ``strict``: a text that is not accepted is a
    mistake, as it is with ``wins``; otherwise it is reported. ``unused``: it never has an effect. Then ``instead`` is
    a sentence that says what does, unless a setting of ``blocked_by`` is set.
    """

    name: str
    text: str
    example: str = ""
    values: Callable[[str, Mapping[str, str]], Values] | None = None
    wins: bool = False
    strict: bool = False
    blocked_by: tuple[str, ...] = ()
    needs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unused: bool = False
    instead: str = ""


def _to(*paths: str) -> Callable[[str, Mapping[str, str]], Values]:
    """The same text for every path."""
    return lambda text, environment: dict.fromkeys(paths, text)


# Levels of pino, winston, NestJS, uvicorn and syslog; the setting itself accepts `warn`.
_LEVELS: Final = {
    "trace": "debug",
    "verbose": "debug",
    "log": "info",
    "notice": "info",
    "critical": "error",
    "fatal": "error",
    "silent": "error",
}


def _log_level(text: str, environment: Mapping[str, str]) -> Values:
    level = text.strip()
    return {"logging.level": _LEVELS.get(level.lower(), level)}


def _base_path(text: str, environment: Mapping[str, str]) -> Values:
    # A prefix of the versioned API: "api" and "/api" mean /api/v1. A path that ends with a version is used unchanged.
    path = "/".join(filter(None, text.strip().split("/")))
    if not re.search(r"(^|/)v[0-9]+$", path):
        path = f"{path}/v1" if path else "v1"
    return {"server.basePath": f"/{path}"}


_ADDRESS = re.compile(r"localhost|[0-9.]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")


def _host(text: str, environment: Mapping[str, str]) -> Values:
    # tcsh and some build systems set HOST to the machine's name, which is not an address to listen on.
    if not _ADDRESS.fullmatch(text.strip()):
        raise ValueError("expected an IP address or localhost")
    return {"server.host": text.strip()}


def _debug(text: str, environment: Mapping[str, str]) -> Values:
    return {"logging.level": "debug"} if flag(text) else {}


def _redis_parts(text: str, environment: Mapping[str, str]) -> Values:
    host = environment.get("REDIS_HOST") or "127.0.0.1"
    port = environment.get("REDIS_PORT") or "6379"
    if port.startswith("tcp://"):  # set by Kubernetes for a service named redis
        port = port.rpartition(":")[2]
    database = environment.get("REDIS_DB") or "0"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or not port.isdecimal() or not database.isdecimal():
        raise ValueError("expected a host name, a port and the number of a database")
    return {"redis.url": f"redis://{host}:{port}/{database}"}


def _limit_store(text: str, environment: Mapping[str, str]) -> Values:
    store, colon, _ = text.strip().partition(":")
    if colon and store in ("redis", "rediss", "unix"):
        return {"rateLimiting.store": "redis", "redis.url": text.strip()}
    return {"rateLimiting.store": store.lower()}


def _per_client(key: str) -> Callable[[str, Mapping[str, str]], Values]:
    return lambda text, environment: {"rateLimiting.enabled": "true", f"rateLimiting.perClient.{key}": text}


def _jwt_secret(text: str, environment: Mapping[str, str]) -> Values:
    return {"auth.mode": "jwt", "auth.jwt.secret": text}


def _api_keys(text: str, environment: Mapping[str, str]) -> Values:
    import hashlib

    # Messages do not repeat keys. Names follow from the keys, so that they do not change with the order.
    keys = list(dict.fromkeys(listed(text)))
    if not keys:
        raise ValueError("has no key; unset it, or name one or more, separated by commas")
    for number, key in enumerate(keys, start=1):
        if is_placeholder(key):
            raise ValueError(f"key {number} is a placeholder; make keys with `sluice key new`")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(f"key {number} must be printable ASCII text without spaces")
        if len(key) < SHORTEST_KEY:
            text = f"key {number} must have at least {SHORTEST_KEY} characters"
            raise ValueError(f"{text}; make one with `sluice key new`")
    hashes = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    return {
        "auth.mode": "keys",
        "auth.keys": [{"name": f"key-{each[-8:]}", "hash": f"sha256:{each}"} for each in hashes],
    }


def _retry_enabled(text: str, environment: Mapping[str, str]) -> Values:
    return {} if flag(text) else {"routing.maxRetries": "0", "routing.rateLimitRetries": "0"}


def _milliseconds(path: str) -> Callable[[str, Mapping[str, str]], Values]:
    return lambda text, environment: {path: str(round(float(text) * 1000))}


def _prometheus(text: str, environment: Mapping[str, str]) -> Values:
    return {} if flag(text) else {"admin.protectMetrics": "true"}


def _sentry(text: str, environment: Mapping[str, str]) -> Values:
    # https://KEY@HOST/PROJECT with a numeric project; placeholders have a word there.
    if not re.fullmatch(r"https?://[^@/\s]+@[^@\s]+/[0-9]+", text.strip()):
        raise ValueError("expected a DSN")
    if find_spec("sentry_sdk") is None:
        raise ValueError("needs the extra sentry")
    return {"observe.sentry.dsn": text.strip()}


def _langfuse(text: str, environment: Mapping[str, str]) -> Values:
    # https://langfuse.com/integrations/native/opentelemetry. Without both keys, it is about another program.
    public, secret = environment.get("LANGFUSE_PUBLIC_KEY"), environment.get("LANGFUSE_SECRET_KEY")
    if not public or not secret:
        return {}
    if not _has_otlp():
        raise ValueError("needs the extra otel")
    host = environment.get("LANGFUSE_BASE_URL") or environment.get("LANGFUSE_HOST") or "https://cloud.langfuse.com"
    credential = b64encode(f"{public.strip()}:{secret.strip()}".encode()).decode()
    return {
        "observe.tracing.enabled": "true",
        "observe.tracing.endpoint": f"{host.strip().rstrip('/')}/api/public/otel/v1/traces",
        "observe.tracing.headers": {"Authorization": f"Basic {credential}"},
    }


def _has_otlp() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # not even its namespace
        return False


def _hosts(text: str, environment: Mapping[str, str]) -> Values:
    hosts = [re.sub(r":[0-9]+$", "", host) for host in listed(text)]
    return {"server.allowedHosts": ",".join(hosts)}


def _database(text: str, environment: Mapping[str, str]) -> Values:
    # SQLAlchemy's URLs name the driver, which the gateway chooses itself.
    return {"database.url": re.sub(r"^(postgresql|postgres|sqlite)\+[a-z0-9]+:", r"\1:", text.strip())}


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable("ROUTER_CONFIG_PATH", "the configuration file", "config/config.yaml"),
    Variable("LISTEN_HOST", "address to listen on (server.host)", "127.0.0.1", _to("server.host"), wins=True),
    Variable("LISTEN_PORT", "port to listen on (server.port)", "8080", _to("server.port"), wins=True),
    Variable(
        "LISTEN_UNIX_SOCKET",
        "path of a unix socket to listen on instead (server.unixSocket)",
        "/run/sluice/api.sock",
        _to("server.unixSocket"),
        wins=True,
    ),
    Variable(
        "LISTEN_UNIX_SOCKET_MODE",
        "permissions of that socket; 0666: for every user (server.unixSocketMode)",
        "0600",
        _to("server.unixSocketMode"),
        wins=True,
    ),
    Variable(
        "LISTEN_INSECURE",
        "true: an address beyond this machine needs no authentication (server.insecure)",
        "false",
        _to("server.insecure"),
        wins=True,
    ),
    Variable("SLUICE_INSECURE", "1: the same as LISTEN_INSECURE=true", "0", _to("server.insecure"), wins=True),
    Variable(
        "API_BASE_PATH", "prefix of the API beside /v1: api is /api/v1 (server.basePath)", "/api", _base_path, wins=True
    ),
    Variable("LOG_LEVEL", "debug, info, warn or error (logging.level)", "info", _log_level, wins=True),
    Variable("HOST", "address to listen on (server.host)", "127.0.0.1", _host, blocked_by=("server.unixSocket",)),
    Variable("PORT", "port to listen on (server.port)", "8080", _to("server.port"), blocked_by=("server.unixSocket",)),
    Variable("DEBUG", "true: log level debug (logging.level)", "false", _debug),
    Variable(
        "ENVIRONMENT",
        "environment in Sentry reports (observe.sentry.environment)",
        "production",
        _to("observe.sentry.environment"),
    ),
    Variable("APP_VERSION", "without effect: the gateway reports its own version", "1.0.0", unused=True),
    Variable("REDIS_URL", "Redis that replicas share (redis.url)", "redis://127.0.0.1:6379/0", _to("redis.url")),
    Variable("REDIS_HOST", "its host, without REDIS_URL", "127.0.0.1", _redis_parts),
    Variable("REDIS_PORT", "its port, without REDIS_URL", "6379", _redis_parts),
    Variable("REDIS_DB", "number of its database, without REDIS_URL", "0", _redis_parts),
    Variable("RATE_LIMIT_STORAGE", "memory, redis or a Redis URL (rateLimiting.store)", "memory", _limit_store),
    Variable(
        "RATE_LIMIT_REQUESTS_PER_MINUTE",
        "switches limits on: per client (rateLimiting.perClient.requestsPerMinute)",
        "60",
        _per_client("requestsPerMinute"),
    ),
    Variable(
        "RATE_LIMIT_REQUESTS_PER_HOUR",
        "switches limits on: per client (rateLimiting.perClient.requestsPerHour)",
        "1000",
        _per_client("requestsPerHour"),
    ),
    Variable(
        "SLUICE_API_KEYS",
        "keys of clients, which then need one: a JSON list or commas (auth.mode keys, auth.keys)",
        "your_key_here",
        _api_keys,
        strict=True,
    ),
    Variable(
        "JWT_SECRET_KEY",
        "32 bytes or more; clients need a JWT (auth.mode jwt, auth.jwt.secret)",
        "your_jwt_secret_here",
        _jwt_secret,
        blocked_by=("auth.jwt.publicKeyFile", "auth.jwt.jwksUrl"),
    ),
    Variable(
        "JWT_ALGORITHM",
        "algorithm of JWT_SECRET_KEY (auth.jwt.algorithms)",
        "HS256",
        _to("auth.jwt.algorithms"),
        needs=(("auth.jwt.secret", ()),),
    ),
    Variable(
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        "how long tokens of `sluice token new` are valid (auth.jwt.tokenMinutes)",
        "30",
        _to("auth.jwt.tokenMinutes"),
        needs=(("auth.jwt.secret", ()),),
    ),
    Variable("BILLING_ENABLED", "true: balances (billing.enabled)", "false", _to("billing.enabled"), strict=True),
    Variable(
        "BILLING_CURRENCY", "currency of balances (billing.currency)", "USD", _to("billing.currency"), strict=True
    ),
    Variable(
        "BILLING_USD_RATE",
        "how much of that currency is one USD (billing.usdRate)",
        "1.0",
        _to("billing.usdRate"),
        strict=True,
    ),
    Variable(
        "BILLING_DEFAULT_BALANCE",
        "what a new account gets (billing.defaultBalance)",
        "0",
        _to("billing.defaultBalance"),
        strict=True,
    ),
    Variable("RETRY_ENABLED", "false: no retries (routing.maxRetries, rateLimitRetries)", "true", _retry_enabled),
    Variable("RETRY_MAX_ATTEMPTS", "attempts before the fallback (routing.maxRetries)", "3", _to("routing.maxRetries")),
    Variable(
        "RETRY_BASE_DELAY",
        "seconds before the first retry (routing.retryDelay, in ms)",
        "1.0",
        _milliseconds("routing.retryDelay"),
    ),
    Variable(
        "RETRY_MAX_DELAY",
        "seconds that a retry waits at most (routing.maxRetryDelay, in ms)",
        "60.0",
        _milliseconds("routing.maxRetryDelay"),
    ),
    Variable(
        "CIRCUIT_BREAKER_ENABLED",
        "false: no breaker opens (circuitBreaker.enabled)",
        "true",
        _to("circuitBreaker.enabled"),
    ),
    Variable(
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "failures in a row that open a breaker (circuitBreaker.failureThreshold)",
        "3",
        _to("circuitBreaker.failureThreshold"),
    ),
    Variable(
        "CIRCUIT_BREAKER_RECOVERY_TIMEOUT",
        "seconds until an open breaker admits a probe (circuitBreaker.cooldownPeriodSecs)",
        "60",
        _to("circuitBreaker.cooldownPeriodSecs"),
    ),
    Variable("PROMETHEUS_ENABLED", "false: /metrics needs the admin token (admin.protectMetrics)", "true", _prometheus),
    Variable("SENTRY_DSN", "where unexpected errors are reported (observe.sentry.dsn)", "https://key@host/1", _sentry),
    Variable(
        "LANGFUSE_PUBLIC_KEY",
        "with the next one: traces are sent to Langfuse (observe.tracing)",
        "your_langfuse_public_key_here",
        _langfuse,
    ),
    Variable("LANGFUSE_SECRET_KEY", "its secret key", "your_langfuse_secret_key_here", _langfuse),
    Variable("LANGFUSE_BASE_URL", "its address", "https://cloud.langfuse.com", _langfuse),
    Variable("LANGFUSE_HOST", "its address, without LANGFUSE_BASE_URL", "https://cloud.langfuse.com", _langfuse),
    Variable(
        "CORS_ORIGINS",
        "web pages that may call: a JSON list or commas (server.corsOrigins)",
        "https://chat.example.org,http://localhost:*",
        _to("server.corsOrigins"),
    ),
    Variable(
        "ALLOWED_HOSTS",
        "names of the gateway: a JSON list or commas (server.allowedHosts)",
        "gateway.example.org",
        _hosts,
    ),
    Variable(
        "DATABASE_URL",
        "database (database.url), where auth.mode is keys or any, or billing.enabled is true",
        "sqlite:///data/sluice.db",
        _database,
        needs=(("auth.mode", ("keys", "any")), ("billing.enabled", ("true",))),
    ),
    Variable(
        "SUPABASE_URL",
        "without effect: DATABASE_URL names the database",
        "https://abc.supabase.co",
        blocked_by=("database.url",),
        unused=True,
        instead="the gateway does not use the API of Supabase; set DATABASE_URL to the connection string of the"
        " project's PostgreSQL database (postgresql://...)",
    ),
    Variable(
        "RABBITMQ_URL",
        "message broker that gets events (events.url)",
        "amqp://guest:guest@127.0.0.1:5672/",
        _to("events.url"),
        strict=True,
    ),
    Variable(
        "LEDGER_MODE",
        "events: the ledger goes to that broker (ledger.mode)",
        "database",
        _to("ledger.mode"),
        strict=True,
    ),
    Variable("SUPABASE_KEY", "without effect: DATABASE_URL has the credential", "your_supabase_key_here", unused=True),
    Variable("DATA_DIR", "folder of the admin token and the SQLite database (dataDir)", "data", _to("dataDir")),
    Variable("CONSUL_HTTP_ADDR", "the Consul agent, without discovery.consul.url", "127.0.0.1:8500"),
    Variable("CONSUL_HTTP_TOKEN", "its token, without discovery.consul.token", "your_consul_token_here"),
    Variable("CONSUL_HTTP_SSL", "true: https, where CONSUL_HTTP_ADDR is no URL", "false"),
    Variable("XDG_CACHE_HOME", "folder for the last valid list of a modelsFile URL", "~/.cache"),
    Variable("HTTPS_PROXY", "proxy to https:// providers", "http://proxy.example.org:3128"),
    Variable("HTTP_PROXY", "proxy to http:// providers", "http://proxy.example.org:3128"),
    Variable("ALL_PROXY", "proxy to all providers", "http://proxy.example.org:3128"),
    Variable("NO_PROXY", "hosts that are reached without a proxy", "localhost,10.0.0.0/8"),
    *(
        Variable(known.key_variable, f"key of the provider {name}", f"your_{known.key_variable.lower()}_here")
        for name, known in HOSTED.items()
    ),
)

BY_NAME: Final = {variable.name: variable for variable in VARIABLES}
