from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.config.left_out import summary
from proxy.config.loader import load
from proxy.config.provider_schema import ProviderSettings
from proxy.config.schema import Config, Fallback
from proxy.errors import ConfigError
from tests.config.files import Files, loaded, mistakes

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-aVeryWellKeptSecret"
PROVIDERS = "providers:\n  a: {baseUrl: http://a/v1, apiKey: k}\n  b: {baseUrl: http://b}\n"

MISSING = f"is missing (known without it: {', '.join(KNOWN_PROVIDERS)})"


# -- the sample ---------------------------------------------------------------------------------------

CONFIG = """\
modelsFile: ./models.yaml
providers:
  openrouter: {enabled: true, apiKey: "${OPENROUTER_API_KEY}", baseUrl: https://openrouter.ai/api/v1}
  deepseek: {enabled: true, apiKey: "${DEEPSEEK_API_KEY}", baseUrl: https://api.deepseek.com}
routing:
  maxRetries: 3
  rateLimitRetries: 2
  retryDelay: 1000          # ms
  timeoutSecs: 30
  fallback: {enabled: true, provider: deepseek, model: deepseek-chat}
circuitBreaker: {failureThreshold: 3, cooldownPeriodSecs: 60, successThreshold: 2, statsWindowSizeMins: 5}
rateLimiting:
  enabled: true
  global: {requestsPerMinute: 100}
  perClient: {enabled: true, requestsPerMinute: 20, burstSize: 5}
  perModel: {enabled: true, requestsPerMinute: 30}
"""
MODELS = """\
models:
  - {name: deepseek-r1, provider: openrouter, model: "deepseek/deepseek-r1:free", type: reasoning, contextSize: 64000, maxOutputTokens: 8000,
     speedTier: slow, tags: [reasoning, code, math], jsonResponse: true, available: true, weight: 5, maxConcurrent: 3}
"""


def test_the_sample_loads_unchanged(files: Files) -> None:
    found = loaded(files(CONFIG, MODELS), OPENROUTER_API_KEY="k1", DEEPSEEK_API_KEY="k2")
    config = found.config
    assert found.notices == []
    assert {name: p.api_key for name, p in config.providers.items()} == {"openrouter": "k1", "deepseek": "k2"}
    assert config.routing.fallback == Fallback("deepseek", "deepseek-chat")
    assert (config.routing.timeout_secs, config.circuit_breaker.cooldown_period_secs) == (30, 60)
    limits = config.rate_limiting
    assert limits.global_ and limits.global_.requests_per_minute == 100  # noqa: PT018
    assert limits.per_client and limits.per_client.burst_size == 5  # noqa: PT018
    (model,) = config.models
    assert (model.name, model.upstream_model) == ("deepseek-r1", "deepseek/deepseek-r1:free")
    assert (model.weight, model.max_concurrent, model.tags) == (5, 3, ["reasoning", "code", "math"])


def test_the_sample_without_keys_has_no_provider(files: Files) -> None:
    found = loaded(files(CONFIG, MODELS), DEEPSEEK_API_KEY=" \n")
    assert (found.config.providers, found.config.models, found.config.routing.fallback) == ({}, [], None)
    assert found.notices == [
        'provider "openrouter" left out: its apiKey is empty (set OPENROUTER_API_KEY)',
        'provider "deepseek" left out: its apiKey is empty (set DEEPSEEK_API_KEY)',
        'routing.fallback left out: provider "deepseek" has no key (set DEEPSEEK_API_KEY)',
    ]
    (line,) = summary(found.left_out)
    assert line.endswith("/models.yaml: 1 model of openrouter left out: it has no key (set OPENROUTER_API_KEY)")


@pytest.mark.parametrize("keys", [{}, {"OPENROUTER_API_KEY": "k", "DEEPSEEK_API_KEY": "k"}])
def test_the_shipped_files_load_and_include_the_sample(keys: Mapping[str, str]) -> None:
    found = load(ROOT / "config/config.yaml", keys)
    assert len(found.config.providers) == len(keys)
    assert (len(found.config.models) > 3) is bool(keys)
    assert not found.config.rate_limiting.enabled
    shipped = (ROOT / "config/config.yaml").read_text()
    for line in CONFIG.splitlines():
        assert line.split("#")[0].strip() in shipped
    for line in MODELS.splitlines()[1:]:
        assert line in (ROOT / "config/models.yaml").read_text()


