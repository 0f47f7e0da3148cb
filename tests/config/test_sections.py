from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.loader import load
from proxy.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HASH = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64
SECRET = "a-very-well-kept-secret-of-enough-bytes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").touch()
    return tmp_path / "config.yaml"


def mistakes(path: Path, config: Any, **environ: str) -> list[str]:
    """What is wrong with a configuration, without the file's name; ``[]`` for nothing."""
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    try:
        load(path, environ)
    except ConfigError as error:
        return [line.replace(f"{path}: ", "").replace(f"{path.parent}/", "") for line in error.mistakes]
    return []


def notices(path: Path, config: Any, **environ: str) -> list[str]:
    path.write_text(yaml.safe_dump(config))
    return load(path, environ).notices


def key(**more: Any) -> dict[str, Any]:
    return {"name": "k", "hash": HASH} | more


# -- limits -------------------------------------------------------------------------------------------

NOTHING = "has no limits: set requestsPerMinute, requestsPerHour, tokensPerMinute or concurrent, or enabled: false"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ({}, [NOTHING]),
        ({"enabled": True}, [NOTHING]),
        ({"enabled": False}, []),
        ({"burstSize": 5}, ["burstSize needs requestsPerMinute or requestsPerHour"]),
        ({"burstSize": 5, "concurrent": 1}, ["burstSize needs requestsPerMinute or requestsPerHour"]),
        ({"burstSize": 5, "requestsPerHour": 1}, []),
        ({"concurrent": 1}, []),
        ({"tokensPerMinute": 1}, []),
    ],
)
@pytest.mark.parametrize("name", ["global", "perClient", "perAddress", "perModel", "perProvider"])
def test_a_level_without_limits_is_a_mistake(path: Path, name: str, level: Any, expected: list[str]) -> None:
    reported = [f"rateLimiting.{name}: {text}" for text in expected]
    assert mistakes(path, {"rateLimiting": {name: level}}) == reported


def test_a_mistake_within_a_level_is_reported_once(path: Path) -> None:
    levels = {"global": {"requestsPerMinute": 0}, "perClient": {"burstSize": 2, "requestPerMinute": 3}}
    assert mistakes(path, {"rateLimiting": levels}) == [
        "rateLimiting.global.requestsPerMinute: must be at least 1, got 0",
        'rateLimiting.perClient: unknown key "requestPerMinute"; did you mean "requestsPerMinute"?',
    ]


def test_limits_of_a_key_may_be_partial(path: Path) -> None:
    assert mistakes(path, {"auth": {"mode": "keys", "keys": [key(limits={"burstSize": 5})]}}) == []


# -- authentication -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billing", "expected"),
    [
        ({}, []),
        ({"currency": "usd"}, []),
        ({"currency": "EUR", "usdRate": 0.86}, []),
        ({"usdRate": 1}, []),
        ({"currency": "EUR"}, ["billing.currency: EUR needs usdRate: how many EUR are one USD"]),
        ({"usdRate": 0.86}, ["billing.usdRate: needs a currency other than USD"]),
        ({"currency": "EUR", "usdRate": 0}, ["billing.usdRate: must be more than 0, got 0"]),
        ({"defaultBalance": 0.123456789}, []),
        ({"defaultBalance": 1e-10}, ["billing.defaultBalance: has more than nine decimals"]),
        (
            {"currency": "euro", "usdRate": 1.5},
            ["billing.currency: expected the three letters of a currency, such as EUR"],
        ),
    ],
)
def test_a_currency_needs_its_rate(path: Path, billing: Any, expected: list[str]) -> None:
    assert mistakes(path, {"billing": billing}) == expected


