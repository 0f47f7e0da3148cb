"""Environment variables as settings: precedence with the file, and the report."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.aliases import Report
from proxy.config.loader import Loaded, load
from proxy.config.schema import Config
from proxy.config.variables import BY_NAME, VARIABLES
from proxy.errors import ConfigError

SECRET = "a-secret-of-exactly-32-bytes-long"

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


def loaded(folder: Path, text: str = "{}", **environ: str) -> Loaded:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ)


def mistakes(folder: Path, text: str = "{}", **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **environ)
    return [line.removeprefix(f"{folder}/") for line in caught.value.mistakes]


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
    assert (config.routing.max_retries, config.routing.retry_delay) == (4, 500)
    breaker = config.circuit_breaker
    assert (breaker.enabled, breaker.failure_threshold, breaker.cooldown_period_secs) == (True, 7, 30)
    assert config.observe.sentry.environment == "production"
    assert config.database.url == ""
    assert list(config.providers) == ["openai"]
    report = found.variables
    assert report.overridden == report.not_understood == report.placeholders == []
    assert report.without_effect == ["APP_VERSION", "DATABASE_URL"]
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


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("server: {host: 10.0.0.1, port: 1}", {"HOST": "0.0.0.0", "PORT": "2"}),
        ("server: {unixSocket: /run/s}", {"HOST": "0.0.0.0", "PORT": "2"}),
        ("server: {port: '${MY_PORT:-5}'}", {"PORT": "2"}),
        ("rateLimiting: {enabled: false}", {"RATE_LIMIT_REQUESTS_PER_MINUTE": "9"}),
        ("rateLimiting: {enabled: true, perClient: {requestsPerMinute: 3}}", {"RATE_LIMIT_REQUESTS_PER_MINUTE": "9"}),
        ("auth: {mode: none}", {"JWT_SECRET_KEY": SECRET}),
        ("auth: {jwt: {jwksUrl: 'http://a/b'}, mode: jwt}", {"JWT_SECRET_KEY": SECRET}),
        ("routing: {maxRetries: 3}", {"RETRY_ENABLED": "false", "RETRY_MAX_ATTEMPTS": "5"}),
        ("circuitBreaker: {failureThreshold: 3}", {"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "5"}),
        ("logging: {level: error}", {"DEBUG": "true"}),
        ("server: {corsOrigins: [http://a], allowedHosts: [a]}", {"CORS_ORIGINS": "http://b", "ALLOWED_HOSTS": "b"}),
        ("server: {corsOrigins: [], allowedHosts: '${H:-a}'}", {"CORS_ORIGINS": "http://b", "ALLOWED_HOSTS": "b"}),
    ],
)
def test_the_file_wins_over_an_alias(tmp_path: Path, text: str, variables: dict[str, str]) -> None:
    found = loaded(tmp_path, text, **variables)
    assert found.config == loaded(tmp_path, text).config
    assert found.variables == Report(overridden=list(variables))


def test_an_alias_applies_to_a_setting_without_a_value_in_the_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, "server:\n  port:\nrouting:\nauth: {mode: any, jwt: }\n", PORT="2", RETRY_MAX_ATTEMPTS="5",
                   JWT_SECRET_KEY=SECRET)  # fmt: skip
    assert (found.config.server.port, found.config.routing.max_retries, found.config.auth.mode) == (2, 5, "any")
    assert found.config.auth.jwt is not None
    assert found.variables == Report(in_force=["PORT", "JWT_SECRET_KEY", "RETRY_MAX_ATTEMPTS"])


def test_the_gateways_own_variables_win_over_aliases_and_the_file(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        "server: {port: 1}",
        LISTEN_HOST="::1",
        HOST="0.0.0.0",
        LISTEN_PORT="3",
        LOG_LEVEL="warn",
        DEBUG="true",
    )
    server = found.config.server
    assert (server.host, server.port, found.config.logging.level) == ("::1", 3, "warning")
    assert found.variables == Report(in_force=["LISTEN_HOST", "LISTEN_PORT", "LOG_LEVEL"], overridden=["HOST", "DEBUG"])


def test_redis_url_wins_over_conflicting_parts(tmp_path: Path) -> None:
    found = loaded(tmp_path, REDIS_URL="redis://a:6379/0", REDIS_HOST="b", REDIS_DB="1")
    assert found.config.redis.url == "redis://a:6379/0"
    assert found.variables == Report(in_force=["REDIS_URL"], overridden=["REDIS_HOST", "REDIS_DB"])


def test_retries_that_are_disabled_stay_so(tmp_path: Path) -> None:
    found = loaded(tmp_path, RETRY_ENABLED="false", RETRY_MAX_ATTEMPTS="5")
    assert (found.config.routing.max_retries, found.variables.overridden) == (0, ["RETRY_MAX_ATTEMPTS"])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("auth: {mode: any, jwt: {secret: '" + SECRET + "'}}", "sqlite:///./gateway.db"),
        ("auth: {mode: '${MODE:-any}', jwt: {secret: '" + SECRET + "'}}", "sqlite:///./gateway.db"),
        ("{}", ""),
        ("auth: {mode: jwt, jwt: {secret: '" + SECRET + "'}}", ""),
    ],
)
def test_a_database_is_used_if_keys_are_stored_in_it(tmp_path: Path, text: str, url: str) -> None:
    found = loaded(tmp_path, text, DATABASE_URL="sqlite+aiosqlite:///./gateway.db")
    assert found.config.database.url == url
    assert (found.variables.without_effect == []) is bool(url)


def test_a_short_secret_is_a_mistake_that_names_its_variable(tmp_path: Path) -> None:
    # Left aside it would leave the gateway without authentication.
    assert mistakes(tmp_path, JWT_SECRET_KEY="short") == ["environment: JWT_SECRET_KEY: must have at least 32 bytes"]


def test_a_mismatched_algorithm_is_a_mistake_that_names_its_variable(tmp_path: Path) -> None:
    assert mistakes(tmp_path, JWT_SECRET_KEY=SECRET, JWT_ALGORITHM="RS256") == [
        "environment: JWT_ALGORITHM: RS256 needs publicKeyFile or jwksUrl, not a secret"
    ]


def test_references_in_a_secret_are_not_expanded(tmp_path: Path) -> None:
    secret = "${HOME}-and-more-than-thirty-two-bytes"
    jwt = loaded(tmp_path, JWT_SECRET_KEY=secret, HOME="x").config.auth.jwt
    assert jwt is not None
    assert jwt.secret == secret


def test_unknown_names_in_the_env_file_are_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "RATE_LIMT_STORAGE=redis\nUSED=8\nHTTPS_PROXY=http://p\nno_proxy=a\nXAI_API_KEY=your_key_here\n"
    )
    path = tmp_path / "config.yaml"
    path.write_text("server: {port: '${USED}'}")
    found = load(path, {"ELSEWHERE": "1"}, tmp_path / ".env")
    assert found.variables == Report(not_understood=["RATE_LIMT_STORAGE"], placeholders=["XAI_API_KEY"])


def test_the_start_line_names_all_variables() -> None:
    report = Report(["A", "B"], ["C"], ["D"], ["E"], ["F"])
    assert report.line() == (
        "in force: A, B; overridden: C; not understood: D; still placeholders: E; without effect: F"
    )
    assert Report().line() == ""


def test_every_variable_is_documented_once() -> None:
    assert len(BY_NAME) == len(VARIABLES)
    assert all(variable.text and variable.example for variable in VARIABLES)


def test_lists_come_from_one_reference_as_json_or_with_commas(tmp_path: Path) -> None:
    text = (
        "server: {corsOrigins: '${O}', allowedHosts: ['${H}', b]}\nproviders: {a: {baseUrl: http://a, apiKeys: '${K}'}}"
    )
    config = loaded(tmp_path, text, O='["http://a", "http://b"]', H="c", K="one, two").config
    assert config.server.cors_origins == ["http://a", "http://b"]
    assert config.server.allowed_hosts == ["c", "b"]
    assert config.providers["a"].keys == ("one", "two")
    assert loaded(tmp_path, text, O="http://a", H="c", K="x").config.server.cors_origins == ["http://a"]
    assert loaded(tmp_path, "server: {corsOrigins: '${O:-}'}").config.server.cors_origins == []
    assert mistakes(tmp_path, "server: {corsOrigins: '${O}'}", O='["http://a",') == [
        "config.yaml: server.corsOrigins: is no valid JSON list"
    ]
    assert mistakes(tmp_path, "server: {corsOrigins: '${O}'}") == [
        "config.yaml: server.corsOrigins: not set in the environment: O"
    ]


def test_an_unset_or_empty_list_of_keys_omits_the_provider(tmp_path: Path) -> None:
    text = "providers: {a: {baseUrl: http://a, apiKeys: '${K}'}}"
    for environ in ({}, {"K": ""}, {"K": "[]"}, {"K": '["", ""]'}):
        found = loaded(tmp_path, text, **environ)
        assert found.config.providers == {}
        assert found.notices == ['provider "a" left out: its apiKeys are empty (set K)']


SETTINGS = sorted({path for v in VARIABLES if v.values and not v.wins for path in v.blocked_by or ()} | {
    "server.host", "server.port", "server.corsOrigins", "server.allowedHosts", "redis.url", "auth.mode", "auth.jwt.secret",
    "rateLimiting.enabled", "rateLimiting.perClient", "routing.maxRetries", "circuitBreaker", "observe.sentry", "database.url",
})  # fmt: skip
ODD = st.sampled_from([None, True, 5, "x", "${X}", "${", [], ["a"], {}, {"a": 1}])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(SETTINGS), ODD, max_size=6))
def test_any_file_with_aliases_raises_only_mistakes(tmp_path: Path, values: dict[str, object]) -> None:
    raw: dict[str, Any] = {}
    for path, value in values.items():
        *sections, key = path.split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                break
        else:
            place[key] = value
    environ = {v.name: v.example for v in VARIABLES if v.values and not v.wins} | {"JWT_SECRET_KEY": SECRET}
    with suppress(ConfigError):
        loaded(tmp_path, json.dumps(raw), **environ)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(set(BY_NAME) - {"ROUTER_CONFIG_PATH"})), st.text(max_size=40)))
def test_any_environment_loads_or_has_mistakes_that_name_a_variable(tmp_path: Path, environ: dict[str, str]) -> None:
    try:
        found, lines = loaded(tmp_path, **environ), []
    except ConfigError as error:
        found, lines = Loaded(Config(), []), error.mistakes
    assert all(line.startswith("environment: ") and line.isprintable() for line in lines)
    strict_names = ("_API_KEY", "_PROXY", "JWT_SECRET_KEY", "JWT_ALGORITHM")
    strict = {v.name for v in VARIABLES if v.wins or v.name.endswith(strict_names)}
    assert {line.split(": ")[1] for line in lines} <= strict
    report = found.variables
    reported = [*report.in_force, *report.overridden, *report.not_understood, *report.placeholders]
    assert {*reported, *report.without_effect} <= set(environ)