def test_the_shipped_examples_of_balances_and_budgets_hold_together(tmp_path: Path) -> None:
    shipped = (ROOT / "config/config.yaml").read_text()
    begin, end = shipped.index("# billing:\n"), shipped.index("# The providers.")
    examples = [
        line[2:]
        for line in shipped[begin:end].splitlines()
        if line.startswith(("# billing", "# budgets", "# events", "#  "))
    ]
    (tmp_path / "c.yaml").write_text(
        "\n".join([f"auth: {{mode: jwt, jwt: {{secret: {'s' * 32}}}}}", PROVIDERS, *examples])
    )
    found = load(tmp_path / "c.yaml", {"WEBHOOK_SECRET": "s"})
    assert [each.name for each in found.config.budgets] == ["all", "daily", "runs"]
    assert len(found.config.events.webhooks) == 1
    assert found.notices == []


# -- where it comes from ------------------------------------------------------------------------------


def test_without_any_file_the_defaults_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(None, {})
    assert (found.path, found.config.providers, found.config.server.port) == (None, {}, 8080)


def test_the_named_file_wins_over_environment_and_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    for name, port in (("config/config.yaml", 1), ("env.yaml", 2), ("named.yaml", 3)):
        (tmp_path / name).write_text(f"server: {{port: {port}}}")
    environ = {"ROUTER_CONFIG_PATH": "env.yaml"}
    assert load(None, {}).config.server.port == 1
    assert load(None, {"ROUTER_CONFIG_PATH": ""}).config.server.port == 1
    assert load(None, environ).config.server.port == 2
    assert load(Path("named.yaml"), environ).config.server.port == 3
    (tmp_path / ".env").write_text("ROUTER_CONFIG_PATH=named.yaml\n")
    assert load(None, {}, tmp_path / ".env").config.server.port == 3


def test_the_environment_overrides_the_file(files: Files) -> None:
    path = files("server: {host: 10.0.0.1, port: 1, basePath: /a}\nlogging: {level: error}\n")
    environ = {"LISTEN_HOST": "::1", "LISTEN_PORT": "9000", "API_BASE_PATH": "/llm/", "LOG_LEVEL": "DEBUG"}
    config = loaded(path, **environ).config
    server = config.server
    assert (server.host, server.port, server.base_path, config.logging.level) == (
        "::1",
        9000,
        "/llm/v1",
        "debug",
    )
    assert loaded(path, LISTEN_PORT="", LOG_LEVEL="").config.server.port == 1


def test_invalid_overrides_name_their_variable(files: Files) -> None:
    environ = {"LISTEN_PORT": "abc", "LISTEN_HOST": "a b", "API_BASE_PATH": "a b", "LOG_LEVEL": "loud"}
    assert mistakes(files("{}"), environ) == [
        "environment: LISTEN_HOST: expected an IP address or a host name, without a port",
        'environment: LISTEN_PORT: expected a whole number, got "abc"',
        "environment: API_BASE_PATH: expected a path such as /api/v1",
        'environment: LOG_LEVEL: expected one of "debug", "error", "info", "warning", got "loud"',
    ]
    assert mistakes(files("{}"), {"LISTEN_PORT": "70000"}) == [
        'environment: LISTEN_PORT: must be at most 65535, got "70000"'
    ]


def test_the_env_file_sets_variables_and_its_mistakes_are_reported_too(files: Files, tmp_path: Path) -> None:
    path = files("providers: {a: {baseUrl: http://a, apiKey: '${KEY}'}}")
    env_file = tmp_path / "my.env"
    env_file.write_text("KEY=from-file\nLISTEN_PORT=7\n")
    config = load(path, {"LISTEN_PORT": "8"}, env_file).config
    assert (config.providers["a"].api_key, config.server.port) == ("from-file", 8)
    assert mistakes(files("oops: 1"), env_file=tmp_path / "none.env") == [
        "none.env: cannot be read: No such file or directory",
        mistakes(path.parent / "config.yaml")[0],
    ]


def test_models_come_from_both_files(files: Files) -> None:
    path = files(
        PROVIDERS + "modelsFile: models.yaml\nmodels: [{name: x, provider: a}]\n",
        "models: [{name: y, provider: b}]\n",
    )
    assert [(m.name, m.provider) for m in loaded(path).config.models] == [("x", "a"), ("y", "b")]