def test_balances_need_to_know_who_calls_and_a_ledger(path: Path) -> None:
    needs = "billing.enabled: needs"
    who = f"{needs} authentication, as an account belongs to who calls: set auth.mode"
    where = f"{needs} database.enabled and ledger.enabled, which have the balances"
    jwt = {"mode": "jwt", "jwt": {"secret": SECRET}}
    assert mistakes(path, {"billing": {"enabled": True}}) == [who]
    assert mistakes(path, {"billing": {"enabled": True}, "auth": jwt, "ledger": {"enabled": False}}) == [where]
    assert mistakes(path, {"billing": {"enabled": True, "defaultBalance": 5}, "auth": jwt}) == []


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"usd": 5, "per": "owner", "window": "day", "timezone": "Europe/Berlin", "only": ["alice"]}, []),
        ({"tokens": 5, "per": "label:team"}, []),
        ({}, ["usd: is missing, and so is tokens: one of them is needed"]),
        ({"usd": 1e-10}, ["usd: is less than a billionth of a dollar, the smallest amount that is counted"]),
        ({"usd": 5, "tokens": 5}, ["tokens: only one of usd and tokens may be set; write two budgets"]),
        (
            {"usd": 5, "per": "run", "window": "day"},
            ["window: cannot be used with per: run, as such a budget lasts as long as the run"],
        ),
        ({"usd": 5, "only": ["alice"]}, ["only: cannot be used with per: everyone"]),
        (
            {"usd": 5, "per": "user"},
            ["per: expected everyone, team, owner, key, project, model, provider, run or label:NAME"],
        ),
        (
            {"usd": 5, "timezone": "Berlin"},
            ["timezone: is no name of the IANA time zone database, such as Europe/Berlin"],
        ),
        ({"usd": 5, "name": "balance"}, ["name: the name balance is reserved for the balance of an account"]),
        ({"usd": 5, "name": "run"}, ["name: the name run is reserved for the cap of x-router-budget-usd"]),
        ({"usd": 0}, ["usd: must be more than 0, got 0"]),
        ({"usd": -5}, ["usd: must be more than 0, got -5"]),
        ({"usd": "abc"}, ['usd: expected a number, got "abc"']),
        ({"tokens": 0}, ["tokens: must be at least 1, got 0"]),
        ({"usd": 5, "thresholds": [0]}, ["thresholds[0]: must be at least 1, got 0"]),
    ],
)
def test_a_budget_says_what_may_be_spent_and_by_whom(path: Path, budget: Any, expected: list[str]) -> None:
    reported = [f"budgets[0].{text}" for text in expected]
    assert mistakes(path, {"budgets": [{"name": "daily", **budget}]}) == reported


def test_budgets_count_from_the_start_where_the_ledger_is_elsewhere(path: Path) -> None:
    elsewhere = {"ledger": {"mode": "events"}, "events": {"url": "amqp://127.0.0.1"}}
    [notice] = notices(path, {"budgets": [{"name": "daily", "usd": 1}], **elsewhere})
    assert "count from the start of the gateway, as the ledger is elsewhere (ledger.mode)" in notice


def test_budgets_have_different_names(path: Path) -> None:
    budgets = [{"name": "daily", "usd": 1}, {"name": "daily", "tokens": 1}]
    assert mistakes(path, {"budgets": budgets}) == ['budgets: more than one has the name "daily"']


@pytest.mark.parametrize("mode", ["jwt", "any"])
def test_jwt_needs_a_source_of_keys(path: Path, mode: str) -> None:
    assert mistakes(path, {"auth": {"mode": mode}}) == [f"auth.jwt: is missing: mode {mode} needs it"]
    assert mistakes(path, {"auth": {"mode": mode, "jwt": 5}}) == ["auth.jwt: expected a mapping, got a number"]
    assert mistakes(path, {"auth": {"mode": mode, "jwt": {"secret": SECRET}}}) == []


SOURCE = "jwt.secret: is missing or empty, and so are publicKeyFile and jwksUrl: one of them is needed"
PEM, URL = {"publicKeyFile": "key.pem"}, {"jwksUrl": "https://id.example.org/jwks.json"}


