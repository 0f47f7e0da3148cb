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
from tests.config.texts import SECRET, loaded, mistakes


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("server: {host: 10.0.0.1, port: 1}", {"HOST": "0.0.0.0", "PORT": "2"}),
        ("server: {unixSocket: /run/s}", {"HOST": "0.0.0.0", "PORT": "2"}),
        ("server: {port: '${MY_PORT:-5}'}", {"PORT": "2"}),
        ("rateLimiting: {enabled: false}", {"RATE_LIMIT_REQUESTS_PER_MINUTE": "9"}),
        ("rateLimiting: {enabled: true, perClient: {requestsPerMinute: 3}}", {"RATE_LIMIT_REQUESTS_PER_MINUTE": "9"}),
        ("auth: {mode: none}", {"JWT_SECRET_KEY": SECRET}),
        ("auth: {mode: none}", {"SLUICE_API_KEYS": "sk-the-first-key-of-a-test"}),
        (f"auth: {{keys: [{{name: a, hash: 'sha256:{'0' * 64}'}}], mode: keys}}", {"SLUICE_API_KEYS": SECRET}),
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


def test_a_variable_that_the_file_refers_to_is_in_force(tmp_path: Path) -> None:
    text = (
        "ledger: {mode: events}\nevents: {url: '${RABBITMQ_URL}'}\nhooks: []\n"
        "database: {enabled: false, url: '${DATABASE_URL:-}'}\nlogging: {level: warn}\nadmin: {token: '$${DEBUG} is no reference, 1234567'}"
    )
    variables = {"RABBITMQ_URL": "amqp://rabbit/", "DATABASE_URL": "postgresql://h/d", "DEBUG": "true"}
    found = loaded(tmp_path, text, **variables)
    assert (sorted(found.variables.in_force), found.variables.overridden) == (
        ["DATABASE_URL", "RABBITMQ_URL"],
        ["DEBUG"],
    )
    assert found.variables.without_effect == []


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
    strict = {v.name for v in VARIABLES if v.wins or v.strict or v.name.endswith(strict_names)}
    assert {line.split(": ")[1] for line in lines} <= strict
    report = found.variables
    reported = [*report.in_force, *report.overridden, *report.not_understood, *report.placeholders]
    assert {*reported, *report.without_effect} <= set(environ)