def test_models_yaml_is_read_only_if_named(files: Files) -> None:
    assert loaded(files(PROVIDERS, "models: [{name: y, provider: b}]")).config.models == []


# -- mistakes -----------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_at_once_in_file_order(files: Files) -> None:
    path = files(
        """\
modelsFile: ./models.yaml
providers:
  openrouter: {apiKey: k, baseUrl: openrouter.ai, enable: true}
  local: {apiKey: 12345}
  bad name: {baseUrl: http://x}
  empty:
routing: {maxRetries: three, maxRetires: 1, timeoutSecs: -1, fallback: {provider: locale, model: m}}
server: [1]
rateLimiting: {global: {requestsPerMinute: 0}, perClient: {}}
circuitBreaker: {failureThreshold: 2.5, statsWindowSizeMins: 0}
timeouts: {idle: .inf, connect: true}
logging: {level: loud}
provider: {}
zzz: 1
""",
        """\
models:
  - {name: m, provider: openruter}
  - {name: 4, provider: local, tags: code, contextSize: 1e9999}
  - {name: m2, provider: local}
  - {name: m2, provider: local, weight: 2}
  - just text
""",
    )
    assert mistakes(path) == [
        "config.yaml: providers.openrouter.baseUrl: expected a URL that begins with http:// or https://",
        'config.yaml: providers.openrouter: unknown key "enable"; did you mean "enabled"?',
        "config.yaml: providers.local.apiKey: expected text, got a number; put it in quotes",
        f"config.yaml: providers.local.baseUrl: {MISSING}",
        'config.yaml: providers."bad name": a provider\'s name may contain only letters, digits, dots, dashes and underscores',
        f"config.yaml: providers.empty.baseUrl: {MISSING}",
        'config.yaml: routing.maxRetries: expected a whole number, got "three"',
        'config.yaml: routing: unknown key "maxRetires"; did you mean "maxRetries"?',
        "config.yaml: routing.timeoutSecs: must be at least 0, got -1",
        'config.yaml: routing.fallback.provider: no provider "locale"; did you mean "local"?',
        "config.yaml: server: expected a mapping, got a list",
        "config.yaml: rateLimiting.global.requestsPerMinute: must be at least 1, got 0",
        "config.yaml: rateLimiting.perClient: has no limits: set requestsPerMinute, requestsPerHour, tokensPerMinute or concurrent, or enabled: false",
        "config.yaml: circuitBreaker.failureThreshold: expected a whole number, got 2.5",
        "config.yaml: circuitBreaker.statsWindowSizeMins: must be more than 0, got 0",
        "config.yaml: timeouts.idle: expected a number, got inf",
        "config.yaml: timeouts.connect: expected a number, got true",
        'config.yaml: logging.level: expected one of "debug", "error", "info", "warning", got "loud"',
        'config.yaml: unknown key "provider"; did you mean "providers"?',
        f'config.yaml: unknown key "zzz" (known: {", ".join(Config.__struct_encode_fields__)})',
        'models.yaml: models[0].provider: no provider "openruter"; did you mean "openrouter"?',
        "models.yaml: models[1].name: expected text, got a number; put it in quotes",
        "models.yaml: models[1].tags: expected a list, got text",
        'models.yaml: models[1].contextSize: expected a whole number, got "1e9999"',
        "models.yaml: models[4]: expected a mapping, got text",
        "models.yaml: models[3]: the same name and provider as models[2]",
    ]


def test_mistakes_of_the_models_file_name_that_file(files: Files) -> None:
    assert mistakes(files("modelsFile: models.yaml", "models: [{"))[0].startswith("models.yaml: line 2, column 1: ")
    assert mistakes(files("modelsFile: models.yaml", "model: []")) == [
        'models.yaml: unknown key "model"; did you mean "models"?'
    ]


def test_a_name_may_have_two_providers_but_each_only_once(files: Files) -> None:
    models = "models: [{name: x, provider: a}, {name: x, provider: b}]"
    path = files(PROVIDERS + "modelsFile: models.yaml\n", models)
    assert len(loaded(path).config.models) == 2
    both = files(PROVIDERS + "modelsFile: models.yaml\nmodels: [{name: x, provider: b}]", models)
    assert mistakes(both) == ["models.yaml: models[1]: the same name and provider as config.yaml: models[0]"]


