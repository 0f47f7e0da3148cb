"""Environment variables as settings: the values that each accepts, and what they become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import hash_of
from proxy.config.aliases import Report
from proxy.config.loader import load
from proxy.config.schema import Config
from proxy.config.variables import BY_NAME, VARIABLES
from tests.config.texts import SECRET, loaded, mistakes

GATEWAY_ENV = f"""\
# An environment file of a FastAPI gateway, placeholders filled in.
HOST=127.0.0.1
PORT=8000
DEBUG=false
LOG_LEVEL=INFO
ENVIRONMENT=production
APP_VERSION=1.0.0
REDIS_URL=redis://localhost:6379/0
REDIS_HOST=localhost
REDIS_PORT=6379
REDIS_DB=0
RATE_LIMIT_STORAGE=redis
RATE_LIMIT_REQUESTS_PER_MINUTE=60
RATE_LIMIT_REQUESTS_PER_HOUR=1000
JWT_SECRET_KEY={SECRET}
JWT_ALGORITHM=HS256
JWT_ACCESS_TOKEN_EXPIRE_MINUTES=45
BILLING_ENABLED=true
BILLING_CURRENCY=USD
BILLING_DEFAULT_BALANCE=12.5
RETRY_ENABLED=true
RETRY_MAX_ATTEMPTS=4
RETRY_BASE_DELAY=0.5
RETRY_MAX_DELAY=60.0
CIRCUIT_BREAKER_ENABLED=true
CIRCUIT_BREAKER_FAILURE_THRESHOLD=7
CIRCUIT_BREAKER_RECOVERY_TIMEOUT=30
PROMETHEUS_ENABLED=true
SENTRY_DSN=
CORS_ORIGINS=["http://localhost:3000", "https://chat.example.org"]
ALLOWED_HOSTS=["localhost", "gateway.example.org"]
DATABASE_URL=postgresql+asyncpg://user:password@localhost/gateway
OPENAI_API_KEY=sk-1
"""


def setting(config: Config, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def test_an_environment_file_of_a_fastapi_gateway_works_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(GATEWAY_ENV)
    found = load(None, {}, tmp_path / ".env")
    config = found.config
    assert (config.server.host, config.server.port, config.logging.level) == ("127.0.0.1", 8000, "info")
    assert config.server.cors_origins == ["http://localhost:3000", "https://chat.example.org"]
    assert config.server.allowed_hosts == ["localhost", "gateway.example.org"]
    assert (config.redis.url, config.rate_limiting.store) == ("redis://localhost:6379/0", "redis")
    per_client = config.rate_limiting.per_client
    assert config.rate_limiting.enabled
    assert per_client is not None
    assert (per_client.requests_per_minute, per_client.requests_per_hour) == (60, 1000)
    assert config.auth.mode == "jwt"
    assert config.auth.jwt is not None
    assert (config.auth.jwt.secret, config.auth.jwt.algorithms) == (SECRET, ["HS256"])
    assert config.auth.jwt.token_minutes == 45
    assert (config.routing.max_retries, config.routing.retry_delay) == (4, 500)
    breaker = config.circuit_breaker
    assert (breaker.enabled, breaker.failure_threshold, breaker.cooldown_period_secs) == (True, 7, 30)
    assert config.observe.sentry.environment == "production"
    assert config.database.url == "postgresql://user:password@localhost/gateway"
    assert (config.billing.enabled, config.billing.currency, config.billing.default_balance) == (True, "USD", 12.5)
    assert list(config.providers) == ["openai"]
    report = found.variables
    assert report.overridden == report.not_understood == report.placeholders == []
    assert report.without_effect == ["APP_VERSION"]
    assert set(report.in_force) | set(report.without_effect) == {
        line.partition("=")[0] for line in GATEWAY_ENV.splitlines()[1:] if not line.endswith("=")
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [("api", "/api/v1"), ("/api", "/api/v1"), ("/api/", "/api/v1"), ("api/v1", "/api/v1"), ("/llm/v2/", "/llm/v2"),
     ("/", "/v1"), ("/v1", "/v1"), ("//api//v1", "/api/v1")],
)  # fmt: skip
def test_the_base_path_is_a_prefix_of_the_versioned_api(tmp_path: Path, text: str, path: str) -> None:
    assert loaded(tmp_path, API_BASE_PATH=text).config.server.base_path == path


@pytest.mark.parametrize(
    ("text", "level"),
    [("warn", "warning"), ("WARN", "warning"), ("warning", "warning"), ("fatal", "error"), ("CRITICAL", "error"),
     ("trace", "debug"), ("verbose", "debug"), ("log", "info"), ("Info", "info")],
)  # fmt: skip
def test_log_levels_of_other_loggers_are_understood(tmp_path: Path, text: str, level: str) -> None:
    assert loaded(tmp_path, LOG_LEVEL=text).config.logging.level == level


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("LISTEN_INSECURE", "true", "server.insecure", True),
        ("SLUICE_INSECURE", "1", "server.insecure", True),
        ("LISTEN_UNIX_SOCKET", "/run/s", "server.unix_socket", "/run/s"),
        ("LISTEN_UNIX_SOCKET_MODE", "0660", "server.unix_socket_mode", "0660"),
        ("DATA_DIR", "/data", "data_dir", "/data"),
        ("HOST", "0.0.0.0", "server.host", "0.0.0.0"),
        ("HOST", "::1", "server.host", "::1"),
        ("HOST", "localhost", "server.host", "localhost"),
        ("PORT", "80", "server.port", 80),
        ("DEBUG", "True", "logging.level", "debug"),
        ("DEBUG", "0", "logging.level", "info"),
        ("REDIS_HOST", "cache", "redis.url", "redis://cache:6379/0"),
        ("REDIS_PORT", "tcp://10.0.0.1:6380", "redis.url", "redis://127.0.0.1:6380/0"),
        ("REDIS_DB", "3", "redis.url", "redis://127.0.0.1:6379/3"),
        ("RATE_LIMIT_STORAGE", "memory://", "rate_limiting.store", "memory"),
        ("RATE_LIMIT_STORAGE", "redis://cache/1", "redis.url", "redis://cache/1"),
        ("RETRY_ENABLED", "false", "routing.max_retries", 0),
        ("RETRY_ENABLED", "false", "routing.rate_limit_retries", 0),
        ("RETRY_BASE_DELAY", "2", "routing.retry_delay", 2000),
        ("RETRY_MAX_DELAY", "60.0", "routing.max_retry_delay", 60_000),
        ("CIRCUIT_BREAKER_ENABLED", "False", "circuit_breaker.enabled", False),
        ("PROMETHEUS_ENABLED", "false", "admin.protect_metrics", True),
        ("SENTRY_DSN", "https://k@o1.ingest.sentry.io/2", "observe.sentry.dsn", "https://k@o1.ingest.sentry.io/2"),
        ("CORS_ORIGINS", "http://a, http://b:1,", "server.cors_origins", ["http://a", "http://b:1"]),
        ("CORS_ORIGINS", '["*"]', "server.cors_origins", ["*"]),
        ("ALLOWED_HOSTS", "A.example.org:8000,b", "server.allowed_hosts", ["a.example.org", "b"]),
    ],
)  # fmt: skip
def test_a_variable_sets_its_setting(tmp_path: Path, name: str, text: str, path: str, value: object) -> None:
    found = loaded(tmp_path, **{name: text})
    assert setting(found.config, path) == value
    assert found.variables == Report(in_force=[name])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", "my-laptop"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("DEBUG", "express:*"),
        ("REDIS_URL", "http://cache"),
        ("REDIS_PORT", "none"),
        ("RATE_LIMIT_STORAGE", "memcached"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "0"),
        ("RETRY_MAX_ATTEMPTS", "three"),
        ("RETRY_BASE_DELAY", "inf"),
        ("RETRY_BASE_DELAY", "1s"),
        ("RETRY_ENABLED", "maybe"),
        ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "-1"),
        ("SENTRY_DSN", "https://your-sentry-dsn@sentry.io/project-id"),
        ("CORS_ORIGINS", '["http://a"'),
        ("CORS_ORIGINS", "localhost:3000"),
        ("ALLOWED_HOSTS", "[1]"),
    ],
)
def test_unknown_values_are_reported_as_notices(tmp_path: Path, name: str, text: str) -> None:
    found = loaded(tmp_path, **{name: text})
    assert found.config == Config()
    assert found.variables == Report(not_understood=[name])


def test_every_variable_is_documented_once() -> None:
    assert len(BY_NAME) == len(VARIABLES)
    assert all(variable.text and variable.example for variable in VARIABLES)


KEYS = ["sk-the-first-key-of-a-test", "sk-the-second-key-of-a-test"]


@pytest.mark.parametrize(
    "text", [",".join(KEYS), f" {KEYS[0]} , {KEYS[1]},", json.dumps(KEYS), ",".join([*KEYS, KEYS[0]])]
)
def test_keys_of_clients(tmp_path: Path, text: str) -> None:
    found = loaded(tmp_path, SLUICE_API_KEYS=text)
    auth = found.config.auth
    assert (auth.mode, [key.hash for key in auth.keys]) == ("keys", [hash_of(key) for key in KEYS])
    assert [key.name for key in auth.keys] == [f"key-{key.hash[-8:]}" for key in auth.keys]
    assert found.variables == Report(in_force=["SLUICE_API_KEYS"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (" ,", "has no key; unset it, or name one or more, separated by commas"),
        (f"{KEYS[0]},short", "key 2 must have at least 20 characters; make one with `sluice key new`"),
        (f"{KEYS[0]},your_long_secret_key_here", "key 2 is a placeholder; make keys with `sluice key new`"),
        ("sk-a-key-with spaces-in-it", "key 1 must be printable ASCII text without spaces"),
        ("sk-a-key-with-\u00e9-in-its-text", "key 1 must be printable ASCII text without spaces"),
        ('["sk-a-key-of-a-test-in-a-list"', "is no valid JSON list"),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str, complaint: str) -> None:
    """Ignoring it would leave the gateway open."""
    assert mistakes(tmp_path, SLUICE_API_KEYS=text) == [f"environment: SLUICE_API_KEYS: {complaint}"]
    assert mistakes(tmp_path, "auth: {mode: keys}", SLUICE_API_KEYS=text)


@pytest.mark.parametrize("text", ["auth: {mode: keys}", "auth: {mode: any, jwt: {secret: '" + SECRET + "'}}"])
def test_a_file_with_the_mode_leaves_the_keys_to_the_variable(tmp_path: Path, text: str) -> None:
    found = loaded(tmp_path, text, SLUICE_API_KEYS=KEYS[0])
    assert [key.hash for key in found.config.auth.keys] == [hash_of(KEYS[0])]
    assert found.config.auth.mode in text


def test_the_first_of_two_credentials_applies(tmp_path: Path) -> None:
    found = loaded(tmp_path, SLUICE_API_KEYS=KEYS[0], JWT_SECRET_KEY=SECRET)
    assert (found.config.auth.mode, found.variables.overridden) == ("keys", ["JWT_SECRET_KEY"])


LANGFUSE = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-2"}
CLOUD = "https://cloud.langfuse.com/api/public/otel/v1/traces"


@pytest.mark.parametrize(
    ("more", "endpoint"),
    [
        ({}, CLOUD),
        ({"LANGFUSE_HOST": "http://10.0.0.1:3000/"}, "http://10.0.0.1:3000/api/public/otel/v1/traces"),
        ({"LANGFUSE_HOST": "http://a", "LANGFUSE_BASE_URL": "http://b"}, "http://b/api/public/otel/v1/traces"),
    ],
)
def test_keys_of_langfuse_switch_tracing_on(tmp_path: Path, more: dict[str, str], endpoint: str) -> None:
    found = loaded(tmp_path, **LANGFUSE, **more)
    tracing = found.config.observe.tracing
    assert (tracing.enabled, tracing.endpoint) == (True, endpoint)
    assert tracing.headers == {"Authorization": "Basic cGstbGYtMTpzay1sZi0y"}
    assert "cGst" not in repr(tracing)
    assert set(found.variables.in_force) == LANGFUSE.keys() | more.keys()


@pytest.mark.parametrize("name", [*LANGFUSE, "LANGFUSE_HOST"])
def test_one_variable_of_langfuse_alone_changes_nothing(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, **{name: "http://a"}).config == Config()


def test_an_address_of_langfuse_that_is_none_is_reported(tmp_path: Path) -> None:
    found = loaded(tmp_path, **LANGFUSE, LANGFUSE_HOST="cloud")
    assert found.config == Config()
    assert set(found.variables.not_understood) == {*LANGFUSE, "LANGFUSE_HOST"}


@pytest.mark.parametrize(
    "section", ["{endpoint: 'http://mine/v1/traces'}", "{headers: {X-Key: k}}", "{enabled: false}"]
)
def test_a_file_that_configures_tracing_overrides_langfuse(tmp_path: Path, section: str) -> None:
    text = f"observe: {{tracing: {section}}}"
    found = loaded(tmp_path, text, **LANGFUSE)
    assert found.config == loaded(tmp_path, text).config
    assert set(found.variables.overridden) == set(LANGFUSE)


def test_a_unix_socket_of_the_gateways_own_variable_overrides_the_address(tmp_path: Path) -> None:
    found = loaded(tmp_path, LISTEN_UNIX_SOCKET="/run/s", HOST="0.0.0.0", PORT="1")
    assert found.config.server.unix_socket == "/run/s"
    assert found.variables == Report(in_force=["LISTEN_UNIX_SOCKET"], overridden=["HOST", "PORT"])


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("auth: {mode: keys}", {}),
        ("auth: {mode: any, jwt: {secret: '" + SECRET + "'}}", {}),
        ("auth: {mode: jwt, jwt: {secret: '" + SECRET + "'}}\nbilling: {enabled: true}", {}),
        ("auth: {mode: jwt, jwt: {secret: '" + SECRET + "'}}\nbilling: {enabled: '${BALANCES}'}", {"BALANCES": "true"}),
        ("auth: {mode: jwt, jwt: {secret: '" + SECRET + "'}}", {"BILLING_ENABLED": "1"}),
    ],
)
def test_the_database_is_that_of_the_variable_where_keys_or_balances_need_one(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    found = loaded(tmp_path, text, DATABASE_URL="sqlite:///x.db", **environ)
    assert found.config.database.url == "sqlite:///x.db"


def test_a_database_of_another_program_is_not_used(tmp_path: Path) -> None:
    found = loaded(tmp_path, "billing: {enabled: false}", DATABASE_URL="sqlite:///x.db", JWT_SECRET_KEY=SECRET)
    assert found.config.database.url == ""
    assert found.variables.without_effect == ["DATABASE_URL"]


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"BILLING_ENABLED": "maybe"}, "BILLING_ENABLED: expected true or false, got 'maybe'"),
        (
            {"BILLING_ENABLED": "true"},
            "BILLING_ENABLED: needs authentication, as an account belongs to who calls: set auth.mode",
        ),
        ({"BILLING_CURRENCY": "EUR"}, "BILLING_CURRENCY: EUR needs usdRate: how many EUR are one USD"),
        ({"BILLING_CURRENCY": "$"}, "BILLING_CURRENCY: expected the three letters of a currency, such as EUR"),
        ({"BILLING_USD_RATE": "0.9"}, "BILLING_USD_RATE: needs a currency other than USD"),
        ({"BILLING_DEFAULT_BALANCE": "-1"}, "BILLING_DEFAULT_BALANCE: must be at least 0, got '-1'"),
    ],
)
def test_a_setting_of_balances_that_cannot_be_used_stops_the_start(
    tmp_path: Path, environ: dict[str, str], complaint: str
) -> None:
    """Ignoring it would let clients spend without a bound."""
    (line,) = mistakes(tmp_path, **environ)
    assert line.replace('"', "'") == f"environment: {complaint}"


def test_another_currency_needs_its_rate(tmp_path: Path) -> None:
    billing = loaded(tmp_path, BILLING_CURRENCY="eur", BILLING_USD_RATE="0.86").config.billing
    assert (billing.currency, billing.rate) == ("EUR", 0.86)


SUPABASE = {"SUPABASE_URL": "https://abc.supabase.co", "SUPABASE_KEY": "k"}


@pytest.mark.parametrize(
    ("text", "more", "named"),
    [
        ("{}", {}, True),
        ("auth: {mode: keys}", {}, True),
        ("auth: {mode: keys}", {"DATABASE_URL": "sqlite:///x.db"}, False),
        ("database: {url: 'sqlite:///x.db'}", {}, False),
    ],
)
def test_supabase_is_answered_with_the_variable_of_the_database(
    tmp_path: Path, text: str, more: dict[str, str], named: bool
) -> None:
    found = loaded(tmp_path, text, **SUPABASE, **more)
    notices = [notice for notice in found.notices if notice.startswith("SUPABASE_URL: ")]
    assert ["set DATABASE_URL to the connection string" in notice for notice in notices] == [True] * named
    assert found.variables.without_effect == list(SUPABASE)