@pytest.mark.parametrize(
    ("jwt", "expected"),
    [
        ({}, [SOURCE]),
        ({"secret": ""}, [SOURCE]),
        ({"secret": "${NOBODY}"}, [SOURCE]),
        ({"secret": "${EMPTY}"}, [SOURCE]),
        ({"secret": "${EMPTY}", **URL}, []),
        ({"secret": SECRET}, []),
        (PEM, []),
        (URL, []),
        ({"publicKeyFile": "none.pem"}, ["jwt.publicKeyFile: no such file: none.pem"]),
        ({"publicKeyFile": "none.pem", "algorithms": ["HS256"]}, ["jwt.publicKeyFile: no such file: none.pem"]),
        ({"secret": SECRET, **URL}, ["jwt.jwksUrl: only one of secret and jwksUrl may be set"]),
        (
            {"secret": SECRET, **PEM, **URL},
            ["jwt.publicKeyFile: only one of secret and publicKeyFile and jwksUrl may be set"],
        ),
        ({"secret": "x" * 31}, ["jwt.secret: must have at least 32 bytes"]),
        ({"secret": "x" * 32}, []),
        ({"secret": SECRET, "algorithms": ["HS256"]}, []),
        ({**PEM, "algorithms": ["HS256"]}, ["jwt.algorithms: HS256 needs a secret"]),
        ({**URL, "algorithms": ["RS256", "HS256"]}, ["jwt.algorithms: HS256 needs a secret"]),
        (
            {"secret": "short", "algorithms": ["RS256", "ES256", "HS256"]},
            [
                "jwt.algorithms: RS256 needs publicKeyFile or jwksUrl, not a secret",
                "jwt.algorithms: ES256 needs publicKeyFile or jwksUrl, not a secret",
                "jwt.secret: must have at least 32 bytes",
            ],
        ),
        ({**URL, "algorithms": ["RS256", "ES256", "EdDSA"]}, []),
        (
            {**URL, "algorithms": ["none"]},
            ['jwt.algorithms[0]: expected one of "ES256", "EdDSA", "HS256", "RS256", got "none"'],
        ),
    ],
)
def test_tokens_are_checked_with_one_source_of_keys(path: Path, jwt: Any, expected: list[str]) -> None:
    found = mistakes(path, {"auth": {"mode": "jwt", "jwt": jwt}}, EMPTY="")
    assert found == [f"auth.{line}" for line in expected]
    assert SECRET not in str(found)


def test_algorithm_names_are_case_insensitive(path: Path) -> None:
    path.write_text(yaml.safe_dump({"auth": {"jwt": {**URL, "algorithms": ["eddsa", "rs256"]}}}))
    jwt = load(path, {}).config.auth.jwt
    assert jwt is not None
    assert jwt.algorithms == ["EdDSA", "RS256"]


def test_keys_need_unique_names_and_hashes(path: Path) -> None:
    keys = [key(), key(hash=OTHER), key(name="l", hash=OTHER.upper()), {"name": "m"}, key(name="n")]
    assert mistakes(path, {"auth": {"mode": "keys", "keys": keys}}) == [
        "auth.keys[3].hash: is missing",
        'auth.keys: 2 keys have the name "k"',
        'auth.keys: "k" and "l" have the same hash',
        'auth.keys: "k" and "n" have the same hash',
    ]


def test_a_key_may_expire_on_a_date_without_quotes(path: Path) -> None:
    path.write_text(f"auth: {{mode: keys, keys: [{{name: k, hash: '{HASH}', expires: 2030-12-31}}]}}")
    assert load(path, {}).config.auth.keys[0].expires == "2030-12-31T00:00:00+00:00"
    path.write_text(f"auth: {{mode: keys, keys: [{{name: k, hash: '{HASH}', expires: 2030-12-31T18:00:00+01:00}}]}}")
    assert load(path, {}).config.auth.keys[0].expires == "2030-12-31T17:00:00+00:00"


def test_keys_mode_needs_keys_or_a_database(path: Path) -> None:
    closed = {"auth": {"mode": "keys"}, "database": {"enabled": False}}
    assert mistakes(path, closed) == [
        "auth.keys: is missing: without the database (database.enabled) there can be no other key"
    ]
    assert mistakes(path, closed | {"auth": {"mode": "keys", "keys": [key()]}}) == []
    assert mistakes(path, closed | {"auth": {"mode": "keys", "keys": [{"name": "k", "hash": "x"}]}}) == [
        "auth.keys[0].hash: expected sha256: and 64 hexadecimal digits, as printed by `sluice key hash`"
    ]
    assert mistakes(path, {"auth": {"mode": "keys"}}) == []


