from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import inspect

from proxy.config.checks import kinds
from proxy.config.mistakes import Mistakes
from proxy.config.reader import BROKEN, ConfigReader, type_at
from proxy.config.schema import Config
from tests.config import texts
from tests.config.files import Files, loaded, mistakes

CONFIG = inspect.type_info(Config)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("server: {max_body_mb: 5}", 'server: unknown key "max_body_mb"; did you mean "maxBodyMb"?'),
        ("server: {port: 70000}", "server.port: must be at most 65535, got 70000"),
        ("server: {reusePort: 1}", "server.reusePort: expected true or false, got 1"),
        ("server: {host: ''}", "server.host: must not be empty"),
        ("server: {allowedHosts: [a, 'b:80']}", "server.allowedHosts[1]: expected a host name as in a URL, without scheme and port"),
        ("1: x", 'unknown key "1" (known: '),
        ("providers: {1: {baseUrl: http://a}}", "providers: expected text as a key, got 1; put it in quotes"),
        ("providers: [a]", "providers: expected a mapping, got a list"),
        ("providers: sk-1", "providers: expected a mapping, got text"),
        ("providers: {a: {baseUrl: http://a, apiKey: 2024-01-01}}", "providers.a.apiKey: expected text, got a date; put it in quotes"),
        ("providers: {a: {baseUrl: http://a, headers: {Host: x}}}", "providers.a.headers.Host: the gateway sets this header itself"),
        ('providers: {a: {baseUrl: http://a, headers: {X: "a\\r\\nb"}}}', "providers.a.headers.X: a header value must be printable ASCII text on one line"),
        ("providers: {a: {baseUrl: http://a, forwardHeaders: [Cookie]}}", "providers.a.forwardHeaders[0]: Cookie contains a client's credential and is never forwarded"),
        ("providers: {a: {baseUrl: http://a, passthrough: [GET, GET /x]}}", 'providers.a.passthrough[0]: expected a method and a path prefix, such as "GET /files"'),
        ("providers: {a: {baseUrl: http://a, onDisconnect: wait}}", 'providers.a.onDisconnect: expected one of "cancel", "drain", got "wait"'),
        ("providers: {a: {baseUrl: http://a, tls: {caFile: no.pem}}}", "providers.a.tls.caFile: no such file: no.pem"),
        ("providers: {a: {baseUrl: http://a, tls: {certFile: config.yaml}}}", "providers.a.tls.keyFile: is missing: certFile needs it (the same file, if it holds both)"),
        ("providers: {a: {baseUrl: http://a, tls: {keyFile: config.yaml}}}", "providers.a.tls.certFile: is missing: keyFile needs it"),
        ("defaultProvider: x", 'defaultProvider: no provider "x"'),
        ("modelsFile: none.yaml", "modelsFile: no such file: none.yaml"),
        ("pool: {maxConnections: 99999999999999999999999}", "pool.maxConnections: must be at most 1000000000, got a huge number"),
        ("pool: {idleSecs: 1" + "0" * 400 + "}", "pool.idleSecs: must be at most 10000000, got a huge number"),
        ("server: {host: '${NOBODY}'}", "server.host: not set in the environment: NOBODY"),
        ("server: {host: '${'}", 'server.host: "${" must open ${NAME}'),
        ("a: 1\na: 2", 'line 2: duplicate key "a" (first on line 1)'),
        ("a: [", "line 2, column 1: "),
        ("- a", "expected a mapping (key: value) at the top"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_readable_line(files: Files, config: str, expected: str) -> None:
    assert mistakes(files(config))[0].startswith(f"config.yaml: {expected}")


def test_the_level_warn_is_accepted(files: Files) -> None:
    assert loaded(files("logging: {level: Warn}")).config.logging.level == "warning"
    assert loaded(files("logging: {level: '${L}'}"), L="WARN").config.logging.level == "warning"


def test_yaml_on_and_off_are_text_for_text_fields(files: Files) -> None:
    assert loaded(files("routing: {affinity: off}")).config.routing.affinity == "off"
    assert mistakes(files("routing: {affinity: on}"))[0].endswith(
        'expected one of "off", "prefix", "session", got "on"'
    )


def test_a_reference_is_converted_to_the_type_of_the_field(files: Files) -> None:
    path = files(
        """\
server: {port: "${PORT:-8081}", reusePort: "${REUSE:-yes}", pingAfter: "${PING:-1.5}", host: "${HOST:-0.0.0.0}"}
pool: {maxConnections: "${MAX}"}
logging: {level: "${LEVEL:-debug}"}
"""
    )
    config = loaded(path, MAX="5", REUSE="false").config
    server = config.server
    assert (server.port, server.reuse_port, server.ping_after, server.host) == (8081, False, 1.5, "0.0.0.0")
    assert (config.pool.max_connections, config.logging.level) == (5, "debug")


def test_a_reference_within_text_is_not_a_number(files: Files) -> None:
    assert mistakes(files("server: {port: '80${X}'}"), {"X": "80"}) == [
        "config.yaml: server.port: expected a whole number, got the value of 80${X}"
    ]


def test_a_quoted_number_is_reported_as_text(files: Files) -> None:
    assert mistakes(files("server: {port: '8080'}")) == [
        'config.yaml: server.port: expected a whole number, got "8080"'
    ]


def test_variables_are_not_expanded_in_keys_and_values_are_not_reparsed(files: Files) -> None:
    path = files("providers: {a: {baseUrl: http://a, headers: {X-A: '${V}'}}}")
    assert loaded(path, V="{b: [1]} #c").config.providers["a"].headers == {"X-A": "{b: [1]} #c"}
    assert len(mistakes(files("providers: {'${V}': {baseUrl: http://a}}"), {"V": "a"})) == 1


def test_lists_come_from_one_reference_as_json_or_with_commas(tmp_path: Path) -> None:
    text = (
        "server: {corsOrigins: '${O}', allowedHosts: ['${H}', b]}\nproviders: {a: {baseUrl: http://a, apiKeys: '${K}'}}"
    )
    config = texts.loaded(tmp_path, text, O='["http://a", "http://b"]', H="c", K="one, two").config
    assert config.server.cors_origins == ["http://a", "http://b"]
    assert config.server.allowed_hosts == ["c", "b"]
    assert config.providers["a"].keys == ("one", "two")
    assert texts.loaded(tmp_path, text, O="http://a", H="c", K="x").config.server.cors_origins == ["http://a"]
    assert texts.loaded(tmp_path, "server: {corsOrigins: '${O:-}'}").config.server.cors_origins == []
    assert texts.mistakes(tmp_path, "server: {corsOrigins: '${O}'}", O='["http://a",') == [
        "config.yaml: server.corsOrigins: is no valid JSON list"
    ]
    assert texts.mistakes(tmp_path, "server: {corsOrigins: '${O}'}") == [
        "config.yaml: server.corsOrigins: not set in the environment: O"
    ]


# -- single values --------------------------------------------------------------------------------


def reader(**environment: str) -> tuple[ConfigReader, Mistakes]:
    mistakes = Mistakes()
    return ConfigReader("c.yaml", mistakes, environment, kinds(Path(), None)), mistakes


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("server.port", "8081", 8081),
        ("server.reusePort", "Yes", True),
        ("server.pingAfter", "1.5", 1.5),
        ("server.host", "8081", "8081"),
        ("server.corsOrigins", "http://a, http://b", ["http://a", "http://b"]),
        ("server.corsOrigins", '["http://a"]', ["http://a"]),
        ("logging.level", "WARN", "warning"),
        ("auth.jwt.secret", "${HOME}", "${HOME}"),
        ("rateLimiting.perClient.requestsPerMinute", "3", 3),
    ],
)
def test_the_text_of_a_variable_becomes_the_type_of_its_setting(path: str, text: str, value: object) -> None:
    own, mistakes = reader(HOME="expanded")
    assert (own.override(type_at(CONFIG, path), text, "V"), mistakes) == (value, [])