def test_a_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.yaml") == ["none.yaml: no such file"]
    assert mistakes(None, {"ROUTER_CONFIG_PATH": f"{tmp_path}/none.yaml"}) == [f"{tmp_path}/none.yaml: no such file"]


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        ("{provider: a}", ["config.yaml: routing.fallback.model: is missing"]),
        ("{}", [f"config.yaml: routing.fallback.{key}: is missing" for key in ("provider", "model")]),
    ],
)
def test_a_fallback_needs_both_names_unless_it_is_disabled(files: Files, fallback: str, expected: list[str]) -> None:
    assert mistakes(files(f"{PROVIDERS}routing: {{fallback: {fallback}}}")) == expected
    found = loaded(files("routing: {fallback: {enabled: false}}"))
    assert found.config.routing.fallback == Fallback(enabled=False)
    assert found.notices == []


# -- providers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("baseUrls: []", [f"baseUrl: {MISSING}"]),
        ("baseUrl: ''", [f"baseUrl: {MISSING}"]),
        ("apiKeys: [k]", [f"baseUrl: {MISSING}"]),
        ("baseUrls: [x]", ["baseUrls[0]: expected a URL that begins with http:// or https://"]),
        ("baseUrls: http://a", ["baseUrls: expected a list, got text"]),
        ("baseUrls: ['${B}', '']", ["baseUrls[0]: not set in the environment: B", "baseUrls[1]: must not be empty"]),
        ("baseUrl: http://a, apiKeys: k", ["apiKeys: expected a list, got text"]),
        ("baseUrl: http://a, apiKeys: [1]", ["apiKeys[0]: expected text, got a number; put it in quotes"]),
    ],
)
def test_mistakes_in_addresses_and_keys_are_reported_once(files: Files, provider: str, expected: list[str]) -> None:
    assert mistakes(files(f"providers: {{a: {{{provider}}}}}")) == [
        f"config.yaml: providers.a.{line}" for line in expected
    ]


# -- strategies and the list at a URL -------------------------------------------------------------------


def test_strategies_must_name_configured_models(files: Files) -> None:
    head = PROVIDERS + "modelsFile: models.yaml\nmodels: [{name: one, provider: a}, {name: 1}]\n"
    models = "models: [{name: two, provider: b, weight: x}]"
    good = PROVIDERS + "modelsFile: models.yaml\nrouting: {strategies: {auto: smart, two: round_robin}}\n"
    strategies = loaded(files(good, "models: [{name: two, provider: b}]")).config.routing.strategies
    assert strategies == {"auto": "smart", "two": "round_robin"}
    # A model with mistakes exists; one that is not listed does not.
    reported = mistakes(
        files(head + "routing: {strategies: {one: smart, two: smart, onee: smart, auto: best}}", models)
    )
    assert [line for line in reported if "strategies" in line] == [
        'config.yaml: routing.strategies.auto: expected one of "least_connections", "lowest_cost", "lowest_latency", '
        '"round_robin", "smart", "weighted_round_robin", got "best"',
        'config.yaml: routing.strategies.onee: no model "onee"; did you mean "one"?',
    ]


def test_an_unreadable_models_file_suppresses_strategy_mistakes(files: Files) -> None:
    path = files("modelsFile: none.yaml\nrouting: {strategies: {one: smart}}")
    assert mistakes(path) == ["config.yaml: modelsFile: no such file: none.yaml"]


def test_the_loader_does_not_fetch_a_url(files: Files) -> None:
    found = loaded(files("modelsFile: 'HTTPS://${HOST}/m?token=${T}'"), HOST="h", T=SECRET)
    assert found.config.models_file == f"HTTPS://h/m?token={SECRET}"
    assert found.notices == ["modelsFile: the list at HTTPS://h/m was not fetched"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://", "has no host"),
        ("https://u:p@h/m", "must not contain a user or password"),
        ("https://h/m#x", "must be printable ASCII text without spaces and #"),
        ("https://h/m?a b", "must be printable ASCII text without spaces and #"),
        ("https://h/ä", "the path must be percent-encoded"),
        ("ftp://h/m", "no such file: ftp:/h/m"),
    ],
)
def test_rejected_urls_for_models(files: Files, url: str, complaint: str) -> None:
    assert mistakes(files(f"modelsFile: '{url}'")) == [f"config.yaml: modelsFile: {complaint}"]