def test_settings_without_effect_are_reported(path: Path) -> None:
    auth = {"keys": [key(limits={"concurrent": 1}), key(name="l", hash=OTHER, limits={"concurrent": 1})]}
    assert notices(path, {"auth": auth | {"jwt": {"secret": SECRET}}}) == [
        "auth.keys: has no effect: auth.mode is none",
        "auth.jwt: has no effect: auth.mode is none",
    ]
    assert notices(path, {"auth": auth | {"mode": "any", "jwt": URL}}) == []


# -- administration and storage -----------------------------------------------------------------------


def test_a_spool_has_room_for_two_segments(path: Path) -> None:
    assert mistakes(path, {"ledger": {"spoolMb": 7}}) == ["ledger.spoolMb: must be at least 8, got 7"]
    assert mistakes(path, {"ledger": {"spoolMb": 8}}) == []


def test_a_short_token_is_rejected_and_an_empty_one_reported(path: Path) -> None:
    assert mistakes(path, {"admin": {"token": "s3cret-of-15-ch"}}) == ["admin.token: must have at least 16 characters"]
    assert mistakes(path, {"admin": {"token": "s3cret-of-16-chs"}}) == []
    admin = {"admin": {"token": "${ADMIN_TOKEN}"}}
    reported = ["admin.token is empty (set ADMIN_TOKEN): one is generated at the first start"]
    assert notices(path, admin) == notices(path, admin, ADMIN_TOKEN=" ") == reported
    assert notices(path, admin, ADMIN_TOKEN="x" * 16) == notices(path, {"admin": {}}) == []


def test_all_mistakes_of_admission_are_reported_at_once(path: Path) -> None:
    config = {
        "rateLimiting": {"store": "memcached", "perClient": {}, "perModel": {"burstSize": 1}},
        "auth": {"mode": "jwt", "jwt": {"secret": "hunter2"}, "keys": [key(expires="soon")]},
        "redis": {"url": "redis://:hunter2@", "prefix": "{a}", "timeoutSecs": 0},
        "database": {"url": "mysql://u:hunter2@h/n"},
        "admin": {"token": "hunter2"},
        "dataDir": "config.yaml\n",
        "server": {"trustedProxies": ["10.0.0.0/8", "lan"], "tls": {"certFile": "no.pem"}},
    }
    found = mistakes(path, config)
    assert [line.split(": ")[0] for line in found] == [
        "rateLimiting.store",
        "rateLimiting.perClient",
        "rateLimiting.perModel",
        "auth.jwt.secret",
        "auth.keys[0].expires",
        "redis.url",
        "redis.prefix",
        "redis.timeoutSecs",
        "database.url",
        "admin.token",
        "dataDir",
        "server.trustedProxies[1]",
        "server.tls.certFile",
    ]
    assert "hunter2" not in str(found)


def test_secrets_of_admission_are_not_in_a_repr(path: Path) -> None:
    config = {
        "auth": {"mode": "jwt", "jwt": {"secret": SECRET}},
        "redis": {"url": f"redis://:{SECRET}@host"},
        "database": {"url": f"postgresql://u:{SECRET}@host/n"},
        "admin": {"token": SECRET},
    }
    path.write_text(yaml.safe_dump(config))
    assert SECRET not in repr(load(path, {}).config)


# -- the listener -------------------------------------------------------------------------------------

ADDRESSES = "server.trustedProxies: is missing: proxyProtocol needs the addresses of the proxies that send its header"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({"proxyProtocol": True}, [ADDRESSES]),
        ({"proxyProtocol": False}, []),
        ({"proxyProtocol": True, "trustedProxies": ["10.0.0.0/8"]}, []),
        ({"proxyProtocol": True, "trustedProxies": ["unix", "::1"]}, []),
        ({"proxyProtocol": True, "trustedProxies": ["unix"], "unixSocket": "/run/s"}, []),
        (
            {"proxyProtocol": True, "trustedProxies": ["::1"], "unixSocket": "/run/s"},
            ["server.trustedProxies: must contain unix: proxyProtocol is set, and the listener is a unix socket"],
        ),
        (
            {"proxyProtocol": True, "trustedProxies": ["unix"]},
            [
                "server.trustedProxies: must contain an address or network: proxyProtocol is set,"
                " and the listener is no unix socket"
            ],
        ),
    ],
)
def test_the_proxy_protocol_needs_trusted_proxies(server: dict[str, Any], expected: list[str], path: Path) -> None:
    assert mistakes(path, {"server": server}) == expected