@pytest.mark.parametrize(
    ("path", "text", "mistake"),
    [
        ("server.port", "http", 'expected a whole number, got "http"'),
        ("server.port", "1.5", 'expected a whole number, got "1.5"'),
        ("server.port", "70000", 'must be at most 65535, got "70000"'),
        ("server.reusePort", "maybe", 'expected true or false, got "maybe"'),
        ("server.pingAfter", "nan", 'expected a number, got "nan"'),
        ("server.corsOrigins", "[1", "is no valid JSON list"),
    ],
)
def test_the_text_of_a_variable_that_does_not_fit_is_one_mistake(path: str, text: str, mistake: str) -> None:
    own, mistakes = reader()
    assert own.override(type_at(CONFIG, path), text, "V") is BROKEN
    assert mistakes == [f"c.yaml: V: {mistake}"]


@pytest.mark.parametrize(
    ("port", "read", "mistakes"), [(80.0, 80, 0), (80.5, 8080, 1), (True, 8080, 1), (2**70, 8080, 1)]
)
def test_a_whole_number_may_be_written_as_a_float(port: object, read: int, mistakes: int) -> None:
    own, found = reader()
    assert own.read(CONFIG, {"server": {"port": port}}, "").server.port == read
    assert len(found) == mistakes


def test_a_mistake_in_a_value_from_a_variable_names_the_variable() -> None:
    mistakes = Mistakes()
    own = ConfigReader("c.yaml", mistakes, {}, kinds(Path(), None), origins={"server.port": "PORT"})
    own.read(CONFIG, {"server": {"port": "x", "host": 5}}, "")
    assert mistakes == [
        'environment: PORT: expected a whole number, got "x"',
        "c.yaml: server.host: expected text, got a number; put it in quotes",
    ]


def test_defaults_replace_broken_values_so_that_the_rest_can_be_checked() -> None:
    own, mistakes = reader()
    config = own.read(CONFIG, {"server": {"port": "x", "dranSecs": 1, "drainSecs": 2}, "models": [{}, 5]}, "")
    assert (config.server.port, config.server.drain_secs, config.models) == (8080, 2.0, [])
    assert len(mistakes) == 5


def test_variables_that_values_refer_to_are_collected() -> None:
    own, _ = reader(A="h")
    own.read(CONFIG, {"server": {"host": "${A}", "unixSocket": "${B:-x}"}, "models": [{"name": "${C}"}]}, "")
    assert own.used == {"A", "B", "C"}