# -- secrets ------------------------------------------------------------------------------------------


def test_a_repr_shows_no_secret(files: Files) -> None:
    path = files("providers: {a: {baseUrl: http://a, apiKey: '${K}', headers: {X-Key: '${K}'}}}")
    found = loaded(path, K=SECRET)
    assert found.config.providers["a"].headers == {"X-Key": SECRET}
    assert SECRET not in repr(found)
    assert SECRET not in f"{found.config.providers['a']}"
    assert "X-Key" in repr(found.config.providers["a"])


@pytest.mark.parametrize(
    "config",
    [
        "server: {port: '${K}', host: '${K} x', reusePort: '${K}', pingAfter: '${K}', basePath: '${K}'}",
        "logging: {level: '${K}'}",
        f"providers: {SECRET}",
        f"providers: {{a: {SECRET}}}",
        f"providers: {{a: {{baseUrl: http://a, apiKey: [{SECRET}]}}}}",
        f'providers: {{a: {{baseUrl: http://a, apiKey: "{SECRET}\\u00e9"}}}}',
        f'providers: {{a: {{baseUrl: http://a, headers: {{X: "{SECRET}\\nx"}}, tls: "{SECRET}"}}}}',
        f"providers: {{a: {{baseUrl: 'https://u:{SECRET}@host'}}}}",
        f"providers: {{a: {{baseUrl: 'https://host/?key={SECRET}'}}}}",
        f"providers: {{a: {{baseUrl: http://a, apiKey: *{SECRET}}}}}",
    ],
)  # fmt: skip
def test_no_mistake_repeats_a_secret(files: Files, config: str) -> None:
    assert SECRET not in "\n".join(mistakes(files(config), {"K": SECRET}))


# -- anything -----------------------------------------------------------------------------------------

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["${K}", "${K:-1}", "http://a", "${", "a"])
)  # fmt: skip
KEYS = st.sampled_from(
    ["providers", "a", "baseUrl", "apiKey", "headers", "tls", "caFile", "timeouts", "idle", "routing", "fallback", "provider", "model", "models", "name", "server", "port", "host", "logging", "level", "enabled", "passthrough", "tags"]
) | st.text(max_size=4)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_any_file_loads_or_has_one_line_mistakes(files: Files, tree: dict[str, object]) -> None:
    import yaml

    path = files(yaml.safe_dump(tree, allow_unicode=True))
    try:
        config = load(path, {"K": SECRET}).config
    except ConfigError as error:
        lines = error.mistakes
        config = None
    else:
        lines = []
    assert bool(lines) is (config is None)
    assert all(line and line.isprintable() and SECRET not in line for line in lines)
    assert config is None or all(isinstance(provider, ProviderSettings) for provider in config.providers.values())


ONE_KEY = f"auth: {{mode: keys, keys: [{{name: a, hash: 'sha256:{'0' * 64}'}}]}}"


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        (ONE_KEY, False),
        (f"{ONE_KEY}\ndatabase: {{enabled: true}}", True),
        (f"{ONE_KEY}\ndatabase: {{url: 'sqlite:///x.db'}}", True),
        (f"{ONE_KEY}\ndatabase:", False),
        ("auth: {mode: keys}", True),
        ("{}", True),
    ],
)
def test_configured_keys_do_without_a_database_whose_packages_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, enabled: bool
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert load(path, {}).config.database.enabled
    monkeypatch.setattr("proxy.config.loader.find_spec", lambda name: None)
    found = load(path, {})
    assert found.config.database.enabled is enabled
    told = [line for line in found.notices if line.startswith("database: SQLAlchemy is not installed")]
    assert len(told) == (not enabled)


def test_a_list_of_models_beside_the_file_that_is_not_read_is_told(files: Files) -> None:
    path = files(PROVIDERS, MODELS)
    (told,) = [line for line in loaded(path).notices if line.startswith("modelsFile")]
    assert (
        told == f"modelsFile is not set, so {path.parent}/models.yaml is not read; modelsFile: ./models.yaml reads it"
    )
    assert loaded(files(PROVIDERS + 'modelsFile: ""\n', MODELS)).notices == []