# -- client certificates ------------------------------------------------------------------------------

FILES = {"certFile": "key.pem"}
SECURE = {"server": {"tls": FILES | {"clientCa": "key.pem"}}}
LISTED = {"certificates": [{"name": "spiffe://a/*"}]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SECURE, []),
        (SECURE | {"auth": {"mode": "certificates"} | LISTED}, []),
        (SECURE | {"auth": {"mode": "keys", "keys": [key()]} | LISTED}, []),
        (
            SECURE | {"auth": {"mode": "certificates"}},
            [
                'auth.certificates: is missing: mode certificates needs it (name: "*" is every certificate of'
                " server.tls.clientCa)"
            ],
        ),
        (
            SECURE | {"auth": {"mode": "certificates", "certificates": [{"name": "a"}] * 2}},
            ['auth.certificates: 2 entries have the name "a"'],
        ),
        (
            {"auth": {"mode": "certificates"} | LISTED},
            ["server.tls.clientCa: is missing: auth.certificates needs the CA of these certificates"],
        ),
        (
            {"server": {"tls": FILES}, "auth": {"mode": "keys", "keys": [key()]} | LISTED},
            ["server.tls.clientCa: is missing: auth.certificates needs the CA of these certificates"],
        ),
        (
            {"server": {"tls": FILES | {"clientAuth": "optional"}}},
            ["server.tls.clientCa: is missing: clientAuth needs it"],
        ),
        ({"server": {"tls": FILES | {"clientCa": "none.pem"}}}, ["server.tls.clientCa: no such file: none.pem"]),
    ],
)
def test_client_certificates_need_their_ca(config: dict[str, Any], expected: list[str], path: Path) -> None:
    assert mistakes(path, config) == expected


def test_certificates_without_authentication_have_no_effect(path: Path) -> None:
    assert notices(path, SECURE | {"auth": LISTED}) == ["auth.certificates: has no effect: auth.mode is none"]


# -- credentials of clouds ----------------------------------------------------------------------------

KEYS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret"}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"kind": "bedrock", "cloud": KEYS | {"region": "eu-west-1"}}, []),
        ({"kind": "vertex", "cloud": {"credentialsFile": "key.pem"}}, []),
        (
            {"kind": "vertex", "cloud": {"credentialsFile": "none.json"}},
            ["providers.p.cloud.credentialsFile: no such file: none.json"],
        ),
        ({"cloud": KEYS}, ["providers.p.cloud: has no effect: only the kinds vertex and bedrock use it"]),
        (
            {"kind": "bedrock", "cloud": KEYS, "apiKey": "key"},
            ["providers.p.cloud: cannot be used together with apiKey: remove one of them"],
        ),
        (
            {"kind": "bedrock", "cloud": {"accessKeyId": "AKIDEXAMPLE"}},
            ["providers.p.cloud.secretAccessKey: is missing or empty: accessKeyId and secretAccessKey belong together"],
        ),
        (
            {"kind": "bedrock", "cloud": KEYS | {"accessKeyId": "${NONE}"}},
            ["providers.p.cloud.accessKeyId: is missing or empty: accessKeyId and secretAccessKey belong together"],
        ),
        (
            {"kind": "bedrock", "cloud": KEYS | {"profile": "work"}},
            ["providers.p.cloud.profile: cannot be used together with accessKeyId: remove one of them"],
        ),
    ],
)
def test_credentials_of_clouds(provider: dict[str, Any], expected: list[str], path: Path) -> None:
    assert mistakes(path, {"providers": {"p": {"baseUrl": "https://host.example/v1"} | provider}}) == expected


def test_keys_of_clouds_are_not_in_a_repr(path: Path) -> None:
    path.write_text(
        yaml.safe_dump({"providers": {"p": {"baseUrl": "https://h.example", "kind": "bedrock", "cloud": KEYS}}})
    )
    assert "AKIDEXAMPLE" not in repr(load(path, {}).config)
